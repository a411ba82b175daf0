//! One call under way: its answer is read past, and its status looked at.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::RecvStream;
use h2::client::ResponseFuture;
use http::{HeaderMap, Response, StatusCode, header};

use crate::asked::{Asked, Refusal, TEXT_BYTES};
use crate::failure::Failure;

/// A message follows a byte and its length.
const PREFIX_BYTES: usize = 5;

/// A call that has been sent.
pub(super) struct Call {
    pub(super) asked: Asked,
    stage: Stage,
}

enum Stage {
    Head(ResponseFuture),
    Body(Body),
}

struct Body {
    stream: RecvStream,
    prefix: [u8; PREFIX_BYTES],
    received: usize,
}

impl Call {
    pub(super) fn new(asked: Asked, answer: ResponseFuture) -> Self {
        Self { asked, stage: Stage::Head(answer) }
    }

    /// Ready when the call is over.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        if let Stage::Head(answer) = &mut self.stage {
            let response = match ready!(Pin::new(answer).poll(context)) {
                Ok(response) => response,
                Err(error) => return Poll::Ready(Err(Failure::from(&error).into())),
            };
            match open(response) {
                Ok(body) => self.stage = Stage::Body(body),
                Err(refusal) => return Poll::Ready(Err(refusal)),
            }
        }
        match &mut self.stage {
            Stage::Body(body) => body.poll(context),
            Stage::Head(_) => Poll::Pending,
        }
    }
}

/// Looks at an answer's head. A server that has nothing to say but a status says it here.
fn open(response: Response<RecvStream>) -> Result<Body, Refusal> {
    let (head, stream) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(Failure::Status(head.status.as_u16()).into());
    }
    let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if !kind.starts_with(b"application/grpc") {
        return Err(Failure::Malformed.into());
    }
    if stream.is_end_stream() || head.headers.contains_key("grpc-status") {
        // With success comes a message: this is none.
        verdict(&head.headers)?;
        return Err(Failure::Malformed.into());
    }
    Ok(Body { stream, prefix: [0; PREFIX_BYTES], received: 0 })
}

fn verdict(headers: &HeaderMap) -> Result<(), Refusal> {
    let status = headers.get("grpc-status").and_then(|value| value.to_str().ok()?.parse().ok());
    match status {
        None => Err(Failure::Malformed.into()),
        Some(0) => Ok(()),
        Some(status) => {
            let text = headers.get("grpc-message").map_or(&b""[..], |value| value.as_bytes());
            Err(Refusal { failure: Failure::Grpc(status), text: text[..text.len().min(TEXT_BYTES)].to_vec() })
        }
    }
}

impl Body {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        while let Some(part) = ready!(self.stream.poll_data(context)) {
            let taken = part.and_then(|data| {
                self.note(&data);
                self.stream.flow_control().release_capacity(data.len())
            });
            if let Err(error) = taken {
                return Poll::Ready(Err(Failure::from(&error).into()));
            }
        }
        Poll::Ready(match ready!(self.stream.poll_trailers(context)) {
            Ok(Some(trailers)) => verdict(&trailers).and_then(|()| self.whole()),
            Ok(None) => Err(Failure::Malformed.into()),
            Err(error) => Err(Failure::from(&error).into()),
        })
    }

    fn note(&mut self, data: &[u8]) {
        for (place, byte) in self.prefix.iter_mut().skip(self.received).zip(data) {
            *place = *byte;
        }
        self.received += data.len();
    }

    /// Whether there was one message, all of it.
    fn whole(&self) -> Result<(), Refusal> {
        let [_, length @ ..] = self.prefix;
        let expected = PREFIX_BYTES + u32::from_be_bytes(length) as usize;
        if self.received == expected { Ok(()) } else { Err(Failure::Malformed.into()) }
    }
}
