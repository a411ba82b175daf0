//! Decodes a chunked body as it arrives.

use bytes::{Buf, BytesMut};

/// Non-empty chunks a body may have: more are an attack on whoever collects them.
const MAX_CHUNKS: usize = 65536;
/// Longest size line with its extensions, and all trailers together.
const MAX_LINE_BYTES: usize = 4096;

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is larger than allowed.
    TooLarge,
    /// It is malformed; the text tells how.
    Malformed(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Size,
    Data(usize),
    /// The line end behind the data of a chunk.
    End,
    Trailers(usize),
    Done,
}

/// A decoder for one body.
#[derive(Debug)]
pub(super) struct Decoder {
    phase: Phase,
    chunks: usize,
    limit: usize,
    body: BytesMut,
}

impl Decoder {
    /// For a body of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { phase: Phase::Size, chunks: 0, limit, body: BytesMut::new() }
    }

    /// Consumes what it can of the buffer; returns the body once it is complete.
    pub(super) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<BytesMut>, Fault> {
        loop {
            match self.phase {
                Phase::Size => {
                    let Some(line) = take_line(buffer)? else { return Ok(None) };
                    self.phase = match parse_size(&line).ok_or(Fault::Malformed("a chunk has no valid size"))? {
                        0 => Phase::Trailers(0),
                        size => self.chunk(size)?,
                    };
                }
                Phase::Data(size) => {
                    let part = size.min(buffer.len());
                    self.body.extend_from_slice(&buffer[..part]);
                    buffer.advance(part);
                    if part < size {
                        self.phase = Phase::Data(size - part);
                        return Ok(None);
                    }
                    self.phase = Phase::End;
                }
                Phase::End => {
                    let Some(line) = take_line(buffer)? else { return Ok(None) };
                    if !line.is_empty() {
                        return Err(Fault::Malformed("a chunk is longer than its size"));
                    }
                    self.phase = Phase::Size;
                }
                Phase::Trailers(seen) => {
                    let Some(line) = take_line(buffer)? else { return Ok(None) };
                    if seen + line.len() > MAX_LINE_BYTES {
                        return Err(Fault::Malformed("the trailers of a chunked body are too long"));
                    }
                    self.phase = if line.is_empty() { Phase::Done } else { Phase::Trailers(seen + line.len()) };
                }
                Phase::Done => return Ok(Some(std::mem::take(&mut self.body))),
            }
        }
    }

    fn chunk(&mut self, size: usize) -> Result<Phase, Fault> {
        self.chunks += 1;
        if self.chunks > MAX_CHUNKS {
            return Err(Fault::Malformed(
                "Chunked request body exceeds maximum of 65536 non-empty chunks. Send fewer or larger HTTP chunks.",
            ));
        }
        if size > self.limit - self.body.len() {
            return Err(Fault::TooLarge);
        }
        Ok(Phase::Data(size))
    }
}

fn take_line(buffer: &mut BytesMut) -> Result<Option<BytesMut>, Fault> {
    match buffer.iter().take(MAX_LINE_BYTES).position(|&byte| byte == b'\n') {
        Some(end) => {
            let mut line = buffer.split_to(end + 1);
            if !line.ends_with(b"\r\n") {
                return Err(Fault::Malformed("a line of a chunked body does not end in CR LF"));
            }
            line.truncate(end - 1);
            Ok(Some(line))
        }
        None if buffer.len() >= MAX_LINE_BYTES => Err(Fault::Malformed("a line of a chunked body is too long")),
        None => Ok(None),
    }
}

/// Hexadecimal digits, then perhaps extensions.
fn parse_size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(text: &[u8]) -> Result<Option<BytesMut>, Fault> {
        Decoder::new(100).decode(&mut BytesMut::from(text))
    }

    #[test]
    fn chunks_become_one_body() {
        let body = decode(b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n").expect("good");
        assert_eq!(&body.expect("complete")[..], b"abcde");
    }

    #[test]
    fn faults_are_told() {
        for text in ["x\r\n", "\r\n", "3\r\nabcd\r\n", "+3\r\n", "0x3\r\n", "3\nabc", "ffffffffffffffffff\r\n"] {
            assert!(matches!(decode(text.as_bytes()), Err(Fault::Malformed(_))), "{text}");
        }
        assert_eq!(decode(b"65\r\n"), Err(Fault::TooLarge));
    }

    proptest! {
        #[test]
        fn a_body_survives_any_chunking_and_any_arrival(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..5),
            step in 1_usize..7,
        ) {
            let mut wire: Vec<u8> = Vec::new();
            for chunk in &chunks {
                wire.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
            }
            wire.extend(b"0\r\n\r\n");
            let (mut decoder, mut buffer, mut body) = (Decoder::new(1000), BytesMut::new(), None);
            for part in wire.chunks(step) {
                buffer.extend_from_slice(part);
                body = decoder.decode(&mut buffer).expect("good");
            }
            prop_assert_eq!(body.expect("complete").to_vec(), chunks.concat());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
