//! An instance with the thread that may run it, and one batch's run from start to answer.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::error::{Error, Result};
use crate::instance::{Execution, Executor, Instance, Job, Outcome, Outputs};
use crate::limiter::Stake;
use crate::line::Post;
use crate::reactor::{Delivery, deliver};
use crate::request::Response;
use crate::scheduler::{Scheduler, Turn};
use crate::statistics::{Failure, Spent};
use crate::trace::{Activity, Event};
use crate::vigil::Effort;

/// An instance, and the way to its thread once it has one.
pub(crate) struct Worker {
    executor: Executor,
    /// Its number among those of its version.
    number: usize,
    /// How often it panicked: what it remembered is not to be trusted after that.
    panics: u64,
    /// Its part in resources that are limited, if it needs any.
    stake: Option<Stake>,
    /// Where what it does is counted.
    place: Option<usize>,
    /// The thread ends when this is dropped. Most instances of a repository are never asked: theirs is started with the first batch.
    lane: Option<Sender<Box<Run>>>,
}

impl Worker {
    pub(crate) fn new(number: usize, executor: Executor, stake: Option<Stake>, place: Option<usize>) -> Self {
        Self { executor, number, panics: 0, stake, place, lane: None }
    }

    pub(crate) fn stake(&self) -> Option<&Stake> {
        self.stake.as_ref()
    }

    /// Its instance's name.
    pub(crate) fn name(&self) -> &str {
        self.executor.name()
    }

    /// Which instance it is, and in which of its lives.
    pub(crate) fn post(&self) -> Post {
        let life = match &self.executor {
            Executor::Local(_) => self.panics,
            Executor::Remote(instance) => instance.life(),
        };
        Post { instance: self.number, life }
    }

    pub(crate) fn close(mut self) {
        self.executor.close();
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
    /// What it counts for while it lasts; nothing when it is expected to be done sooner than another thread would wake up.
    pub(crate) effort: Option<Effort>,
}

impl Run {
    /// Whether it may be executed on the thread that has it, without holding up much.
    pub(crate) fn is_quick(&self) -> bool {
        self.effort.is_none() && self.is_local()
    }

    /// Whether it can be executed on the thread that has it, which is kept to no cores.
    pub(crate) fn is_local(&self) -> bool {
        matches!(&self.worker.executor, Executor::Local(instance) if instance.cores().is_empty())
    }

    /// Executes on this thread. Returns the answers that may leave and what the worker does next.
    pub(crate) fn execute(mut self) -> (Vec<Delivery>, Turn) {
        let started = self.note_start();
        let execution = match &mut self.worker.executor {
            Executor::Local(instance) => execute(instance.as_mut(), &mut self.batch.jobs, &mut self.worker.panics),
            Executor::Remote(instance) => {
                let error = Error::internal(format!("instance `{}` executes elsewhere", instance.name()));
                Execution::failed(&self.batch.jobs, &error)
            }
        };
        self.complete(execution, started, started.elapsed())
    }

    /// Its execution begins. Requests may be traced with what their tensors hold.
    fn note_start(&mut self) -> Instant {
        let now = Instant::now();
        for job in &mut self.batch.jobs {
            job.started = Some(now);
            job.place = self.worker.place;
            job.was_abandoned = job.is_abandoned();
            if let Some(trace) = &job.request.trace {
                trace.tensors(Activity::BackendInput, &job.request.inputs);
            }
        }
        now
    }

    fn complete(self, execution: Execution, started: Instant, took: Duration) -> (Vec<Delivery>, Turn) {
        let (deliveries, again) =
            settle_accounts(&self.scheduler, self.batch.jobs, execution, started, self.worker.place);
        // Whoever goes on for a client that was gone before has had its time to see that.
        let (gone, again) = again.into_iter().partition(|job| job.was_abandoned);
        self.scheduler.give_up(gone);
        self.scheduler.finish(self.worker, self.batch.number, deliveries, again, took)
    }

    /// Executes where the instance does: in its process, or on the worker's own thread, which then goes on with what comes next.
    pub(crate) fn hand_over(mut self: Box<Self>) {
        if let Executor::Remote(instance) = &self.worker.executor {
            let instance = Arc::clone(instance);
            let started = self.note_start();
            return instance.start(Commission { run: Some(self), started });
        }
        let lane = match &self.worker.lane {
            Some(lane) => lane.clone(),
            None => match start_lane(self.worker.executor.name(), self.worker.executor.cores()) {
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
        let execution = Execution::failed(&self.batch.jobs, error);
        self.wind_up(execution, Instant::now());
    }

    /// Brings the answers home and does what comes next, from a thread that leads no reactor.
    fn wind_up(self, execution: Execution, started: Instant) {
        let scheduler = Arc::clone(&self.scheduler);
        let (released, next) = self.complete(execution, started, started.elapsed());
        deliver(released);
        scheduler.home.follow(&scheduler, next);
    }
}

/// A batch in the hands of a remote instance. Dropped before it is complete, it fails.
pub struct Commission {
    run: Option<Box<Run>>,
    started: Instant,
}

impl Commission {
    /// The requests.
    pub fn jobs(&mut self) -> &mut [Job] {
        self.run.as_mut().map_or(&mut [], |run| &mut run.batch.jobs)
    }

    /// Whether it makes sense to an instance in that life: requests of sequences that an earlier life remembered do not.
    pub fn is_for(&self, life: u64) -> bool {
        let jobs = self.run.as_ref().map_or(&[][..], |run| &run.batch.jobs);
        let lives = jobs.iter().filter_map(|job| job.sequence.as_ref().and_then(|membership| membership.life));
        lives.into_iter().all(|needed| needed == life)
    }

    /// Says what came of it. Call it on any thread.
    pub fn complete(mut self, execution: Execution) {
        if let Some(run) = self.run.take() {
            run.wind_up(execution, self.started);
        }
    }
}

impl Drop for Commission {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            run.fail(&Error::internal("the instance let go of a batch: this is a bug in windlass"));
        }
    }
}

fn start_lane(name: &str, cores: &[usize]) -> Result<Sender<Box<Run>>> {
    let (lane, runs) = channel::<Box<Run>>();
    let mut set = CpuSet::new();
    cores.iter().filter(|&&core| core < CpuSet::MAX_CPU).for_each(|&core| set.set(core));
    thread::Builder::new()
        .name(format!("instance {name}"))
        .spawn(move || {
            if set.count() > 0 {
                // The cores were there when the server started. One that is gone since is no reason not to answer.
                let _ = sched_setaffinity(None, &set);
            }
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
fn execute(instance: &mut dyn Instance, jobs: &mut [Job], panics: &mut u64) -> Execution {
    let outcome = catch_unwind(AssertUnwindSafe(|| instance.execute(jobs)));
    let fault = match outcome {
        Ok(execution) if execution.outcomes.len() == jobs.len() => return execution,
        Ok(execution) => format!("{} answers for {} requests", execution.outcomes.len(), jobs.len()),
        Err(_) => {
            *panics += 1;
            "a panic".to_owned()
        }
    };
    let error = Error::internal(format!(
        "instance `{}` ended a batch with {fault}: this is a bug in windlass",
        instance.name()
    ));
    Execution::failed(jobs, &error)
}

/// Counts a batch and makes the answers of its requests. Returns them, and the requests that want to be executed once more.
fn settle_accounts(
    scheduler: &Arc<Scheduler>,
    jobs: Vec<Job>,
    execution: Execution,
    started: Instant,
    place: Option<usize>,
) -> (Vec<Delivery>, Vec<Job>) {
    let Execution { outcomes, timing } = execution;
    let done = Instant::now();
    let mut deliveries = Vec::with_capacity(jobs.len());
    let (mut again, mut kept) = (Vec::new(), Vec::new());
    let mut totals = scheduler.statistics.at(place);
    // One that failed before the model had it was no execution.
    if !timing.infer.is_zero() || outcomes.iter().any(|outcome| !matches!(outcome, Outcome::Failed(_))) {
        totals.executed(jobs.iter().map(|job| job.rows).sum(), timing);
    }
    for (mut job, outcome) in jobs.into_iter().zip(outcomes) {
        if matches!(outcome, Outcome::Rescheduled) {
            again.push(job);
            continue;
        }
        // Without it, a responder answers and counts, which is for later when it came back with the request.
        let Some(reply) = job.reply.take() else {
            kept.extend(job.kept.take().map(|responder| (responder, outcome)));
            continue;
        };
        if let Some(trace) = &job.request.trace {
            trace.executed(started, timing, done);
            if let Outcome::Answered(outputs) = &outcome {
                trace.tensors(Activity::BackendOutput, &outputs.tensors);
            }
            trace.note(Event::ResponseComplete);
            trace.leave(!matches!(outcome, Outcome::Answered(_)));
        }
        let arrived = job.arrived.into_std();
        let whole = done.saturating_duration_since(arrived);
        let answer = match outcome {
            Outcome::Answered(outputs) => {
                let queue = started.saturating_duration_since(arrived);
                response(scheduler, &mut job, outputs, Spent { queue, compute: timing })
            }
            Outcome::Failed(error) => Err(error),
            Outcome::Deferred | Outcome::Rescheduled => Err(unanswered()),
        };
        if answer.is_ok() {
            totals.succeeded(job.rows, whole, started.saturating_duration_since(arrived), timing);
        } else {
            totals.failed(Failure::Backend, whole);
        }
        deliveries.push(Delivery { reactor: job.reactor, reply, answer });
    }
    drop(totals);
    for (mut responder, outcome) in kept {
        let result = match outcome {
            Outcome::Answered(outputs) => Ok(outputs),
            Outcome::Failed(error) => Err(error),
            Outcome::Deferred | Outcome::Rescheduled => Err(unanswered()),
        };
        responder.respond(Some(result), true);
    }
    (deliveries, again)
}

fn unanswered() -> Error {
    Error::internal("the model left a request without an answer")
}

fn response(scheduler: &Scheduler, job: &mut Job, outputs: Outputs, spent: Spent) -> Result<Response> {
    let wanted = std::mem::take(&mut job.request.outputs);
    let Outputs { mut tensors, parameters } = outputs;
    if let Some(memory) = job.memory() {
        memory.keep(&mut tensors)?;
    }
    tensors.retain(|output| wanted.is_empty() || wanted.contains(&output.name));
    scheduler.reshapes.leave(&mut tensors)?;
    Ok(Response {
        id: std::mem::take(&mut job.request.id),
        model: scheduler.model.clone(),
        version: scheduler.version,
        parameters,
        outputs: tensors,
        spent,
    })
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Run({:?}, {} requests)", self.scheduler, self.batch.jobs.len())
    }
}

impl fmt::Debug for Commission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commission({:?})", self.run)
    }
}
