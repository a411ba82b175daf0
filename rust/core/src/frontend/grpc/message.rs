//! Messages on their way out: a flag, a length, and so many bytes each.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::{Message, length_delimiter_len};

use crate::frontend::grpc::compression::{Effort, Encoding};
use crate::frontend::grpc::refusal::Refusal;
use crate::trace::Trace;

/// The protocol's limit for one message.
pub(super) const MAX_BYTES: usize = i32::MAX as usize;
/// The flag that tells of compression, and the length.
pub(super) const PREFIX_BYTES: usize = 5;
/// Fields up to this size are copied behind one another: a write of its own for each costs more.
const COPIED_BYTES: usize = 16 * 1024;

/// What a message has besides what it is encoded from.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// The key of the field that the message is, where it is part of another.
    pub(super) wrapper: Option<u8>,
    /// The key of further fields of bytes.
    pub(super) key: u8,
    /// They. Large ones are sent from where they are.
    pub(super) fields: Vec<Bytes>,
}

/// Messages behind one another, in parts that are sent one after the other.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    parts: VecDeque<Bytes>,
    /// What still grows, behind the parts.
    open: BytesMut,
    length: usize,
}

impl Outbox {
    /// Puts a message behind those that are there.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when it is longer than a message may be; nothing is put there then.
    pub(super) fn put(&mut self, message: &impl Message, extra: Extra) -> Result<(), Refusal> {
        let Extra { wrapper, key, fields } = extra;
        let field_length = |field: &Bytes| 1 + length_delimiter_len(field.len()) + field.len();
        let inner = message.encoded_len() + fields.iter().map(field_length).sum::<usize>();
        let length = inner + wrapper.map_or(0, |_| 1 + length_delimiter_len(inner));
        if length > MAX_BYTES {
            return Err(Refusal::invalid(format!(
                "Response has byte size {length} which exceeds gRPC's byte size limit {MAX_BYTES}."
            )));
        }
        let sent_in_place: usize = fields.iter().map(Bytes::len).filter(|&length| length > COPIED_BYTES).sum();
        self.length += PREFIX_BYTES + length;
        self.open.reserve(PREFIX_BYTES + length - sent_in_place);
        self.open.put_u8(0);
        self.open.put_u32(length as u32);
        if let Some(wrapper) = wrapper {
            self.open.put_u8(wrapper);
            prost::encoding::encode_varint(inner as u64, &mut self.open);
        }
        message.encode_raw(&mut self.open);
        for field in fields {
            self.open.put_u8(key);
            prost::encoding::encode_varint(field.len() as u64, &mut self.open);
            if field.len() <= COPIED_BYTES {
                self.open.put_slice(&field);
            } else {
                self.close();
                self.parts.push_back(field);
            }
        }
        Ok(())
    }

    /// How many bytes wait.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The next bytes to send, up to so many.
    pub(super) fn take(&mut self, limit: usize) -> Bytes {
        if self.parts.is_empty() {
            self.close();
        }
        let Some(part) = self.parts.front_mut() else { return Bytes::new() };
        let taken = part.split_to(limit.min(part.len()));
        if part.is_empty() {
            self.parts.pop_front();
        }
        self.length -= taken.len();
        taken
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.parts.push_back(self.open.split().freeze());
        }
    }
}

/// A message that answers a call, with its prefix.
#[derive(Debug)]
pub(super) struct Reply {
    parts: Vec<Bytes>,
    /// The trace of the request, which ends when this is on its way.
    trace: Option<Arc<Trace>>,
}

impl Reply {
    /// Encodes a message.
    ///
    /// # Errors
    /// As `Outbox::put`.
    pub(super) fn new(message: &impl Message) -> Result<Self, Refusal> {
        Self::with(message, Extra::default())
    }

    /// Encodes a message that has more.
    ///
    /// # Errors
    /// As `Outbox::put`.
    pub(super) fn with(message: &impl Message, extra: Extra) -> Result<Self, Refusal> {
        let mut outbox = Outbox::default();
        outbox.put(message, extra)?;
        outbox.close();
        Ok(Self { parts: outbox.parts.into(), trace: None })
    }

    /// The same, compressed.
    ///
    /// # Errors
    /// As `Encoding::compress`.
    pub(super) async fn compressed(mut self, encoding: Encoding, effort: Option<Effort>) -> Result<Self, Refusal> {
        if let Some(first) = self.parts.first_mut() {
            first.advance(PREFIX_BYTES);
        }
        let message = encoding.compress(self.parts, effort).await?;
        let mut prefix = BytesMut::with_capacity(PREFIX_BYTES);
        prefix.put_u8(1);
        prefix.put_u32(message.len() as u32);
        Ok(Self { parts: vec![prefix.freeze(), message], trace: self.trace })
    }

    /// The same, of a request that is traced.
    pub(super) fn of_trace(self, trace: Option<Arc<Trace>>) -> Self {
        Self { trace, ..self }
    }

    /// What is sent, and the trace it belongs to.
    pub(super) fn into_parts(self) -> (Vec<Bytes>, Option<Arc<Trace>>) {
        (self.parts, self.trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::inference::{ModelInferResponse, ModelStreamInferResponse};

    const RAW_OUTPUT_CONTENTS: u8 = 6 << 3 | 2;
    const INFER_RESPONSE: u8 = 2 << 3 | 2;

    fn response() -> ModelInferResponse {
        ModelInferResponse { id: "42".into(), ..ModelInferResponse::default() }
    }

    #[test]
    fn large_fields_are_sent_from_where_they_are() {
        let (small, large) = (Bytes::from_static(b"small"), Bytes::from(vec![7; COPIED_BYTES + 1]));
        let fields = vec![small.clone(), large.clone(), Bytes::new(), large.clone(), small.clone()];
        let extra = Extra { key: RAW_OUTPUT_CONTENTS, fields: fields.clone(), ..Extra::default() };

        let parts = Reply::with(&response(), extra).expect("not over the limit").into_parts().0;

        assert_eq!(parts.iter().filter(|part| part.as_ptr() == large.as_ptr()).count(), 2);
        let wire = parts.concat();
        let decoded = ModelInferResponse::decode(&wire[PREFIX_BYTES..]).expect("a message");
        assert_eq!(decoded.id, "42");
        assert!(decoded.raw_output_contents == fields);
        assert_eq!(wire[0], 0);
        assert_eq!(wire[1..PREFIX_BYTES], ((wire.len() - PREFIX_BYTES) as u32).to_be_bytes());
    }

    #[test]
    fn messages_follow_one_another_however_they_are_taken() {
        let fields = vec![Bytes::from_static(b"small"), Bytes::from(vec![7; COPIED_BYTES + 1])];
        for limit in [1, 7, 1000, usize::MAX] {
            let mut outbox = Outbox::default();
            for _ in 0..3 {
                let extra = Extra { wrapper: Some(INFER_RESPONSE), key: RAW_OUTPUT_CONTENTS, fields: fields.clone() };
                outbox.put(&response(), extra).expect("not over the limit");
            }

            let mut wire = Vec::new();
            while outbox.length() > 0 {
                let part = outbox.take(limit);
                assert!(!part.is_empty() && part.len() <= limit);
                wire.extend_from_slice(&part);
            }

            assert_eq!(outbox.take(limit), Bytes::new());
            let mut rest = &wire[..];
            for _ in 0..3 {
                let length = (&rest[1..]).get_u32() as usize;
                let message = ModelStreamInferResponse::decode(&rest[PREFIX_BYTES..][..length]).expect("a message");
                assert!(message.infer_response.expect("it is there").raw_output_contents == fields);
                rest = &rest[PREFIX_BYTES + length..];
            }
            assert!(rest.is_empty());
        }
    }
}
