//! An answer, and its head as text.

use std::fmt::Debug;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::Error;
use crate::frontend::json::writer;
use crate::frontend::status;
use crate::trace::Trace;

/// An answer to one request.
#[derive(Debug, Default)]
pub(super) struct Response {
    pub status: u16,
    pub content_type: Option<&'static str>,
    pub content_encoding: Option<&'static str>,
    /// `Inference-Header-Content-Length`.
    pub json_length: Option<usize>,
    /// Whether to tell which encodings would have been understood.
    pub tells_encodings: bool,
    pub body: BytesMut,
    /// What follows the body: large tensors, as they are.
    pub tail: Vec<Bytes>,
    /// The body of an answer that comes part by part, instead of the others.
    pub feed: Option<Box<dyn Feed>>,
    /// The trace of the request, which ends when this is on its way.
    pub trace: Option<Arc<Trace>>,
}

/// A body that comes part by part. It is dropped when the client hangs up.
pub(super) trait Feed: Debug + Send {
    /// The next part, which is not empty; none at the end.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<BytesMut>>;
}

/// How a client tells where the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    Chunked,
    /// By the end of the connection: HTTP/1.0 knows nothing else for what comes part by part.
    Close,
}

impl Response {
    /// A status and nothing else.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// JSON.
    pub(super) fn json(body: BytesMut) -> Self {
        Self { status: 200, content_type: Some("application/json"), body, ..Self::default() }
    }

    /// Text of some kind.
    pub(super) fn text(content_type: &'static str, body: &str) -> Self {
        Self { status: 200, content_type: Some(content_type), body: BytesMut::from(body), ..Self::default() }
    }

    /// What the router answers when it knows no handler.
    pub(super) fn unrouted(status: u16, message: &str) -> Self {
        Self { status, body: writer::error(message), ..Self::default() }
    }

    /// What a client is told that does not speak HTTP, or to a handler, as it should.
    pub(super) fn fault(status: u16, message: &str) -> Self {
        Self { status, ..Self::json(writer::error(message)) }
    }

    pub(super) fn length(&self) -> usize {
        self.body.len() + self.tail.iter().map(Bytes::len).sum::<usize>()
    }

    /// How its end is told to a client of that version of HTTP.
    pub(super) fn framing(&self, is_http_1_0: bool) -> Framing {
        match (&self.feed, is_http_1_0) {
            (None, _) => Framing::Length,
            (Some(_), false) => Framing::Chunked,
            (Some(_), true) => Framing::Close,
        }
    }

    /// Writes the head; `connection` says whether the connection stays, where the client would not assume so.
    pub(super) fn write_head(&self, out: &mut BytesMut, framing: Framing, connection: Option<&str>) {
        out.put_slice(b"HTTP/1.1 ");
        writer::integer(out, self.status);
        out.put_u8(b' ');
        out.put_slice(reason(self.status).as_bytes());
        if let Some(content_type) = self.content_type {
            field(out, "Content-Type", content_type);
        }
        if let Some(encoding) = self.content_encoding {
            field(out, "Content-Encoding", encoding);
        }
        if let Some(length) = self.json_length {
            out.put_slice(b"\r\nInference-Header-Content-Length: ");
            writer::integer(out, length);
        }
        if self.tells_encodings {
            field(out, "Accept-Encoding", "gzip, deflate");
        }
        if let Some(connection) = connection {
            field(out, "Connection", connection);
        }
        match framing {
            Framing::Length => {
                out.put_slice(b"\r\nContent-Length: ");
                writer::integer(out, self.length());
            }
            Framing::Chunked => field(out, "Transfer-Encoding", "chunked"),
            Framing::Close => {}
        }
        out.put_slice(b"\r\n\r\n");
    }
}

impl From<Error> for Response {
    fn from(error: Error) -> Self {
        let mut response = Self::json(writer::error(&error.message));
        response.status = status::http(error.code);
        response
    }
}

fn field(out: &mut BytesMut, name: &str, value: &str) {
    for part in ["\r\n", name, ": ", value] {
        out.put_slice(part.as_bytes());
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}
