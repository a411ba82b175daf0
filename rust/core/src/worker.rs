//! An instance with the thread that may run it, and one batch's run from start to answer.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::instance::{Execution, Instance, Job};
use crate::reactor::{Delivery, deliver};
use crate::request::Response;
use crate::scheduler::{Scheduler, Turn};
use crate::statistics::{Failure, Timing};
use crate::tensor::Tensor;

/// An instance, and the way to its thread once it has one.
pub(crate) struct Worker {
    instance: Box<dyn Instance>,
    /// The thread ends when this is dropped. Most instances of a repository are never asked: theirs is started with the first batch.
    lane: Option<Sender<Box<Run>>>,
}

impl Worker {
    pub(crate) fn new(instance: Box<dyn Instance>) -> Self {
        Self { instance, lane: None }
    }

    pub(crate) fn close(mut self) {
        self.instance.close();
    }
}

/// Requests that are executed together.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) jobs: Vec<Job>,
    /// Its place in the order, for models that keep one.
    pub(crate) number: Option<u64>,
}

/// A batch and the worker that will execute it.
pub(crate) struct Run {
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) worker: Worker,
    pub(crate) batch: Batch,
    /// Whether it is expected to be done sooner than another thread would wake up.
    pub(crate) quick: bool,
}

impl Run {
    /// Executes on this thread. Returns the answers that may leave and what the worker does next.
    pub(crate) fn execute(mut self) -> (Vec<Delivery>, Turn) {
        let mut jobs = self.batch.jobs;
        let started = Instant::now();
        let execution = execute(self.worker.instance.as_mut(), &mut jobs);
        let took = started.elapsed();
        let deliveries = settle_accounts(&self.scheduler, jobs, execution, started);
        self.scheduler.finish(self.worker, self.batch.number, deliveries, took)
    }

    /// Executes on the worker's own thread, which then goes on with what comes next.
    pub(crate) fn hand_over(mut self: Box<Self>) {
        let lane = match &self.worker.lane {
            Some(lane) => lane.clone(),
            None => match start_lane(self.worker.instance.name()) {
                Ok(lane) => {
                    self.worker.lane = Some(lane.clone());
                    lane
                }
                Err(error) => return self.fail(&error),
            },
        };
        // The thread lives as long as the worker, and the worker travels with the run.
        if let Err(unsent) = lane.send(self) {
            unsent.0.fail(&Error::internal("an instance's thread has ended: this is a bug in windlass"));
        }
    }

    /// Answers all of the batch with an error; the worker stays in service.
    fn fail(self, error: &Error) {
        let results = self.batch.jobs.iter().map(|_| Err(error.clone())).collect();
        let execution = Execution { results, timing: Timing::default() };
        let now = Instant::now();
        let deliveries = settle_accounts(&self.scheduler, self.batch.jobs, execution, now);
        let (released, next) = self.scheduler.finish(self.worker, self.batch.number, deliveries, now.elapsed());
        deliver(released);
        self.scheduler.home.follow(&self.scheduler, next);
    }
}

fn start_lane(name: &str) -> Result<Sender<Box<Run>>> {
    let (lane, runs) = channel::<Box<Run>>();
    thread::Builder::new()
        .name(format!("instance {name}"))
        .spawn(move || {
            while let Ok(run) = runs.recv() {
                let mut next = Some(run);
                while let Some(run) = next.take() {
                    let scheduler = Arc::clone(&run.scheduler);
                    let (deliveries, turn) = run.execute();
                    deliver(deliveries);
                    match turn {
                        Turn::Run(run) => next = Some(run),
                        turn => scheduler.home.follow(&scheduler, turn),
                    }
                }
            }
        })
        .map_err(|error| Error::internal(format!("no thread could be started for instance `{name}`: {error}")))?;
    Ok(lane)
}

/// A panicking instance fails its batch, and an instance that miscounts its answers does too.
fn execute(instance: &mut dyn Instance, jobs: &mut [Job]) -> Execution {
    let outcome = catch_unwind(AssertUnwindSafe(|| instance.execute(jobs)));
    let fault = match outcome {
        Ok(execution) if execution.results.len() == jobs.len() => return execution,
        Ok(execution) => format!("{} answers for {} requests", execution.results.len(), jobs.len()),
        Err(_) => "a panic".to_owned(),
    };
    let error = Error::internal(format!(
        "instance `{}` ended a batch with {fault}: this is a bug in windlass",
        instance.name()
    ));
    Execution { results: jobs.iter().map(|_| Err(error.clone())).collect(), timing: Timing::default() }
}

/// Counts a batch and makes the answers of its requests.
fn settle_accounts(
    scheduler: &Arc<Scheduler>,
    jobs: Vec<Job>,
    execution: Execution,
    started: Instant,
) -> Vec<Delivery> {
    let Execution { results, timing } = execution;
    let done = Instant::now();
    let mut totals = scheduler.statistics.lock();
    if results.iter().any(Result::is_ok) {
        totals.executed(jobs.iter().map(|job| job.rows).sum(), timing);
    }
    let answer = |(job, result): (Job, Result<Vec<Tensor>>)| {
        let arrived = job.arrived.into_std();
        let whole = done.saturating_duration_since(arrived);
        let wanted = job.request.outputs;
        let answer = result.map(|mut outputs| {
            outputs.retain(|output| wanted.is_empty() || wanted.contains(&output.name));
            outputs
        });
        let answer = answer.map(|outputs| Response {
            id: job.request.id,
            model: scheduler.model.clone(),
            version: scheduler.version,
            parameters: Vec::new(),
            outputs,
        });
        if answer.is_ok() {
            totals.succeeded(job.rows, whole, started.saturating_duration_since(arrived), timing);
        } else {
            totals.failed(Failure::Backend, whole);
        }
        Delivery { reactor: job.reactor, reply: job.reply, answer }
    };
    jobs.into_iter().zip(results).map(answer).collect()
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Run({:?}, {} requests)", self.scheduler, self.batch.jobs.len())
    }
}
