//! Traces as OpenTelemetry's spans, and the few messages of its protocol that carry them.

use prost::Message;

use crate::trace::context::random;
use crate::trace::record::{Event, Record};
use crate::trace::settings::Setup;

/// Spans of one resource, as a collector takes them.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "11")]
    events: Vec<SpanEvent>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct SpanEvent {
    #[prost(fixed64, tag = "1")]
    time_unix_nano: u64,
    #[prost(string, tag = "2")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 3")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Int(i64),
}

const KIND_INTERNAL: i32 = 1;
const KIND_SERVER: i32 = 2;
const STATUS_ERROR: i32 = 2;

impl ExportRequest {
    pub(super) fn new(setup: &Setup, spans: Vec<Span>) -> Self {
        let attributes = setup.resource.iter().map(|(key, value)| attribute(key, Value::Text(value.clone()))).collect();
        let scope = Some(Scope { name: "triton-server".to_owned() });
        let scope_spans = vec![ScopeSpans { scope, spans }];
        Self { resource_spans: vec![ResourceSpans { resource: Some(Resource { attributes }), scope_spans }] }
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

/// The spans of a trace: that of the front end for a request from outside, that of the model, and that of its execution below.
pub(super) fn spans(record: &Record) -> Vec<Span> {
    let mut spans = Vec::with_capacity(3);
    let mut parent = record.parent_span;
    if record.is_root {
        let id = random();
        spans.extend(span(record, "InferRequest", id, parent, Event::is_of_front_end).map(|span| Span {
            kind: KIND_SERVER,
            // The model's part lies within.
            start_time_unix_nano: record.events().map(|(_, ns)| ns).min().unwrap_or_default(),
            end_time_unix_nano: record.events().map(|(_, ns)| ns).max().unwrap_or_default(),
            ..span
        }));
        parent = id;
    }
    let of_model = |event: Event| !event.is_of_front_end() && !event.is_of_compute();
    spans.extend(span(record, &record.model, record.span_id, parent, of_model).map(|span| {
        let mut attributes = vec![
            attribute("triton.model_name", Value::Text(record.model.to_string())),
            attribute("triton.model_version", Value::Int(record.version)),
            attribute("triton.trace_id", Value::Int(record.id as i64)),
            attribute("triton.trace_parent_id", Value::Int(record.parent_id as i64)),
        ];
        if !record.request_id.is_empty() {
            attributes.push(attribute("triton.request_id", Value::Text(record.request_id.clone())));
        }
        let status = record.failed.then_some(Status { code: STATUS_ERROR });
        Span { attributes, status, ..span }
    }));
    spans.extend(span(record, "compute", random(), record.span_id, Event::is_of_compute));
    spans
}

/// A span over the events that belong to it; nothing when there are none.
fn span(record: &Record, name: &str, id: u64, parent: u64, belongs: impl Fn(Event) -> bool) -> Option<Span> {
    let events: Vec<SpanEvent> = record
        .events()
        .filter(|(event, _)| belongs(*event))
        .map(|(event, ns)| SpanEvent { time_unix_nano: ns, name: event.name().to_owned() })
        .collect();
    let times = || events.iter().map(|event| event.time_unix_nano);
    Some(Span {
        trace_id: record.trace_id.to_be_bytes().to_vec(),
        id: id.to_be_bytes().to_vec(),
        trace_state: record.state.clone(),
        parent_span_id: if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() },
        name: name.to_owned(),
        kind: KIND_INTERNAL,
        start_time_unix_nano: times().min()?,
        end_time_unix_nano: times().max()?,
        attributes: Vec::new(),
        events,
        status: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Name;
    use crate::trace::record::Note;

    fn record(is_root: bool) -> Record {
        let events = [
            (Event::HttpRecvStart, 1),
            (Event::RequestStart, 2),
            (Event::ComputeStart, 3),
            (Event::ComputeEnd, 5),
            (Event::RequestEnd, 6),
            (Event::HttpSendEnd, 8),
        ];
        let kept = events.into_iter().filter(|(event, _)| is_root || !event.is_of_front_end());
        Record {
            id: 7,
            model: Name::from("m"),
            version: 2,
            is_root,
            trace_id: 1,
            span_id: 9,
            parent_span: 4,
            notes: kept.map(|(event, ns)| Note::Event(event, ns)).collect(),
            ..Record::default()
        }
    }

    #[test]
    fn spans_lie_within_one_another() {
        let spans = spans(&record(true));

        let names: Vec<_> = spans.iter().map(|span| (&span.name[..], span.kind)).collect();
        assert_eq!(names, [("InferRequest", KIND_SERVER), ("m", KIND_INTERNAL), ("compute", KIND_INTERNAL)]);
        assert_eq!(spans[0].parent_span_id, 4_u64.to_be_bytes());
        assert_eq!(spans[1].parent_span_id, spans[0].id);
        assert_eq!(spans[2].parent_span_id, spans[1].id);
        let times: Vec<_> = spans.iter().map(|span| (span.start_time_unix_nano, span.end_time_unix_nano)).collect();
        assert_eq!(times, [(1, 8), (2, 6), (3, 5)]);
    }

    #[test]
    fn the_part_of_a_model_within_another_hangs_under_it() {
        let spans = spans(&record(false));

        assert_eq!(spans[0].parent_span_id, 4_u64.to_be_bytes());
        assert_eq!(spans.len(), 2);
    }
}
