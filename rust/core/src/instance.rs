//! One loaded copy of a model that executes batches, one at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::host::{Respond, Task};
use crate::queue::Likeness;
use crate::reactor::Reactor;
use crate::reply::{Cancellation, Reply};
use crate::request::{Parameters, Request};
use crate::responder::Responder;
use crate::scheduler::Scheduler;
use crate::sequence::{Membership, Memory};
use crate::statistics::Timing;
use crate::tensor::Tensor;
use crate::worker::Commission;

/// An admitted request on its way to an instance.
#[derive(Debug)]
pub struct Job {
    /// What was asked; an instance may take its tensors out.
    pub request: Request,
    /// Rows it has in the batch; 1 for models without a batch dimension.
    pub rows: usize,
    pub(crate) likeness: Likeness,
    pub(crate) arrived: Instant,
    /// When its execution began.
    pub(crate) started: Option<std::time::Instant>,
    /// Taken by its responder, where the model answers when it likes.
    pub(crate) reply: Option<Reply>,
    /// Tells whether the client still waits, once the responder was taken.
    pub(crate) watch: Option<Cancellation>,
    /// Where that is counted.
    pub(crate) place: Option<usize>,
    /// Whether the client was gone when its execution began.
    pub(crate) was_abandoned: bool,
    /// The responder of an earlier execution, of a request that is executed once more.
    pub(crate) kept: Option<Box<dyn Respond>>,
    /// Where its client's connection lives.
    pub(crate) reactor: Arc<Reactor>,
    /// The queue it waits in.
    pub(crate) scheduler: Arc<Scheduler>,
    /// Set while it is executed, for models with sequences.
    pub(crate) sequence: Option<Membership>,
}

impl Job {
    /// Tells, also later, whether the client still waits.
    pub fn cancellation(&self) -> Option<Cancellation> {
        self.reply.as_ref().map(Reply::cancellation).or_else(|| self.watch.clone())
    }

    /// Takes the way back to the client, for answers when and as often as the model likes. The outcome is then `Deferred`. There is one.
    pub fn responder(&mut self) -> Option<Responder> {
        let reply = self.reply.take()?;
        self.watch = Some(reply.cancellation());
        Some(Responder::new(reply, self))
    }

    /// What is remembered of its sequence.
    pub(crate) fn memory(&self) -> Option<&Memory> {
        self.sequence.as_ref().and_then(|membership| membership.memory.as_ref())
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_some_and(Reply::is_abandoned)
            || self.watch.as_ref().is_some_and(Cancellation::is_cancelled)
    }

    /// Gives its only answer, unless a responder does.
    pub(crate) fn fail(mut self, error: Error) {
        if let Some(reply) = self.reply.take() {
            reply.send(Err(error));
        } else if let Some(mut responder) = self.kept.take() {
            responder.respond(Some(Err(error)), true);
        }
    }
}

impl Task for Job {
    fn request(&self) -> &Request {
        &self.request
    }

    fn request_mut(&mut self) -> &mut Request {
        &mut self.request
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn watch(&self) -> Box<dyn Fn() -> bool + Send + Sync> {
        let cancellation = self.cancellation();
        Box::new(move || cancellation.as_ref().is_some_and(Cancellation::is_cancelled))
    }

    fn responder(&mut self) -> Option<Box<dyn Respond>> {
        if let Some(kept) = self.kept.take() {
            return Some(kept);
        }
        match Self::responder(self) {
            Some(responder) => Some(Box::new(responder)),
            // It fills an empty row of a batch.
            None if self.watch.is_none() => Some(Box::new(Nobody { ended: false })),
            None => None,
        }
    }

    fn keep(&mut self, responder: Box<dyn Respond>) {
        self.kept = Some(responder);
    }
}

/// The way back of a request that nobody has sent.
#[derive(Debug)]
struct Nobody {
    ended: bool,
}

impl Respond for Nobody {
    fn respond(&mut self, _: Option<Result<Outputs>>, last: bool) {
        self.ended |= last;
    }

    fn has_ended(&self) -> bool {
        self.ended
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// What a model answers to one request.
#[derive(Debug, Default)]
pub struct Outputs {
    /// The tensors, in the model's order.
    pub tensors: Vec<Tensor>,
    /// What it has to say besides.
    pub parameters: Parameters,
}

impl From<Vec<Tensor>> for Outputs {
    fn from(tensors: Vec<Tensor>) -> Self {
        Self { tensors, parameters: Parameters::new() }
    }
}

/// What came of one request of a batch.
#[derive(Debug)]
pub enum Outcome {
    /// Its only answer.
    Answered(Outputs),
    /// Why it has none.
    Failed(Error),
    /// It is answered by its responder, now or later.
    Deferred,
    /// It wants to be executed once more, with the inputs that are in it now.
    Rescheduled,
}

/// What came of a batch.
#[derive(Debug)]
pub struct Execution {
    /// For each request, in order.
    pub outcomes: Vec<Outcome>,
    /// How long the parts took.
    pub timing: Timing,
}

impl Execution {
    /// All of a batch failed for the same reason.
    pub fn failed<T>(tasks: &[T], error: &Error) -> Self {
        Self { outcomes: tasks.iter().map(|_| Outcome::Failed(error.clone())).collect(), timing: Timing::default() }
    }
}

/// Executes batches. Owned by the scheduler and used by one thread at a time, though not always the same one.
pub trait Instance: Send {
    /// Its name: `<group>_<index>`.
    fn name(&self) -> &str;

    /// The name of the GPU it is on, where it is on one.
    fn gpu(&self) -> Option<&str> {
        None
    }

    /// Executes one batch: requests that may be joined, in the order in which they will be answered. Must return one outcome per
    /// request. A panic fails the batch and nothing else.
    fn execute(&mut self, jobs: &mut [Job]) -> Execution;

    /// The processor cores that it is kept to; none where it may use all.
    fn cores(&self) -> &[usize] {
        &[]
    }

    /// What tells, at any time and on any thread, why it is not able to execute; none for those that always are.
    fn watch(&self) -> Option<Watch> {
        None
    }

    /// Called once, after the last execution.
    fn close(&mut self) {}
}

/// Tells why an instance is not able to execute now, if it is not.
pub type Watch = Box<dyn Fn() -> Option<Error> + Send + Sync>;

/// Executes batches elsewhere, in another process: it is given a batch, and says later what came of it.
pub trait RemoteInstance: Send + Sync {
    /// Its name: `<group>_<index>`.
    fn name(&self) -> &str;

    /// The name of the GPU it is on, where it is on one.
    fn gpu(&self) -> Option<&str> {
        None
    }

    /// Takes a batch to execute. Must not block. The next comes only after this one is complete. One that is not `for` the life in which it
    /// would be executed is to be failed.
    fn start(&self, batch: Commission);

    /// Why it is not able to execute now, if it is not.
    fn trouble(&self) -> Option<Error> {
        None
    }

    /// How often it was started again. What it remembers of sequences ends with each life, so this has to rise before a batch that was lost
    /// with one is complete.
    fn life(&self) -> u64 {
        0
    }

    /// The server is about to end: the model may say goodbye now, for so long. `close` is called all the same. Must not block.
    fn dismiss(&self, patience: Duration) {
        let _ = patience;
    }

    /// Called once, after the last execution.
    fn close(&self) {}
}

/// Where an instance executes.
pub enum Executor {
    /// In this process, on a thread that is held meanwhile.
    Local(Box<dyn Instance>),
    /// In another process.
    Remote(Arc<dyn RemoteInstance>),
}

impl Executor {
    /// The instance's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Local(instance) => instance.name(),
            Self::Remote(instance) => instance.name(),
        }
    }

    pub(crate) fn gpu(&self) -> Option<&str> {
        match self {
            Self::Local(instance) => instance.gpu(),
            Self::Remote(instance) => instance.gpu(),
        }
    }

    /// The cores that it is kept to on a thread of its own; another process sees to that itself.
    pub(crate) fn cores(&self) -> &[usize] {
        match self {
            Self::Local(instance) => instance.cores(),
            Self::Remote(_) => &[],
        }
    }

    pub(crate) fn close(&mut self) {
        match self {
            Self::Local(instance) => instance.close(),
            Self::Remote(instance) => instance.close(),
        }
    }
}
