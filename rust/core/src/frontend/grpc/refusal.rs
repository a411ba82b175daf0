//! An answer without a message: a status, and a sentence for the client.

use std::borrow::Cow;
use std::fmt::Write;

use http::{HeaderMap, HeaderValue, Response, header};

use crate::error::Error;
use crate::frontend::grpc::compression;
use crate::frontend::status;

/// Clients take no more than 8 KiB of headers; a longer text would cost them the status as well.
const MAX_TEXT_BYTES: usize = 6 * 1024;

/// Why a call failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The number of the status.
    pub(super) status: u8,
    pub(super) message: Cow<'static, str>,
}

impl Refusal {
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: 3, message: message.into() }
    }

    pub(super) fn cut_off() -> Self {
        Self::invalid("the request ended before its message was complete")
    }

    pub(super) fn deadline() -> Self {
        Self { status: 4, message: "Deadline Exceeded".into() }
    }

    pub(super) fn too_large(size: usize, limit: usize) -> Self {
        Self { status: 8, message: format!("Received message larger than max ({size} vs. {limit})").into() }
    }

    pub(super) fn unimplemented(message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: 12, message: message.into() }
    }

    pub(super) fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: 13, message: message.into() }
    }

    pub(super) fn stopping() -> Self {
        Self { status: 14, message: "GRPC server is shutting down and has stopped accepting new requests.".into() }
    }

    /// What only those may call who send a field along.
    pub(super) fn restricted(field: &str) -> Self {
        Self { status: 14, message: format!("This protocol is restricted, expecting header '{field}'").into() }
    }

    /// The answer as nothing but headers.
    pub(super) fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-accept-encoding", HeaderValue::from_static(compression::NAMES));
        self.write(headers);
        response
    }

    /// The end of an answer that has begun.
    pub(super) fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(2);
        self.write(&mut trailers);
        trailers
    }

    fn write(&self, headers: &mut HeaderMap) {
        headers.insert("grpc-status", HeaderValue::from(u16::from(self.status)));
        // Percent-encoding leaves nothing that a header may not hold.
        if let Ok(text) = HeaderValue::try_from(percent_encoded(&self.message)) {
            headers.insert("grpc-message", text);
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { status: status::grpc(error.code), message: error.message.into() }
    }
}

/// The text as the protocol carries it: printable ASCII, all else as `%XX`; cut at the end of a letter where it is too long.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        let start = encoded.len();
        let mut bytes = [0; 4];
        for &byte in letter.encode_utf8(&mut bytes).as_bytes() {
            match byte {
                b'%' | 0..=0x1f | 0x7f.. => {
                    let _ = write!(encoded, "%{byte:02X}"); // writing to a String cannot fail
                }
                _ => encoded.push(char::from(byte)),
            }
        }
        if encoded.len() > MAX_TEXT_BYTES {
            encoded.truncate(start);
            encoded.push_str("...");
            break;
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_percent_encoded() {
        assert_eq!(percent_encoded("100 % of 'x'\n"), "100 %25 of 'x'%0A");
        assert_eq!(percent_encoded("é"), "%C3%A9");
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let encoded = percent_encoded(&"é".repeat(5000));

        assert!(encoded.len() <= MAX_TEXT_BYTES + 3, "{}", encoded.len());
        assert!(encoded.ends_with("%C3%A9..."), "{}", &encoded[encoded.len() - 20..]);
    }

    #[test]
    fn a_refusal_is_nothing_but_headers() {
        let response = Refusal::from(Error::invalid("no\nmodel")).response();

        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "3");
        assert_eq!(response.headers()["grpc-message"], "no%0Amodel");
    }
}
