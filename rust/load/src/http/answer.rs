//! An answer, read as its bytes arrive. Bodies are read past; only the beginning of one that says what went wrong is kept.

use std::mem;

use crate::asked::TEXT_BYTES;
use crate::http::Malformed;
use crate::http::chunks::Chunks;

/// Longer heads are no heads.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;

/// Reads one answer after the other.
#[derive(Debug)]
pub(crate) struct Answer {
    part: Part,
    /// A head that has not come whole.
    head: Vec<u8>,
    status: u16,
    keeps: bool,
    text: Vec<u8>,
    /// Whether answers have no bodies, whatever their heads say.
    bodyless: bool,
}

#[derive(Debug)]
enum Part {
    Head,
    /// A body of a known length, with so much to come.
    Sized(u64),
    Chunked(Chunks),
    /// A body that ends with the connection.
    Endless,
}

/// What an answer said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    /// Whether the connection can be used again.
    pub(crate) keeps: bool,
    /// The beginning of the body, unless the status is one of success.
    pub(crate) text: Vec<u8>,
}

impl Said {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Answer {
    pub(crate) fn new(bodyless: bool) -> Self {
        Self { part: Part::Head, head: Vec::new(), status: 0, keeps: true, text: Vec::new(), bodyless }
    }

    /// Takes bytes up to the end of the answer, and says how many, and what the answer was once it is whole.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(usize, Option<Said>), Malformed> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            match &mut self.part {
                Part::Head => match self.head(rest)? {
                    Some(count) => used += count,
                    None => return Ok((bytes.len(), None)),
                },
                Part::Sized(left) => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= count as u64;
                    let over = *left == 0;
                    self.keep(&rest[..count]);
                    return Ok((used + count, over.then(|| self.finish())));
                }
                Part::Chunked(chunks) => {
                    let mut chunks = *chunks;
                    let count = chunks.feed(rest, |data| self.keep(data))?;
                    self.part = Part::Chunked(chunks);
                    return Ok((used + count, (chunks == Chunks::Over).then(|| self.finish())));
                }
                Part::Endless => {
                    self.keep(rest);
                    return Ok((bytes.len(), None));
                }
            }
        }
    }

    /// The connection has ended: what the answer was, if it was to end like that.
    pub(crate) fn end(&mut self) -> Option<Said> {
        matches!(self.part, Part::Endless).then(|| self.finish())
    }

    /// Takes a head, and says how many of the bytes are its; nothing while it is not whole.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if self.head.is_empty() {
            let taken = self.parse(bytes)?;
            if taken.is_none() {
                self.head.extend_from_slice(bytes);
            }
            return Ok(taken);
        }
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let head = mem::take(&mut self.head);
        let taken = self.parse(&head)?;
        if taken.is_none() {
            self.head = head;
        }
        Ok(taken.map(|count| count - before))
    }

    fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let count = match head.parse(bytes).map_err(|_| Malformed)? {
            httparse::Status::Complete(count) => count,
            httparse::Status::Partial if bytes.len() > MAX_HEAD_BYTES => return Err(Malformed),
            httparse::Status::Partial => return Ok(None),
        };
        let (status, version) = (head.code.ok_or(Malformed)?, head.version.ok_or(Malformed)?);
        if status == 101 {
            return Err(Malformed);
        }
        // An answer before the answer is read past.
        if status >= 200 {
            let framing = Framing::read(head.headers, version == 1)?;
            (self.status, self.keeps) = (status, framing.keeps);
            let empty = self.bodyless || status == 204 || status == 304;
            self.part = if empty { Part::Sized(0) } else { framing.part() };
        }
        Ok(Some(count))
    }

    fn keep(&mut self, data: &[u8]) {
        if !(200..300).contains(&self.status) {
            let room = TEXT_BYTES.saturating_sub(self.text.len());
            self.text.extend_from_slice(&data[..room.min(data.len())]);
        }
    }

    fn finish(&mut self) -> Said {
        let keeps = self.keeps && !matches!(self.part, Part::Endless);
        self.part = Part::Head;
        Said { status: self.status, keeps, text: mem::take(&mut self.text) }
    }
}

/// What a head says of the body and of the connection.
struct Framing {
    length: Option<u64>,
    chunked: bool,
    keeps: bool,
}

impl Framing {
    fn read(headers: &[httparse::Header<'_>], is_http_1_1: bool) -> Result<Self, Malformed> {
        let mut framing = Self { length: None, chunked: false, keeps: is_http_1_1 };
        for header in headers {
            // Few headers matter, and most are told from these by their lengths.
            match header.name.len() {
                14 if header.name.eq_ignore_ascii_case("content-length") => framing.length(header.value)?,
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    framing.chunked = last_word(header.value).eq_ignore_ascii_case(b"chunked");
                    if !framing.chunked {
                        return Err(Malformed);
                    }
                }
                10 if header.name.eq_ignore_ascii_case("connection") => framing.connection(header.value),
                _ => {}
            }
        }
        Ok(framing)
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let digits = value.trim_ascii();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Malformed);
        }
        let length = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(Malformed)?;
        if self.length.replace(length).is_some_and(|before| before != length) {
            return Err(Malformed);
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for word in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if word.eq_ignore_ascii_case(b"close") {
                self.keeps = false;
            } else if word.eq_ignore_ascii_case(b"keep-alive") {
                self.keeps = true;
            }
        }
    }

    fn part(&self) -> Part {
        match self.length {
            _ if self.chunked => Part::Chunked(Chunks::new()),
            Some(length) => Part::Sized(length),
            None => Part::Endless,
        }
    }
}

fn last_word(value: &[u8]) -> &[u8] {
    value.rsplit(|byte| *byte == b',').next().unwrap_or(value).trim_ascii()
}

#[cfg(test)]
mod tests;
