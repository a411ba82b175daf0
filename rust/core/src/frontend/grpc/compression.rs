//! Compressed messages. A client that compresses what it sends is answered alike; nobody else pays for it, unless the server is told to
//! compress the answers of all who can read that.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderMap;
use tokio::task::spawn_blocking;

use crate::error::{Error, Result as Outcome};
use crate::frontend::grpc::message::MAX_BYTES;
use crate::frontend::grpc::refusal::Refusal;

/// What is understood, as a header says it.
pub(super) const NAMES: &str = "identity,deflate,gzip";
/// From this size on the work is done on a thread of its own: the network would wait too long.
const BLOCKING_BYTES: usize = 64 * 1024;

/// How much work is put into the answers of inference, where all are to be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As little as there is.
    Low,
    /// What is usual.
    Medium,
    /// As much as there is.
    High,
}

impl Effort {
    /// The effort of that name; nothing for `none`.
    ///
    /// # Errors
    /// `INVALID_ARG` for a name that is none.
    pub fn parse(name: &str) -> Outcome<Option<Self>> {
        Ok(match name {
            "none" => None,
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            _ => {
                return Err(Error::invalid(format!(
                    "compression level of gRPC answers `{name}`: expected none, low, medium or high"
                )));
            }
        })
    }

    /// The level for the answer to a client that compressed: the least, where nobody said anything.
    fn level(effort: Option<Self>) -> Compression {
        match effort {
            None | Some(Self::Low) => Compression::fast(),
            Some(Self::Medium) => Compression::default(),
            Some(Self::High) => Compression::best(),
        }
    }
}

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    /// With zlib's header, as HTTP has it.
    Deflate,
}

impl Encoding {
    /// What the headers of a request say about its messages.
    ///
    /// # Errors
    /// UNIMPLEMENTED for a method that is not known.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        match headers.get("grpc-encoding").map(http::HeaderValue::as_bytes) {
            None | Some(b"identity") => Ok(None),
            Some(b"gzip") => Ok(Some(Self::Gzip)),
            Some(b"deflate") => Ok(Some(Self::Deflate)),
            Some(other) => Err(Refusal::unimplemented(format!(
                "message encoding '{}' is not supported, expected one of {NAMES}",
                String::from_utf8_lossy(other)
            ))),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// Whether the client reads it.
    pub(super) fn is_accepted(self, headers: &HeaderMap) -> bool {
        let accepted = headers.get("grpc-accept-encoding").and_then(|value| value.to_str().ok());
        accepted.is_none_or(|names| names.split(',').any(|name| name.trim() == self.name()))
    }

    /// What a client reads that did not compress itself: nothing, unless it says so.
    pub(super) fn offered(headers: &HeaderMap) -> Option<Self> {
        headers.get("grpc-accept-encoding")?;
        [Self::Gzip, Self::Deflate].into_iter().find(|encoding| encoding.is_accepted(headers))
    }

    /// Decompresses a message.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for bytes that are not compressed so, `RESOURCE_EXHAUSTED` when they hold more than a message may.
    pub(super) async fn decompress(self, bytes: Bytes) -> Result<Bytes, Refusal> {
        maybe_elsewhere(bytes.len(), move || self.decompressed(&bytes, MAX_BYTES)).await?
    }

    /// Compresses a message.
    ///
    /// # Errors
    /// INTERNAL when there is no thread for it.
    pub(super) async fn compress(self, parts: Vec<Bytes>, effort: Option<Effort>) -> Result<Bytes, Refusal> {
        let size = parts.iter().map(Bytes::len).sum();
        let compressed = maybe_elsewhere(size, move || self.compressed(&parts, Effort::level(effort))).await?;
        compressed.map_err(|error| Refusal::internal(format!("the answer cannot be compressed: {error}")))
    }

    /// Grows as bytes come out: what a few bytes may stand for is not believed beforehand.
    fn decompressed(self, bytes: &[u8], limit: usize) -> Result<Bytes, Refusal> {
        let decoder: Box<dyn Read + '_> = match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(bytes)),
            Self::Deflate => Box::new(ZlibDecoder::new(bytes)),
        };
        let mut out = Vec::new();
        decoder
            .take(limit as u64 + 1)
            .read_to_end(&mut out)
            .map_err(|error| Refusal::invalid(format!("the message is not valid {}: {error}", self.name())))?;
        if out.len() > limit {
            return Err(Refusal::too_large(out.len(), limit));
        }
        Ok(out.into())
    }

    fn compressed(self, parts: &[Bytes], level: Compression) -> std::io::Result<Bytes> {
        Ok(match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                parts.iter().try_for_each(|part| encoder.write_all(part))?;
                encoder.finish()?
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                parts.iter().try_for_each(|part| encoder.write_all(part))?;
                encoder.finish()?
            }
        }
        .into())
    }
}

async fn maybe_elsewhere<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    if size < BLOCKING_BYTES {
        return Ok(work());
    }
    spawn_blocking(work).await.map_err(|_| Refusal::internal("compression panicked: this is a bug in windlass"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_compressed_comes_back() {
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            for size in [0, 10, BLOCKING_BYTES * 3] {
                let text = Bytes::from(vec![7; size]);
                for effort in ["none", "low", "medium", "high"] {
                    let effort = Effort::parse(effort).expect("a level");
                    let parts = vec![text.slice(..size / 2), text.slice(size / 2..)];
                    let compressed = encoding.compress(parts, effort).await.expect("work");

                    assert_eq!(encoding.decompress(compressed).await, Ok(text.clone()), "{encoding:?} {size}");
                }
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let bomb = encoding.compressed(&[Bytes::from(vec![0; 100_000])], Compression::fast()).expect("work");

            assert_eq!(encoding.decompressed(&bomb, 100_000).map(|bytes| bytes.len()), Ok(100_000));
            assert_eq!(encoding.decompressed(&bomb, 99_999), Err(Refusal::too_large(100_000, 99_999)));
        }
    }

    #[test]
    fn a_client_is_offered_what_it_says_it_reads() {
        for (accepted, expected) in [
            ("identity, deflate, gzip", Some(Encoding::Gzip)),
            ("deflate", Some(Encoding::Deflate)),
            ("identity", None),
        ] {
            let name = "grpc-accept-encoding".parse().expect("a name");
            let headers = HeaderMap::from_iter([(name, accepted.parse().expect("a value"))]);
            assert_eq!(Encoding::offered(&headers), expected, "{accepted}");
        }
        assert_eq!(Encoding::offered(&HeaderMap::new()), None);
    }

    #[test]
    fn a_level_that_is_none_is_refused() {
        let error = Effort::parse("most").expect_err("no level");
        assert_eq!(error.message, "compression level of gRPC answers `most`: expected none, low, medium or high");
    }

    #[test]
    fn what_is_not_compressed_is_refused() {
        let refusal = Encoding::Gzip.decompressed(b"this is no gzip at all", 100).expect_err("a refusal");

        assert_eq!((refusal.status, &refusal.message[..]), (3, "the message is not valid gzip: invalid gzip header"));
    }

    #[test]
    fn an_encoding_that_is_not_known_is_named() {
        let headers =
            HeaderMap::from_iter([("grpc-encoding".parse().expect("a name"), "snappy".parse().expect("a value"))]);

        let refusal = Encoding::of(&headers).expect_err("a refusal");

        assert_eq!(refusal.status, 12);
        assert!(refusal.message.contains("'snappy'"), "{}", refusal.message);
    }
}
