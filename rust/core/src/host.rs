//! What a model's code may ask of the server that runs it, wherever that code runs: in the server's process, or in one of its own.

use std::fmt;

use crate::control::ControlParameter;
use crate::error::Result;
use crate::instance::Outputs;
use crate::request::Request;

/// The server, as model code sees it. Methods block; they are called on the model's threads.
pub trait Host: Send + Sync {
    /// Asks another model. `version` -1 takes the latest. A decoupled model has to be expected.
    ///
    /// # Errors
    /// As for any client: the model is unknown, the request does not fit it, its queue is full.
    fn infer(&self, model: &str, version: i64, request: Request, decoupled: bool) -> Result<Box<dyn Replies>>;

    /// Loads a model.
    ///
    /// # Errors
    /// As over the network.
    fn load(&self, model: &str, parameters: Vec<(String, ControlParameter)>) -> Result<()>;

    /// Unloads a model.
    ///
    /// # Errors
    /// As over the network.
    fn unload(&self, model: &str, unload_dependents: bool) -> Result<()>;

    /// Whether a model is ready; an empty version means any.
    ///
    /// # Errors
    /// For a version that is no number.
    fn is_ready(&self, model: &str, version: &str) -> Result<bool>;

    /// Declares a family of metrics. Declaring the same once more is fine.
    ///
    /// # Errors
    /// `INVALID_ARG` for a name that is none, or is taken by a family of another kind.
    fn declare_metric(&self, family: &MetricFamily) -> Result<()>;

    /// Changes one metric of a family, and returns its value then; a histogram has none, but the sum of what was observed.
    ///
    /// # Errors
    /// `NOT_FOUND` for a family that was not declared; `UNSUPPORTED` for a change its kind does not know; `INVALID_ARG` for a counter that
    /// would fall.
    fn change_metric(&self, metric: &MetricName, change: MetricChange) -> Result<f64>;
}

/// The answers of another model, one after the other.
pub trait Replies: Send {
    /// Waits for the next; none after the last. The last may be empty.
    fn next(&mut self) -> Option<Option<Result<Outputs>>>;

    /// Loses interest in the rest.
    fn cancel(&mut self);
}

/// The way back to a client, for answers when and as often as the model likes.
pub trait Respond: Send + fmt::Debug {
    /// Gives an answer; the last may be empty. After the last nothing more is taken.
    fn respond(&mut self, result: Option<Result<Outputs>>, last: bool);

    /// Whether the last answer was given.
    fn has_ended(&self) -> bool;

    /// Whether the client went away.
    fn is_cancelled(&self) -> bool;
}

/// A request that a model's code executes, wherever that is.
pub trait Task {
    /// What is asked.
    fn request(&self) -> &Request;

    /// The same, to take tensors out.
    fn request_mut(&mut self) -> &mut Request;

    /// Rows it has in the batch.
    fn rows(&self) -> usize;

    /// Tells, also later and on any thread, whether the client went away.
    fn watch(&self) -> Box<dyn Fn() -> bool + Send + Sync>;

    /// Takes the way back to the client; there is one.
    fn responder(&mut self) -> Option<Box<dyn Respond>>;

    /// Gives it back unfinished, because the request is to be executed once more.
    fn keep(&mut self, responder: Box<dyn Respond>);
}

/// What a metric does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Observations by size.
    Histogram,
}

/// Metrics of one name, told apart by their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricFamily {
    /// As on the metrics page.
    pub name: String,
    /// What it tells.
    pub description: String,
    /// What its metrics do.
    pub kind: MetricKind,
}

/// One metric of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricName {
    /// The family.
    pub family: String,
    /// Names and values, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Upper bounds of a histogram, ascending; used when it is first met.
    pub buckets: Vec<f64>,
}

/// A change to a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricChange {
    /// None: only its value is wanted.
    Keep,
    /// One more uses it: it is on the page from now on.
    Add,
    /// Adds.
    Increment(f64),
    /// Sets.
    Set(f64),
    /// Counts an observation.
    Observe(f64),
    /// One less uses it; the last strikes it off the page.
    Remove,
}
