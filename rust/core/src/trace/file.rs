//! Triton's trace file: a JSON array of what was noted, trace by trace, readable at any time.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::mpsc::Receiver;

use bytes::{BufMut, BytesMut};

use crate::frontend::json::writer;
use crate::tensor::DataType;
use crate::trace::record::{Note, Record, TensorNote};
use crate::trace::sink::Reporter;

/// The file being written.
pub(super) struct TraceFile {
    path: String,
    reporter: Reporter,
    open: Option<Open>,
    /// Numbers the files when there are several.
    next: u64,
    failing: bool,
}

struct Open {
    file: File,
    traces: u32,
    numbered: bool,
}

impl TraceFile {
    pub(super) fn new(path: String, reporter: Reporter) -> Self {
        Self { path, reporter, open: None, next: 0, failing: false }
    }

    /// Writes what comes until nobody is left who could send more.
    pub(super) fn run(mut self, records: &Receiver<Record>) {
        while let Ok(record) = records.recv() {
            self.reporter.tell_lost();
            match self.write(&record) {
                Ok(()) => self.failing = false,
                Err(error) => {
                    self.open = None;
                    if !std::mem::replace(&mut self.failing, true) {
                        self.reporter.failed(&format!("traces cannot be written to `{}`: {error}", self.path));
                    }
                }
            }
        }
    }

    fn write(&mut self, record: &Record) -> std::io::Result<()> {
        let numbered = record.log_frequency > 0;
        let full = |open: &Open| open.numbered != numbered || (numbered && open.traces >= record.log_frequency);
        if self.open.as_ref().is_none_or(full) {
            let path = if numbered { format!("{}.{}", self.path, self.next) } else { self.path.clone() };
            self.next += u64::from(numbered);
            let mut file = File::create(path)?;
            file.write_all(b"[]")?;
            self.open = Some(Open { file, traces: 0, numbered });
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut text = BytesMut::new();
        if open.traces > 0 {
            text.put_u8(b',');
        }
        encode(record, &mut text);
        text.put_u8(b']');
        // Over the bracket that ended the file before.
        open.file.seek(SeekFrom::End(-1))?;
        open.file.write_all(&text)?;
        open.traces += 1;
        Ok(())
    }
}

/// One trace: who it is, then a member for everything noted.
fn encode(record: &Record, out: &mut BytesMut) {
    let id = record.id;
    writer::display(&mut *out, format_args!("{{\"id\":{id},\"model_name\":"));
    writer::string(out, &record.model);
    writer::display(&mut *out, format_args!(",\"model_version\":{}", record.version));
    if !record.request_id.is_empty() {
        out.put_slice(b",\"request_id\":");
        writer::string(out, &record.request_id);
    }
    if record.parent_id != 0 {
        writer::display(&mut *out, format_args!(",\"parent_id\":{}", record.parent_id));
    }
    out.put_u8(b'}');
    for note in &record.notes {
        match note {
            Note::Event(event, ns) => writer::display(
                &mut *out,
                format_args!(",{{\"id\":{id},\"timestamps\":[{{\"name\":\"{}\",\"ns\":{ns}}}]}}", event.name()),
            ),
            Note::Tensor(tensor) => encode_tensor(id, tensor, out),
        }
    }
}

fn encode_tensor(id: u64, tensor: &TensorNote, out: &mut BytesMut) {
    let activity = tensor.activity.name();
    writer::display(&mut *out, format_args!(",{{\"id\":{id},\"activity\":\"{activity}\",\"tensor\":{{\"name\":"));
    writer::string(out, &tensor.name);
    out.put_slice(b",\"data\":");
    writer::string(out, &elements(tensor.data_type, &tensor.data).join(","));
    let shape: Vec<String> = tensor.shape.iter().map(i64::to_string).collect();
    writer::display(
        out,
        format_args!(",\"shape\":\"{}\",\"dtype\":\"{}\"}}}}", shape.join(","), tensor.data_type.name()),
    );
}

/// The elements as text; those of half precision as their bits, which is what the file has always held.
fn elements(data_type: DataType, data: &[u8]) -> Vec<String> {
    macro_rules! numbers {
        ($number:ty) => {
            data.as_chunks::<{ size_of::<$number>() }>()
                .0
                .iter()
                .map(|bytes| <$number>::from_le_bytes(*bytes).to_string())
                .collect()
        };
    }
    match data_type {
        DataType::Bool => data.iter().map(|&byte| (byte != 0).to_string()).collect(),
        DataType::Uint8 => numbers!(u8),
        DataType::Uint16 | DataType::Fp16 | DataType::Bf16 => numbers!(u16),
        DataType::Uint32 => numbers!(u32),
        DataType::Uint64 => numbers!(u64),
        DataType::Int8 => numbers!(i8),
        DataType::Int16 => numbers!(i16),
        DataType::Int32 => numbers!(i32),
        DataType::Int64 => numbers!(i64),
        DataType::Fp32 => numbers!(f32),
        DataType::Fp64 => numbers!(f64),
        DataType::Bytes => texts(data),
    }
}

fn texts(mut data: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let Some((text, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else { break };
        texts.push(format!("\"{}\"", String::from_utf8_lossy(text)));
        data = rest;
    }
    texts
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::tensor::Name;
    use crate::trace::record::{Activity, Event};

    #[test]
    fn a_trace_is_written_as_its_readers_expect() {
        let tensor = TensorNote {
            activity: Activity::QueueInput,
            name: Name::from("INPUT0"),
            data_type: DataType::Fp32,
            shape: vec![1, 2],
            data: Bytes::from([1.5_f32.to_le_bytes(), 2_f32.to_le_bytes()].concat()),
        };
        let record = Record {
            id: 2,
            parent_id: 1,
            model: Name::from("m"),
            version: 3,
            request_id: "seven".to_owned(),
            notes: vec![Note::Event(Event::RequestStart, 9), Note::Tensor(tensor)],
            ..Record::default()
        };
        let mut out = BytesMut::new();
        encode(&record, &mut out);
        assert_eq!(
            std::str::from_utf8(&out).expect("a text"),
            "{\"id\":2,\"model_name\":\"m\",\"model_version\":3,\"request_id\":\"seven\",\"parent_id\":1},\
             {\"id\":2,\"timestamps\":[{\"name\":\"REQUEST_START\",\"ns\":9}]},\
             {\"id\":2,\"activity\":\"TENSOR_QUEUE_INPUT\",\"tensor\":{\"name\":\"INPUT0\",\"data\":\"1.5,2\",\"shape\":\"1,2\",\
             \"dtype\":\"FP32\"}}"
        );
    }

    #[test]
    fn elements_are_told_by_their_type() {
        assert_eq!(elements(DataType::Bool, &[0, 1]), ["false", "true"]);
        assert_eq!(elements(DataType::Int16, &[255, 255, 1, 0]), ["-1", "1"]);
        assert_eq!(elements(DataType::Bytes, b"\x02\0\0\0hi\0\0\0\0"), ["\"hi\"", "\"\""]);
        assert_eq!(elements(DataType::Bytes, b"\x09\0\0\0hi"), Vec::<String>::new());
    }
}
