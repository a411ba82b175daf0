//! The head of a request: what the server needs of it, checked.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};

use crate::frontend::fields::Fields;

/// Largest head that is read.
pub(super) const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;

/// What is wrong with a head; the connection is closed after the answer, since nobody knows where the next request would start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub status: u16,
    pub message: &'static str,
}

impl Fault {
    pub(super) const fn new(status: u16, message: &'static str) -> Self {
        Self { status, message }
    }
}

/// The methods the server tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Post,
    Other,
}

/// How the body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// That many bytes; none when there is no body.
    Length(usize),
    Chunked,
}

/// A request's head.
#[derive(Debug)]
pub(super) struct Head {
    pub method: Method,
    /// Path and query, as sent.
    pub target: Bytes,
    pub framing: Framing,
    /// Whether the client speaks HTTP/1.0, and has to be told that the connection stays.
    pub is_http_1_0: bool,
    pub keep_alive: bool,
    pub expects_continue: bool,
    /// `Inference-Header-Content-Length`.
    pub json_length: Option<Bytes>,
    pub content_encoding: Option<Bytes>,
    pub accept_encoding: Option<Bytes>,
    /// All of it, for the few who look for other fields.
    text: Bytes,
    /// When the head had come, and when the body had; only where somebody might ask.
    pub read: Option<(u64, u64)>,
}

impl Fields for Head {
    fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn each(&self, see: &mut dyn FnMut(&str, &[u8])) {
        self.fields().for_each(|(name, value)| see(name, value));
    }
}

impl Head {
    /// The fields as they were sent; the text was checked when it was read.
    fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.text.split(|&byte| byte == b'\n').skip(1).filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
        })
    }

    /// Takes a head off the front of the buffer; `None` when it is not complete yet.
    pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Self>, Fault> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(buffer, &mut headers) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if buffer.len() < MAX_HEAD_BYTES => return Ok(None),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(Fault::new(431, "the request head is too large: 64 KB and 100 headers are the limit"));
            }
            Err(httparse::Error::Version) => return Err(Fault::new(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")),
            Err(_) => return Err(Fault::new(400, "the request head is not valid HTTP/1.1")),
        };
        let method = match request.method {
            Some("GET") => Method::Get,
            Some("POST") => Method::Post,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        };
        let base = buffer.as_ptr() as usize;
        let range = |part: &[u8]| {
            let start = part.as_ptr() as usize - base;
            start..start + part.len()
        };
        let target = range(request.path.unwrap_or_default().as_bytes());
        let is_http_1_0 = request.version == Some(0);
        let mut fields = Known::default();
        for header in request.headers.iter() {
            fields.read(header.name, header.value, &range)?;
        }
        if fields.chunked && fields.length.is_some() {
            return Err(Fault::new(400, "a request has either a Content-Length or a Transfer-Encoding, not both"));
        }
        if fields.chunked && is_http_1_0 {
            return Err(Fault::new(400, "HTTP/1.0 knows no Transfer-Encoding"));
        }
        let framing = if fields.chunked { Framing::Chunked } else { Framing::Length(fields.length.unwrap_or(0)) };
        let head = buffer.split_to(length).freeze();
        let slice = |range: Option<std::ops::Range<usize>>| range.map(|range| head.slice(range));
        Ok(Some(Self {
            method,
            target: head.slice(target),
            framing,
            is_http_1_0,
            keep_alive: fields.stays.unwrap_or(!is_http_1_0),
            expects_continue: fields.expects_continue && !is_http_1_0,
            json_length: slice(fields.json_length),
            content_encoding: slice(fields.content_encoding),
            accept_encoding: slice(fields.accept_encoding),
            read: None,
            text: head,
        }))
    }
}

type Range = std::ops::Range<usize>;

#[derive(Default)]
struct Known {
    length: Option<usize>,
    chunked: bool,
    /// What the client wants of the connection, if it says so; to close it wins.
    stays: Option<bool>,
    expects_continue: bool,
    json_length: Option<Range>,
    content_encoding: Option<Range>,
    accept_encoding: Option<Range>,
}

impl Known {
    fn read(&mut self, name: &str, value: &[u8], range: &impl Fn(&[u8]) -> Range) -> Result<(), Fault> {
        // The length of a name tells almost all of them apart before any letters are compared.
        match name.len() {
            14 if name.eq_ignore_ascii_case("content-length") => {
                let length = parse_length(value).ok_or(Fault::new(400, "the Content-Length is not a number"))?;
                if self.length.is_some_and(|other| other != length) {
                    return Err(Fault::new(400, "the request has several different Content-Lengths"));
                }
                self.length = Some(length);
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if !value.eq_ignore_ascii_case(b"chunked") || self.chunked {
                    return Err(Fault::new(501, "the only Transfer-Encoding understood is `chunked`"));
                }
                self.chunked = true;
            }
            10 if name.eq_ignore_ascii_case("connection") => {
                for token in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    if token.eq_ignore_ascii_case(b"close") {
                        self.stays = Some(false);
                    } else if token.eq_ignore_ascii_case(b"keep-alive") {
                        self.stays.get_or_insert(true);
                    }
                }
            }
            6 if name.eq_ignore_ascii_case("expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Fault::new(417, "the only expectation understood is `100-continue`"));
                }
                self.expects_continue = true;
            }
            31 if name.eq_ignore_ascii_case("inference-header-content-length") => self.json_length = Some(range(value)),
            16 if name.eq_ignore_ascii_case("content-encoding") => self.content_encoding = Some(range(value)),
            15 if name.eq_ignore_ascii_case("accept-encoding") => self.accept_encoding = Some(range(value)),
            _ => {}
        }
        Ok(())
    }
}

/// Digits and nothing else: a sign or a list here is how requests are smuggled past a proxy.
fn parse_length(value: &[u8]) -> Option<usize> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Head>, Fault> {
        Head::take(&mut BytesMut::from(text))
    }

    #[test]
    fn a_head_is_taken_off_and_what_follows_stays() {
        let mut buffer = BytesMut::from("POST /v2/models/m/infer?x=1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
        let head = Head::take(&mut buffer).expect("good").expect("complete");
        assert_eq!((head.method, &head.target[..]), (Method::Post, &b"/v2/models/m/infer?x=1"[..]));
        assert_eq!(head.framing, Framing::Length(5));
        assert!(head.keep_alive);
        assert_eq!(&buffer[..], b"hello");
    }

    #[test]
    fn every_field_is_found_whatever_its_case() {
        let fields = "CONTENT-length: 5\r\nEXPECT: 100-Continue\r\nInference-HEADER-Content-Length: 3\r\nAccept-encoding: a\r\n\
            content-Encoding: b\r\nCONNECTION: Close";
        let head = parse(&format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n")).expect("good").expect("complete");
        assert_eq!((head.framing, head.expects_continue, head.keep_alive), (Framing::Length(5), true, false));
        let texts = [head.json_length, head.accept_encoding, head.content_encoding].map(Option::unwrap_or_default);
        assert_eq!(texts, [&b"3"[..], b"a", b"b"]);
        let head = parse("POST / HTTP/1.1\r\nTRANSFER-encoding: Chunked\r\n\r\n").expect("good").expect("complete");
        assert_eq!(head.framing, Framing::Chunked);
    }

    #[test]
    fn any_field_can_be_looked_for() {
        let head =
            parse("POST / HTTP/1.1\r\nX-User:  7 \r\nTraceParent: 00-x\r\n\r\n").expect("good").expect("complete");
        assert_eq!(head.field("traceparent"), Some(&b"00-x"[..]));
        assert_eq!((head.field("x-user"), head.field("x")), (Some(&b"7"[..]), None));
        let mut names = Vec::new();
        head.each(&mut |name, _| names.push(name.to_owned()));
        assert_eq!(names, ["X-User", "TraceParent"]);
    }

    #[test]
    fn a_request_that_could_be_read_in_two_ways_is_refused() {
        for fields in [
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Content-Length: +5",
            "Content-Length: 5, 5",
            "Content-Length: ",
            "Transfer-Encoding: chunked, gzip",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Content-Length: 99999999999999999999999",
            " Content-Length: 5",
            "Content-Length : 5",
        ] {
            let fault = parse(&format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n")).expect_err(fields);
            assert!([400, 501].contains(&fault.status), "{fields}: {fault:?}");
        }
    }

    #[test]
    fn a_head_is_bounded() {
        assert!(parse(&"a".repeat(100)).is_err() || parse("GET / HTTP/1.1\r\nA: ").expect("partial").is_none());
        let long = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(MAX_HEAD_BYTES));
        assert_eq!(parse(&long).expect_err("too large").status, 431);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101));
        assert_eq!(parse(&many).expect_err("too many").status, 431);
    }

    #[test]
    fn the_connection_stays_or_closes_as_the_version_and_the_client_say() {
        let keep = |text: &str| parse(text).expect("good").expect("complete").keep_alive;
        assert!(keep("GET / HTTP/1.1\r\n\r\n"));
        assert!(!keep("GET / HTTP/1.0\r\n\r\n"));
        assert!(keep("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
        assert!(!keep("GET / HTTP/1.1\r\nConnection: x, close\r\n\r\n"));
        assert!(!keep("GET / HTTP/1.1\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n"));
    }
}
