//! Messages on the socket: a length, and so many bytes.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

/// A message longer than this is none.
const MAX_BYTES: usize = i32::MAX as usize;
const PREFIX_BYTES: usize = 4;

/// Appends a message.
pub(super) fn put(out: &mut BytesMut, message: &impl Message) {
    let length = message.encoded_len();
    out.reserve(PREFIX_BYTES + length);
    out.put_u32_le(length as u32);
    // There is room for all of it.
    let _ = message.encode(out);
}

/// Takes the first message out of what has arrived; nothing while it is incomplete.
///
/// # Errors
/// For bytes that are no message: the other side is broken.
pub(super) fn take<M: Message + Default>(input: &mut BytesMut) -> io::Result<Option<M>> {
    let Some(prefix) = input.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let length = u32::from_le_bytes(*prefix) as usize;
    if length > MAX_BYTES {
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    if input.len() < PREFIX_BYTES + length {
        input.reserve(PREFIX_BYTES + length - input.len());
        return Ok(None);
    }
    input.advance(PREFIX_BYTES);
    let message: Bytes = input.split_to(length).freeze();
    M::decode(message).map(Some).map_err(io::Error::other)
}
