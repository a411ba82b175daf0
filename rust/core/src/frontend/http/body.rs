//! Reads the body of a request into the place where its tensors are used.

use std::io;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Error;
use crate::frontend::http::chunked::{Decoder, Fault};
use crate::frontend::http::head::{Framing, Head};
use crate::frontend::http::response::Response;
use crate::frontend::http::wire::{Arrival, REQUEST_PATIENCE, Wire};

/// Tensors behind the JSON begin at such an address, which suits every data type and the widest vector unit.
const ALIGNMENT: usize = 64;
/// A body up to this size is given all its memory on its word.
const TRUSTED_BYTES: usize = 1024 * 1024;
/// So much of a larger one has to arrive before it is given more,
const EARNEST_BYTES: usize = 64 * 1024;
/// and then this much, or four times what arrived: a lie costs the liar a quarter.
const CREDIT_BYTES: usize = 16 * 1024 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Reads the body. One that cannot be had is answered; nobody knows then where the next request would start.
    pub(super) async fn body(&mut self, head: &Head, limit: usize) -> io::Result<Result<BytesMut, Response>> {
        match head.framing {
            Framing::Length(length) if length > limit => return Ok(Err(too_large(&length.to_string(), limit))),
            Framing::Length(length) if length <= self.input.len() => return Ok(Ok(self.input.split_to(length))),
            _ => {}
        }
        if head.expects_continue {
            self.output.put_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.flush().await?;
        self.allow(REQUEST_PATIENCE);
        match head.framing {
            Framing::Length(length) => self.sized_body(length, tail_offset(head)).await,
            Framing::Chunked => self.chunked_body(limit, tail_offset(head)).await,
        }
    }

    async fn sized_body(&mut self, length: usize, tail_offset: usize) -> io::Result<Result<BytesMut, Response>> {
        let mut body = aligned(if length <= TRUSTED_BYTES { length } else { EARNEST_BYTES }, tail_offset);
        body.extend_from_slice(&self.input);
        self.input.clear();
        while body.len() < length {
            if body.len() == body.capacity() {
                let arrived = body;
                body = aligned(length.min(CREDIT_BYTES.max(4 * arrived.len())), tail_offset);
                body.extend_from_slice(&arrived);
            }
            match self.read_into(&mut body).await? {
                Arrival::Bytes => self.allow(REQUEST_PATIENCE),
                Arrival::End => return Ok(Err(cut_off(body.len(), length))),
                Arrival::Late => return Ok(Err(too_slow())),
            }
        }
        // There was room for a little more than the body, so that a read that takes all there is tells that it did.
        self.input.extend_from_slice(&body[length..]);
        body.truncate(length);
        Ok(Ok(body))
    }

    async fn chunked_body(&mut self, limit: usize, tail_offset: usize) -> io::Result<Result<BytesMut, Response>> {
        let mut decoder = Decoder::new(limit);
        loop {
            match decoder.decode(&mut self.input) {
                Ok(Some(body)) if tail_offset == 0 => return Ok(Ok(body)),
                Ok(Some(body)) => {
                    let mut place = aligned(body.len(), tail_offset);
                    place.extend_from_slice(&body);
                    return Ok(Ok(place));
                }
                Ok(None) => {}
                Err(Fault::TooLarge) => return Ok(Err(too_large("too many", limit))),
                Err(Fault::Malformed(message)) => return Ok(Err(Error::invalid(message).into())),
            }
            match self.read(EARNEST_BYTES).await? {
                Arrival::Bytes => self.allow(REQUEST_PATIENCE),
                Arrival::End => {
                    let message = "the connection ended before the last chunk of the request body";
                    return Ok(Err(Error::invalid(message).into()));
                }
                Arrival::Late => return Ok(Err(too_slow())),
            }
        }
    }
}

/// Room for a body of that size and a little more, placed so that what follows `tail_offset` is aligned.
fn aligned(size: usize, tail_offset: usize) -> BytesMut {
    let mut memory = BytesMut::with_capacity(size + ALIGNMENT);
    let address = memory.as_ptr() as usize % ALIGNMENT + tail_offset % ALIGNMENT;
    let pad = address.next_multiple_of(ALIGNMENT) - address;
    memory.resize(pad, 0);
    memory.split_off(pad)
}

/// Where the tensors begin, as far as the head tells.
fn tail_offset(head: &Head) -> usize {
    let text = head.json_length.as_ref().and_then(|length| std::str::from_utf8(length).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn too_large(size: &str, limit: usize) -> Response {
    Error::invalid(format!(
        "request JSON size of {size} bytes exceeds the maximum allowed input size of {limit} bytes. Use --http-max-input-size to increase \
         the limit."
    ))
    .into()
}

fn cut_off(arrived: usize, length: usize) -> Response {
    Error::invalid(format!("the connection ended after {arrived} of {length} bytes of the request body")).into()
}

fn too_slow() -> Response {
    Response::fault(408, "the request body did not arrive in time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_offset_is_aligned_wherever_it_is() {
        for offset in [0, 1, 63, 64, 199, usize::MAX] {
            let body = aligned(1000, offset);
            assert_eq!((body.as_ptr() as usize).wrapping_add(offset) % ALIGNMENT, 0, "{offset}");
            assert!(body.capacity() > 1000, "there is room for a read that finds no more");
        }
    }
}
