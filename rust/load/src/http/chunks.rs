//! A body that comes in chunks, read past as its bytes arrive.

use crate::http::Malformed;

/// More digits than the length of any chunk has.
const MOST_DIGITS: u32 = 16;

/// Where in the body the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In a chunk's length: its value, and how many digits there were.
    Length(u64, u32),
    /// Behind a length, in what the standard lets be there.
    Extension(u64),
    /// Before the line feed behind a length.
    LengthEnd(u64),
    /// In a chunk, with so much to come.
    Data(u64),
    /// Behind a chunk.
    DataEnd,
    /// Behind that one's carriage return.
    DataLineFeed,
    /// At the start of a trailer line, or of the last line.
    Line,
    /// Within a trailer line.
    Trailer,
    /// Before the very last byte.
    LastLineFeed,
    /// Behind it.
    Over,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self::Length(0, 0)
    }

    /// Takes bytes up to the end of the body, and says how many; `keep` is shown what is data.
    pub(super) fn feed(&mut self, bytes: &[u8], mut keep: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut used = 0;
        while used < bytes.len() && *self != Self::Over {
            if let Self::Data(left) = *self {
                let rest = &bytes[used..];
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                keep(&rest[..count]);
                used += count;
                let left = left - count as u64;
                *self = if left == 0 { Self::DataEnd } else { Self::Data(left) };
            } else {
                *self = self.after(bytes[used])?;
                used += 1;
            }
        }
        Ok(used)
    }

    fn after(self, byte: u8) -> Result<Self, Malformed> {
        match (self, byte) {
            (Self::Length(value, digits), byte) => Self::in_length(value, digits, byte),
            (Self::Extension(value), b'\r') => Ok(Self::LengthEnd(value)),
            (Self::Extension(_), b'\n') => Err(Malformed),
            (Self::Extension(value), _) => Ok(Self::Extension(value)),
            (Self::LengthEnd(0) | Self::Trailer, b'\n') => Ok(Self::Line),
            (Self::LengthEnd(value), b'\n') => Ok(Self::Data(value)),
            (Self::DataEnd, b'\r') => Ok(Self::DataLineFeed),
            (Self::DataLineFeed, b'\n') => Ok(Self::new()),
            (Self::Line, b'\r') => Ok(Self::LastLineFeed),
            (Self::Line | Self::Trailer, _) => Ok(Self::Trailer),
            (Self::LastLineFeed, b'\n') => Ok(Self::Over),
            _ => Err(Malformed),
        }
    }

    fn in_length(value: u64, digits: u32, byte: u8) -> Result<Self, Malformed> {
        match (byte, char::from(byte).to_digit(16)) {
            (_, Some(digit)) if digits < MOST_DIGITS => Ok(Self::Length(value << 4 | u64::from(digit), digits + 1)),
            (b'\r', _) if digits > 0 => Ok(Self::LengthEnd(value)),
            (b';' | b' ' | b'\t', _) if digits > 0 => Ok(Self::Extension(value)),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<(usize, Vec<u8>, Chunks), Malformed> {
        let (mut chunks, mut data) = (Chunks::new(), Vec::new());
        let used = chunks.feed(bytes, |part| data.extend_from_slice(part))?;
        Ok((used, data, chunks))
    }

    #[test]
    fn chunks_are_joined_and_what_is_behind_them_is_left() {
        let (used, data, end) =
            read(b"3\r\nabc\r\n0A;x=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nHTTP").expect("chunks");
        assert_eq!((used, &data[..], end), (45, &b"abc0123456789"[..], Chunks::Over));
    }

    #[test]
    fn what_is_no_chunk_is_told() {
        for bytes in [&b"\r\n"[..], b"g\r\n", b"3\r\nabcd", b"3\nabc", b"11112222333344445\r\n", b"0\r\n\rx", b"-1\r\n"]
        {
            assert_eq!(read(bytes), Err(Malformed), "{bytes:?}");
        }
    }
}
