//! Content encodings: what a client sent is unpacked within bounds, what it accepts is packed.

use std::io::{Read, Write as _};

use bytes::{BufMut, BytesMut};
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::error::{Code, Error, Result};
use crate::frontend::aside;
use crate::frontend::http::response::Response;

/// A body up to this size is unpacked on the spot: it becomes four megabytes at most.
const LIGHT_PACKED_BYTES: usize = 4 * 1024;
/// An answer up to this size is packed on the spot.
const LIGHT_PLAIN_BYTES: usize = 16 * 1024;

/// An encoding the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

impl Encoding {
    /// The encoding of that name; `None` when it is not understood.
    fn from_name(name: &[u8]) -> Option<Self> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"gzip") || is(b"x-gzip") {
            Some(Self::Gzip)
        } else if is(b"deflate") {
            Some(Self::Deflate)
        } else {
            is(b"identity").then_some(Self::Identity)
        }
    }
}

/// The encoding of a request's body; `None` when it is not understood.
pub(super) fn requested(header: Option<&[u8]>) -> Option<Encoding> {
    match header.map_or(&b""[..], <[u8]>::trim_ascii) {
        b"" => Some(Encoding::Identity),
        name => Encoding::from_name(name),
    }
}

/// The answer to a body whose encoding is not understood; it tells those that are.
pub(super) fn unsupported() -> Response {
    let error = Error::new(Code::Unsupported, "Unsupported compression type");
    Response { tells_encodings: true, ..Response::from(error) }
}

/// Unpacks a body to at most `limit` bytes.
pub(super) async fn decompress(encoding: Encoding, body: BytesMut, limit: usize) -> Result<BytesMut> {
    if encoding == Encoding::Identity {
        return Ok(body);
    }
    aside::run(body.len() > LIGHT_PACKED_BYTES, move || unpack(&body, limit)).await
}

fn unpack(body: &[u8], limit: usize) -> Result<BytesMut> {
    if body.is_empty() {
        return Err(Error::invalid("nothing to be decompressed"));
    }
    // The two formats announce themselves: clients confuse their names, so the content decides.
    let reader: Box<dyn Read + '_> =
        if body.starts_with(&[0x1f, 0x8b]) { Box::new(GzDecoder::new(body)) } else { Box::new(ZlibDecoder::new(body)) };
    let mut plain = BytesMut::with_capacity(body.len().saturating_mul(4).min(limit)).writer();
    let copied = std::io::copy(&mut reader.take(limit as u64 + 1), &mut plain)
        .map_err(|error| Error::invalid(format!("the request body cannot be decompressed: {error}")))?;
    if copied > limit as u64 {
        return Err(Error::invalid(format!(
            "Decompressed data size exceeds the maximum allowed value of {limit} bytes. Use --http-max-input-size to increase the limit."
        )));
    }
    Ok(plain.into_inner())
}

/// The encoding a client likes best, from `Accept-Encoding`.
pub(super) fn accepted(header: Option<&[u8]>) -> Encoding {
    let Some(text) = header.and_then(|header| std::str::from_utf8(header).ok()) else { return Encoding::Identity };
    let mut best = (Encoding::Identity, 0.0);
    for item in text.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let Some(encoding) = Encoding::from_name(name.as_bytes()) else { continue };
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if quality > best.1 {
            best = (encoding, quality);
        }
    }
    best.0
}

/// Packs an answer; one that cannot be packed goes out as it is.
pub(super) async fn compress(encoding: Encoding, response: Response) -> Response {
    if encoding == Encoding::Identity || response.length() == 0 {
        return response;
    }
    aside::run(response.length() > LIGHT_PLAIN_BYTES, move || pack(encoding, response)).await
}

fn pack(encoding: Encoding, mut response: Response) -> Response {
    let parts = || std::iter::once(&response.body[..]).chain(response.tail.iter().map(|part| &part[..]));
    let packed = if encoding == Encoding::Gzip {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        parts().try_for_each(|part| encoder.write_all(part)).and_then(|()| encoder.finish())
    } else {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        parts().try_for_each(|part| encoder.write_all(part)).and_then(|()| encoder.finish())
    };
    if let Ok(packed) = packed {
        response.body = BytesMut::from(&packed[..]);
        response.tail.clear();
        response.content_encoding = Some(if encoding == Encoding::Gzip { "gzip" } else { "deflate" });
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_highest_quality_wins() {
        for (header, expected) in [
            ("gzip", Encoding::Gzip),
            ("identity, gzip", Encoding::Identity),
            ("gzip;q=0.5, deflate", Encoding::Deflate),
            ("br, zstd", Encoding::Identity),
            ("gzip;q=0", Encoding::Identity),
            ("GZip; q=1.0, *;q=0", Encoding::Gzip),
            ("gzip;q=nonsense", Encoding::Identity),
            ("", Encoding::Identity),
        ] {
            assert_eq!(accepted(Some(header.as_bytes())), expected, "{header}");
        }
    }

    #[test]
    fn an_encoding_is_known_by_its_name_or_not_at_all() {
        for (header, expected) in [
            (None, Some(Encoding::Identity)),
            (Some(""), Some(Encoding::Identity)),
            (Some("identity"), Some(Encoding::Identity)),
            (Some("GZIP "), Some(Encoding::Gzip)),
            (Some("deflate"), Some(Encoding::Deflate)),
            (Some("br"), None),
            (Some("gzip, gzip"), None),
        ] {
            assert_eq!(requested(header.map(str::as_bytes)), expected, "{header:?}");
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_whatever_its_name_and_a_bomb_is_refused() {
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let packed = pack(encoding, Response::json(BytesMut::from(&[7; 5000][..])));
            assert!(packed.body.len() < 200);
            let plain = unpack(&packed.body, 5000).expect("it fits");
            assert_eq!(&plain[..], [7; 5000]);
            let error = unpack(&packed.body, 4999).expect_err("too large");
            assert!(error.message.starts_with("Decompressed data size exceeds"));
        }
        assert!(unpack(b"no gzip", 100).is_err());
    }
}
