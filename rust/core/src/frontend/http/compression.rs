//! Content encodings: what a client sent is unpacked within bounds, what it accepts is packed.

use std::io::{Read, Write as _};

use bytes::{BufMut, BytesMut};
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::error::{Code, Error, Result};
use crate::frontend::http::response::Response;

/// An encoding the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

/// The encoding of a request's body.
pub(super) fn requested(header: Option<&[u8]>) -> Result<Encoding> {
    match header.map(<[u8]>::trim_ascii) {
        None | Some(b"" | b"identity") => Ok(Encoding::Identity),
        Some(b"gzip") => Ok(Encoding::Gzip),
        Some(b"deflate") => Ok(Encoding::Deflate),
        Some(_) => Err(Error::new(Code::Unsupported, "Unsupported compression type")),
    }
}

/// Unpacks a body to at most `limit` bytes.
pub(super) fn decompress(encoding: Encoding, body: BytesMut, limit: usize) -> Result<BytesMut> {
    if encoding == Encoding::Identity {
        return Ok(body);
    }
    if body.is_empty() {
        return Err(Error::invalid("nothing to be decompressed"));
    }
    // The two formats announce themselves: clients confuse their names, so the content decides.
    let reader: Box<dyn Read + '_> = if body.starts_with(&[0x1f, 0x8b]) {
        Box::new(GzDecoder::new(&body[..]))
    } else {
        Box::new(ZlibDecoder::new(&body[..]))
    };
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
        let encoding = match parts.next() {
            Some("gzip") => Encoding::Gzip,
            Some("deflate") => Encoding::Deflate,
            Some("identity") => Encoding::Identity,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if quality > best.1 {
            best = (encoding, quality);
        }
    }
    best.0
}

/// Packs an answer; one that cannot be packed goes out as it is.
pub(super) fn compress(encoding: Encoding, mut response: Response) -> Response {
    if encoding == Encoding::Identity || response.length() == 0 {
        return response;
    }
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
        ] {
            assert_eq!(accepted(Some(header.as_bytes())), expected, "{header}");
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_whatever_its_name_and_a_bomb_is_refused() {
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let packed = compress(encoding, Response::json(BytesMut::from(&[7; 5000][..])));
            assert!(packed.body.len() < 200);
            let plain = decompress(Encoding::Gzip, packed.body.clone(), 5000).expect("it fits");
            assert_eq!(&plain[..], [7; 5000]);
            let error = decompress(encoding, packed.body, 4999).expect_err("too large");
            assert!(error.message.starts_with("Decompressed data size exceeds"));
        }
        assert!(decompress(Encoding::Gzip, BytesMut::from("no gzip"), 100).is_err());
    }
}
