//! What a client asks of a model, and what it is answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::statistics::Spent;
use crate::tensor::{Name, Tensor};
use crate::trace::Trace;

/// The value of a request or response parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// A text.
    Text(String),
}

/// Parameters in the order they were given; there are few, so a list beats a map.
pub type Parameters = Vec<(String, Parameter)>;

/// Which sequence a request belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Correlation {
    /// To none.
    #[default]
    None,
    /// Identified by a number other than zero.
    Number(u64),
    /// Identified by a text that is not empty.
    Text(String),
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("0"),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// First request of its sequence.
pub const FLAG_SEQUENCE_START: u32 = 1;
/// Last request of its sequence.
pub const FLAG_SEQUENCE_END: u32 = 2;

/// One inference request, read and decoded, not yet checked against the model.
#[derive(Debug, Default)]
pub struct Request {
    /// The client's name for it; empty when it gave none.
    pub id: String,
    /// What the protocol does not interpret, for the model.
    pub parameters: Parameters,
    /// The tensors, in the order given.
    pub inputs: Vec<Tensor>,
    /// Outputs asked for; empty means all.
    pub outputs: Vec<Name>,
    /// 1 is most urgent; 0 leaves it to the model's configuration.
    pub priority: u64,
    /// How long it may wait in the queue, where the model lets a request say so.
    pub timeout: Option<Duration>,
    /// Which sequence it belongs to.
    pub correlation: Correlation,
    /// `FLAG_SEQUENCE_START` and `FLAG_SEQUENCE_END`.
    pub flags: u32,
    /// The trace it belongs to; `None` for the many that are not followed.
    pub trace: Option<Arc<Trace>>,
    /// Where its trace stands, as text: from model code that handed it on, or in a process that follows nothing itself.
    pub trace_context: Option<String>,
}

impl Request {
    /// Where its trace stands, as text that can leave the process.
    pub fn context(&self) -> Option<String> {
        self.trace.as_ref().map(|trace| trace.context()).or_else(|| self.trace_context.clone())
    }
}

impl Request {
    /// The same request without its tensors and the names of its outputs: what goes along to other models.
    #[must_use]
    pub fn without_tensors(&self) -> Self {
        Self {
            id: self.id.clone(),
            parameters: self.parameters.clone(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            priority: self.priority,
            timeout: self.timeout,
            correlation: self.correlation.clone(),
            flags: self.flags,
            trace: self.trace.as_ref().map(Trace::child),
            trace_context: None,
        }
    }
}

/// The answer to one request.
#[derive(Debug)]
pub struct Response {
    /// The request's id.
    pub id: String,
    /// The model that answered.
    pub model: Name,
    /// The version that answered.
    pub version: i64,
    /// What the model has to say besides.
    pub parameters: Parameters,
    /// The tensors, in the model's order.
    pub outputs: Vec<Tensor>,
    /// Where the time went; of one of several answers, since the one before.
    pub spent: Spent,
}
