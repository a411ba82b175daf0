//! One loaded copy of a model that executes batches, one at a time.

use crate::error::Result;
use crate::queue::Likeness;
use crate::reply::{Cancellation, Reply};
use crate::request::Request;
use crate::statistics::Timing;
use crate::tensor::Tensor;

use std::sync::Arc;

use tokio::time::Instant;

use crate::reactor::Reactor;

/// An admitted request on its way to an instance.
#[derive(Debug)]
pub struct Job {
    /// What was asked; an instance may take its tensors out.
    pub request: Request,
    /// Rows it has in the batch; 1 for models without a batch dimension.
    pub rows: usize,
    pub(crate) likeness: Likeness,
    pub(crate) arrived: Instant,
    pub(crate) reply: Reply,
    /// Where its client's connection lives.
    pub(crate) reactor: Arc<Reactor>,
}

impl Job {
    /// Tells, also later, whether the client still waits.
    pub fn cancellation(&self) -> Cancellation {
        self.reply.cancellation()
    }
}

/// What came of a batch.
#[derive(Debug)]
pub struct Execution {
    /// For each request, in order: its outputs, or why it failed.
    pub results: Vec<Result<Vec<Tensor>>>,
    /// How long the parts took.
    pub timing: Timing,
}

/// Executes batches. Owned by the scheduler and used by one thread at a time, though not always the same one.
pub trait Instance: Send {
    /// Its name: `<group>_<index>`.
    fn name(&self) -> &str;

    /// Executes one batch: requests that may be joined, in the order in which they will be answered. Must return one result per
    /// request. A panic fails the batch and nothing else.
    fn execute(&mut self, jobs: &mut [Job]) -> Execution;

    /// Called once, after the last execution.
    fn close(&mut self) {}
}
