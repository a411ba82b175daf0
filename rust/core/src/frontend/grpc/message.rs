//! One message on the wire: a flag, a length, and so many bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::RecvStream;
use prost::{Message, length_delimiter_len};

use crate::frontend::grpc::compression::Encoding;
use crate::frontend::grpc::refusal::Refusal;

/// The protocol's limit for one message.
pub(super) const MAX_BYTES: usize = i32::MAX as usize;
const PREFIX_BYTES: usize = 5;
/// A length up to this is believed, and memory taken for it at once; the rest of a longer message has to come first.
const BELIEVED_BYTES: usize = 4 << 20;
/// Messages end at an address of which this is a divisor. The last tensor of a message ends where the message does, so a request with one
/// input needs no copy to have its elements where the processor wants them.
const ALIGNMENT: usize = 64;
/// Fields up to this size are copied behind one another: a write of its own for each costs more.
const COPIED_BYTES: usize = 16 * 1024;

/// Reads the message of a call.
///
/// # Errors
/// When the stream ends early, the message is too long, or its compression does not hold.
pub(super) async fn receive(mut stream: RecvStream, encoding: Option<Encoding>) -> Result<Bytes, Refusal> {
    let mut assembly = Assembly::default();
    loop {
        let part = match stream.data().await {
            Some(Ok(part)) => part,
            Some(Err(error)) => return Err(Refusal::invalid(format!("the request broke off: {error}"))),
            None => return Err(Refusal::invalid("the request ended before its message was complete")),
        };
        let complete = assembly.push(&part)?;
        // It fails only for a stream that is gone, which the next read tells.
        let _ = stream.flow_control().release_capacity(part.len());
        if complete {
            break;
        }
    }
    match (assembly.prefix[0], encoding) {
        (0, _) => Ok(assembly.bytes.freeze()),
        (1, Some(encoding)) => encoding.decompress(assembly.bytes.freeze()).await,
        (1, None) => Err(Refusal::internal("the message is flagged as compressed, but no 'grpc-encoding' tells how")),
        (flag, _) => Err(Refusal::invalid(format!("the message has compression flag {flag}, expected 0 or 1"))),
    }
}

/// A message as far as it has come.
#[derive(Default)]
struct Assembly {
    prefix: [u8; PREFIX_BYTES],
    prefix_length: usize,
    bytes: BytesMut,
}

impl Assembly {
    /// Adds what came; true when the message is complete. What follows a complete message is ignored.
    fn push(&mut self, mut part: &[u8]) -> Result<bool, Refusal> {
        if self.prefix_length < PREFIX_BYTES {
            let count = part.len().min(PREFIX_BYTES - self.prefix_length);
            part.copy_to_slice(&mut self.prefix[self.prefix_length..][..count]);
            self.prefix_length += count;
            if self.prefix_length < PREFIX_BYTES {
                return Ok(false);
            }
            if self.length() > MAX_BYTES {
                return Err(Refusal::too_large(self.length(), MAX_BYTES));
            }
            self.bytes = aligned(self.length(), self.length().min(BELIEVED_BYTES));
        }
        let wanted = self.length() - self.bytes.len();
        self.append(&part[..part.len().min(wanted)]);
        Ok(self.bytes.len() == self.length())
    }

    fn append(&mut self, part: &[u8]) {
        let size = self.bytes.len() + part.len();
        if size > self.bytes.capacity() {
            let mut larger = aligned(self.length(), self.length().min(size.max(self.bytes.len() * 2)));
            larger.put_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.put_slice(part);
    }

    fn length(&self) -> usize {
        let [_, length @ ..] = self.prefix;
        u32::from_be_bytes(length) as usize
    }
}

/// Memory for the first `capacity` bytes of a message, placed so that the whole would end at an aligned address.
fn aligned(length: usize, capacity: usize) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(capacity + ALIGNMENT);
    let end = bytes.as_ptr() as usize + length;
    let gap = end.next_multiple_of(ALIGNMENT) - end;
    bytes.put_bytes(0, gap);
    bytes.advance(gap);
    bytes
}

/// A message on its way out, its prefix in front, in parts that are sent one after the other.
#[derive(Debug)]
pub(super) struct Reply {
    parts: Vec<Bytes>,
}

impl Reply {
    /// Encodes a message.
    ///
    /// # Errors
    /// As `with_fields`.
    pub(super) fn new(message: &impl Message) -> Result<Self, Refusal> {
        Self::with_fields(message, 0, Vec::new())
    }

    /// Encodes a message, and more fields of bytes that follow it, all with one key. Large ones are sent from where they are.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when it is longer than a message may be.
    pub(super) fn with_fields(message: &impl Message, key: u8, fields: Vec<Bytes>) -> Result<Self, Refusal> {
        let field_length = |field: &Bytes| 1 + length_delimiter_len(field.len()) + field.len();
        let length = message.encoded_len() + fields.iter().map(field_length).sum::<usize>();
        if length > MAX_BYTES {
            return Err(Refusal::invalid(format!(
                "Response has byte size {length} which exceeds gRPC's byte size limit {MAX_BYTES}."
            )));
        }
        let copied: usize = fields.iter().map(Bytes::len).filter(|&length| length <= COPIED_BYTES).sum();
        let mut open = BytesMut::with_capacity(PREFIX_BYTES + message.encoded_len() + copied + 10 * fields.len());
        open.put_u8(0);
        open.put_u32(length as u32);
        message.encode_raw(&mut open);
        let mut parts = Vec::with_capacity(1);
        for field in fields {
            open.put_u8(key);
            prost::encoding::encode_varint(field.len() as u64, &mut open);
            if field.len() <= COPIED_BYTES {
                open.put_slice(&field);
            } else {
                parts.push(open.split().freeze());
                parts.push(field);
            }
        }
        if !open.is_empty() {
            parts.push(open.freeze());
        }
        Ok(Self { parts })
    }

    /// The same, compressed.
    ///
    /// # Errors
    /// As `Encoding::compress`.
    pub(super) async fn compressed(mut self, encoding: Encoding) -> Result<Self, Refusal> {
        if let Some(first) = self.parts.first_mut() {
            first.advance(PREFIX_BYTES);
        }
        let message = encoding.compress(self.parts).await?;
        let mut prefix = BytesMut::with_capacity(PREFIX_BYTES);
        prefix.put_u8(1);
        prefix.put_u32(message.len() as u32);
        Ok(Self { parts: vec![prefix.freeze(), message] })
    }

    /// What is sent.
    pub(super) fn into_parts(self) -> Vec<Bytes> {
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::inference::{ModelInferRequest, ModelInferResponse};
    use crate::tensor::Data;

    fn framed(length: usize) -> Vec<u8> {
        let mut wire = vec![0];
        wire.extend((length as u32).to_be_bytes());
        wire.extend((0..length).map(|index| index as u8));
        wire
    }

    proptest! {
        #[test]
        fn however_it_is_cut_a_message_is_put_together(length in 0_usize..300, cuts in prop::collection::vec(0_usize..310, 0..8)) {
            let wire = framed(length);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(wire.len())).chain([0, wire.len()]).collect();
            cuts.sort_unstable();
            let mut assembly = Assembly::default();

            let complete: Vec<bool> =
                cuts.windows(2).map(|cut| assembly.push(&wire[cut[0]..cut[1]]).expect("a good message")).collect();

            prop_assert_eq!(complete.last(), Some(&true));
            prop_assert_eq!(&assembly.bytes[..], &wire[PREFIX_BYTES..]);
        }
    }

    #[test]
    fn a_message_ends_at_an_aligned_address() {
        for length in [1, 64, 100, BELIEVED_BYTES * 3 + 17] {
            let mut assembly = Assembly::default();

            for part in framed(length).chunks(1 << 20) {
                assembly.push(part).expect("a good message");
            }

            assert_eq!(assembly.bytes.len(), length);
            assert_eq!((assembly.bytes.as_ptr() as usize + length) % ALIGNMENT, 0, "{length}");
        }
    }

    #[test]
    fn the_last_tensor_of_a_message_can_be_used_where_it_is() {
        let tensor = Bytes::from(vec![7; 4000]);
        let message = ModelInferRequest { id: "odd".into(), raw_input_contents: vec![tensor], ..Default::default() };
        let wire = Reply::new(&message).expect("not over the limit").into_parts().concat();
        let mut assembly = Assembly::default();
        assembly.push(&wire).expect("a good message");
        let place = assembly.bytes.as_ptr_range();

        let decoded = ModelInferRequest::decode(assembly.bytes.freeze()).expect("a message");

        let tensor = Data::from(decoded.raw_input_contents[0].clone());
        drop(decoded);
        let unique = tensor.into_unique();
        assert!(place.contains(&unique.as_ptr()), "not copied");
        assert_eq!(unique.as_ptr() as usize % 8, 0, "aligned for every data type");
    }

    #[test]
    fn a_length_that_lies_takes_little_memory() {
        let mut assembly = Assembly::default();

        assembly.push(&[0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3]).expect("not over the limit");

        assert!(assembly.bytes.capacity() <= BELIEVED_BYTES + ALIGNMENT, "{}", assembly.bytes.capacity());
    }

    #[test]
    fn a_length_over_the_limit_is_refused_at_once() {
        let refusal = Assembly::default().push(&[0, 0x80, 0, 0, 0]).expect_err("a refusal");

        assert_eq!(refusal.status, 8);
        assert_eq!(refusal.message, "Received message larger than max (2147483648 vs. 2147483647)");
    }

    #[test]
    fn large_fields_are_sent_from_where_they_are() {
        let (small, large) = (Bytes::from_static(b"small"), Bytes::from(vec![7; COPIED_BYTES + 1]));
        let message = ModelInferResponse { id: "42".into(), ..ModelInferResponse::default() };
        let fields = vec![small.clone(), large.clone(), Bytes::new(), large.clone(), small.clone()];

        let parts = Reply::with_fields(&message, 6 << 3 | 2, fields.clone()).expect("not over the limit").into_parts();

        assert_eq!(parts.iter().filter(|part| part.as_ptr() == large.as_ptr()).count(), 2);
        let wire = parts.concat();
        let decoded = ModelInferResponse::decode(&wire[PREFIX_BYTES..]).expect("a message");
        assert_eq!(decoded.id, "42");
        assert!(decoded.raw_output_contents == fields);
        assert_eq!(wire[..PREFIX_BYTES], framed(wire.len() - PREFIX_BYTES)[..PREFIX_BYTES]);
    }

    #[test]
    fn what_follows_a_message_is_ignored() {
        let mut assembly = Assembly::default();

        assert!(assembly.push(&[0, 0, 0, 0, 2, 7, 8, 9]).expect("a good message"));
        assert_eq!(&assembly.bytes[..], [7, 8]);
    }
}
