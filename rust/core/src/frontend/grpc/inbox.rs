//! What a client sends on one call: messages, each with a flag and its length in front.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::RecvStream;

use crate::frontend::grpc::compression::Encoding;
use crate::frontend::grpc::message::{MAX_BYTES, PREFIX_BYTES};
use crate::frontend::grpc::refusal::Refusal;

/// A length up to this is believed, and memory taken for it at once; the rest of a longer message has to come first.
const BELIEVED_BYTES: usize = 4 << 20;
/// Messages end at an address of which this is a divisor. The last tensor of a message ends where the message does, so a request with one
/// input needs no copy to have its elements where the processor wants them.
const ALIGNMENT: usize = 64;

type Unpacking = Pin<Box<dyn Future<Output = Result<Bytes, Refusal>> + Send>>;

/// The messages of one call, as they arrive. Nothing is read ahead: a client that is not listened to soon has to wait.
pub(super) struct Inbox {
    stream: RecvStream,
    encoding: Option<Encoding>,
    /// What arrived and is not yet part of a message.
    rest: Bytes,
    assembly: Assembly,
    /// A message that was compressed.
    unpacking: Option<Unpacking>,
}

impl Inbox {
    pub(super) fn new(stream: RecvStream, encoding: Option<Encoding>) -> Self {
        Self { stream, encoding, rest: Bytes::new(), assembly: Assembly::default(), unpacking: None }
    }

    /// The next message; none when the client has sent its last.
    ///
    /// # Errors
    /// When the stream ends early, the message is too long, or its compression does not hold. There is no use in reading on.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Refusal>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As `next`.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        loop {
            if let Some(work) = &mut self.unpacking {
                let message = ready!(work.as_mut().poll(context));
                self.unpacking = None;
                return Poll::Ready(Some(message));
            }
            match self.assembly.push(&mut self.rest) {
                Ok(true) => match self.opened() {
                    Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                    Ok(None) => continue,
                    Err(refusal) => return Poll::Ready(Some(Err(refusal))),
                },
                Ok(false) => {}
                Err(refusal) => return Poll::Ready(Some(Err(refusal))),
            }
            match ready!(self.stream.poll_data(context)) {
                Some(Ok(part)) => {
                    // It fails only for a stream that is gone, which the next read tells.
                    let _ = self.stream.flow_control().release_capacity(part.len());
                    self.rest = part;
                }
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(Refusal::invalid(format!("the request broke off: {error}")))));
                }
                None if self.assembly.is_empty() => return Poll::Ready(None),
                None => return Poll::Ready(Some(Err(Refusal::cut_off()))),
            }
        }
    }

    /// The message that is complete; none when it has to be decompressed first.
    fn opened(&mut self) -> Result<Option<Bytes>, Refusal> {
        let Assembly { prefix, bytes, .. } = mem::take(&mut self.assembly);
        match (prefix[0], self.encoding) {
            (0, _) => Ok(Some(bytes.freeze())),
            (1, Some(encoding)) => {
                self.unpacking = Some(Box::pin(encoding.decompress(bytes.freeze())));
                Ok(None)
            }
            (1, None) => {
                Err(Refusal::internal("the message is flagged as compressed, but no 'grpc-encoding' tells how"))
            }
            (flag, _) => Err(Refusal::invalid(format!("the message has compression flag {flag}, expected 0 or 1"))),
        }
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
    /// Takes what belongs to the message; true when it is complete. What follows it is left.
    fn push(&mut self, part: &mut Bytes) -> Result<bool, Refusal> {
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
        self.append(&part.split_to(part.len().min(wanted)));
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

    fn is_empty(&self) -> bool {
        self.prefix_length == 0
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::frontend::grpc::message::Reply;
    use crate::proto::inference::ModelInferRequest;
    use crate::tensor::Data;

    fn framed(length: usize) -> Bytes {
        let mut wire = vec![0];
        wire.extend((length as u32).to_be_bytes());
        wire.extend((0..length).map(|index| index as u8));
        wire.into()
    }

    fn push(assembly: &mut Assembly, part: &'static [u8]) -> Result<bool, Refusal> {
        assembly.push(&mut Bytes::from_static(part))
    }

    proptest! {
        #[test]
        fn however_it_is_cut_a_message_is_put_together(length in 0_usize..300, cuts in prop::collection::vec(0_usize..310, 0..8)) {
            let wire = framed(length);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(wire.len())).chain([0, wire.len()]).collect();
            cuts.sort_unstable();
            let mut assembly = Assembly::default();

            let complete: Vec<bool> = cuts
                .windows(2)
                .map(|cut| assembly.push(&mut wire.slice(cut[0]..cut[1])).expect("a good message"))
                .collect();

            prop_assert_eq!(complete.last(), Some(&true));
            prop_assert_eq!(&assembly.bytes[..], &wire[PREFIX_BYTES..]);
        }
    }

    #[test]
    fn a_message_ends_at_an_aligned_address() {
        for length in [1, 64, 100, BELIEVED_BYTES * 3 + 17] {
            let mut assembly = Assembly::default();

            for part in framed(length).chunks(1 << 20) {
                assembly.push(&mut Bytes::copy_from_slice(part)).expect("a good message");
            }

            assert_eq!(assembly.bytes.len(), length);
            assert_eq!((assembly.bytes.as_ptr() as usize + length) % ALIGNMENT, 0, "{length}");
        }
    }

    #[test]
    fn the_last_tensor_of_a_message_can_be_used_where_it_is() {
        let tensor = Bytes::from(vec![7; 4000]);
        let message = ModelInferRequest { id: "odd".into(), raw_input_contents: vec![tensor], ..Default::default() };
        let wire = Reply::new(&message).expect("not over the limit").into_parts().0.concat();
        let mut assembly = Assembly::default();
        assembly.push(&mut wire.into()).expect("a good message");
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

        push(&mut assembly, &[0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3]).expect("not over the limit");

        assert!(assembly.bytes.capacity() <= BELIEVED_BYTES + ALIGNMENT, "{}", assembly.bytes.capacity());
    }

    #[test]
    fn a_length_over_the_limit_is_refused_at_once() {
        let refusal = push(&mut Assembly::default(), &[0, 0x80, 0, 0, 0]).expect_err("a refusal");

        assert_eq!(refusal.status, 8);
        assert_eq!(refusal.message, "Received message larger than max (2147483648 vs. 2147483647)");
    }

    #[test]
    fn what_follows_a_message_is_left() {
        let mut assembly = Assembly::default();
        let mut part = Bytes::from_static(&[0, 0, 0, 0, 2, 7, 8, 9]);

        assert!(assembly.push(&mut part).expect("a good message"));
        assert_eq!((&assembly.bytes[..], &part[..]), (&[7, 8][..], &[9][..]));
    }
}
