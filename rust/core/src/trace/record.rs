//! What is known of a request that was traced, once it is answered.

use bytes::Bytes;

use crate::tensor::{DataType, Name, Shape};

/// A station on the way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    HttpRecvStart,
    HttpRecvEnd,
    HttpSendStart,
    HttpSendEnd,
    GrpcReadStart,
    GrpcReadEnd,
    GrpcSendStart,
    GrpcSendEnd,
    RequestStart,
    QueueStart,
    ComputeStart,
    ComputeInputEnd,
    ComputeOutputStart,
    ComputeEnd,
    ResponseComplete,
    RequestEnd,
}

impl Event {
    /// Its name in the file and in spans.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HttpRecvStart => "HTTP_RECV_START",
            Self::HttpRecvEnd => "HTTP_RECV_END",
            Self::HttpSendStart => "HTTP_SEND_START",
            Self::HttpSendEnd => "HTTP_SEND_END",
            Self::GrpcReadStart => "GRPC_WAITREAD_START",
            Self::GrpcReadEnd => "GRPC_WAITREAD_END",
            Self::GrpcSendStart => "GRPC_SEND_START",
            Self::GrpcSendEnd => "GRPC_SEND_END",
            Self::RequestStart => "REQUEST_START",
            Self::QueueStart => "QUEUE_START",
            Self::ComputeStart => "COMPUTE_START",
            Self::ComputeInputEnd => "COMPUTE_INPUT_END",
            Self::ComputeOutputStart => "COMPUTE_OUTPUT_START",
            Self::ComputeEnd => "COMPUTE_END",
            Self::ResponseComplete => "INFER_RESPONSE_COMPLETE",
            Self::RequestEnd => "REQUEST_END",
        }
    }

    /// Whether the front end notes it.
    pub(super) fn is_of_front_end(self) -> bool {
        self as u8 <= Self::GrpcSendEnd as u8
    }

    /// Whether it lies within the execution.
    pub(super) fn is_of_compute(self) -> bool {
        (Self::ComputeStart as u8..=Self::ComputeEnd as u8).contains(&(self as u8))
    }
}

/// When a tensor was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    QueueInput,
    BackendInput,
    BackendOutput,
}

impl Activity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::QueueInput => "TENSOR_QUEUE_INPUT",
            Self::BackendInput => "TENSOR_BACKEND_INPUT",
            Self::BackendOutput => "TENSOR_BACKEND_OUTPUT",
        }
    }
}

/// What a tensor held.
#[derive(Debug)]
pub(crate) struct TensorNote {
    pub(crate) activity: Activity,
    pub(crate) name: Name,
    pub(crate) data_type: DataType,
    pub(crate) shape: Shape,
    pub(crate) data: Bytes,
}

/// Something that was noted.
#[derive(Debug)]
pub(crate) enum Note {
    /// A station and when it was passed, in nanoseconds.
    Event(Event, u64),
    Tensor(TensorNote),
}

/// All that was noted of one trace.
#[derive(Debug)]
pub(crate) struct Record {
    pub(super) id: u64,
    /// The trace it follows from; 0 for none.
    pub(super) parent_id: u64,
    pub(super) model: Name,
    pub(super) version: i64,
    pub(super) request_id: String,
    /// Whether it came in through a front end.
    pub(super) is_root: bool,
    pub(super) trace_id: u128,
    /// The model's span.
    pub(super) span_id: u64,
    /// The span above, in this server or before it; 0 for none.
    pub(super) parent_span: u64,
    pub(super) state: String,
    pub(super) failed: bool,
    pub(super) log_frequency: u32,
    pub(super) notes: Vec<Note>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            id: 0,
            parent_id: 0,
            model: Name::from(""),
            version: 0,
            request_id: String::new(),
            is_root: false,
            trace_id: 0,
            span_id: 0,
            parent_span: 0,
            state: String::new(),
            failed: false,
            log_frequency: 0,
            notes: Vec::new(),
        }
    }
}

impl Record {
    pub(super) fn events(&self) -> impl Iterator<Item = (Event, u64)> + '_ {
        self.notes.iter().filter_map(|note| match note {
            Note::Event(event, ns) => Some((*event, *ns)),
            Note::Tensor(_) => None,
        })
    }
}
