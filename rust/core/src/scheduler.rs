//! Owns what waits for one version and the instances that execute it, and brings the two together.
//!
//! Nobody blocks here: a reactor calls `turn` when something may have changed, an instance's thread when it is done with a batch. Both
//! hold the lock for the length of a decision.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::batcher::{Decision, Limits, decide};
use crate::error::{Error, Result};
use crate::instance::Job;
use crate::order::Order;
use crate::pace::Pace;
use crate::queue::{Entry, Queue};
use crate::reactor::{Delivery, Reactor};
use crate::spec::Spec;
use crate::statistics::{Failure, Statistics};
use crate::tensor::Name;
use crate::worker::{Batch, Run, Worker};

/// The queue and the instances of one loaded version.
pub(crate) struct Scheduler {
    pub(crate) model: Name,
    pub(crate) version: i64,
    pub(crate) statistics: Arc<Statistics>,
    /// The reactor that sees to its alarms when an instance's thread has none of its own.
    pub(crate) home: Arc<Reactor>,
    limits: Limits,
    state: Mutex<State>,
    /// Signalled whenever the last request in flight is done.
    settled: Condvar,
    /// Whether it already stands in a reactor's list, so that a burst enters it once.
    noted: AtomicBool,
}

struct State {
    queue: Queue<Job>,
    idle: Vec<Worker>,
    busy: usize,
    /// Requests that were executed and are answered later.
    deferred: usize,
    pace: Pace,
    order: Option<Order<Delivery>>,
    /// When a reactor will call again unasked.
    alarm: Option<Instant>,
    /// Set when clients went away since the last sweep.
    stale: bool,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// No new requests; those that came before are still served.
    Stopping,
    /// Whoever brings a worker back closes it.
    Closed,
}

/// What the caller of a scheduler has to do next.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Nothing.
    Rest,
    /// Call `turn` then.
    Wait(Instant),
    /// Execute this, here or on the instance's thread.
    Run(Box<Run>),
}

impl Scheduler {
    pub(crate) fn new(spec: &Spec, statistics: Arc<Statistics>, home: Arc<Reactor>, workers: Vec<Worker>) -> Self {
        let batching = spec.batching.as_ref();
        Self {
            model: spec.model.clone(),
            version: spec.version,
            statistics,
            home,
            limits: Limits {
                max_rows: batching.map(|_| spec.max_batch_size),
                preferred_sizes: batching.map(|b| b.preferred_sizes.clone()).unwrap_or_default(),
                max_delay: batching.map(|b| b.max_delay).unwrap_or_default(),
            },
            state: Mutex::new(State {
                queue: Queue::new(batching),
                idle: workers,
                busy: 0,
                deferred: 0,
                pace: Pace::default(),
                order: batching.filter(|b| b.preserve_ordering).map(|_| Order::default()),
                alarm: None,
                stale: false,
                phase: Phase::Open,
            }),
            settled: Condvar::new(),
            noted: AtomicBool::new(false),
        }
    }

    /// Takes a request into the queue. The caller then notes the scheduler with a reactor.
    ///
    /// # Errors
    /// `UNAVAILABLE` when its level is full or the version is stopping.
    pub(crate) fn push(&self, job: Job) -> Result<()> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(Error::stopping());
        }
        let priority = job.request.priority;
        if state.queue.is_full(priority) {
            let gone = state.queue.sweep(job.arrived, Job::is_abandoned).abandoned;
            self.count_abandoned(&gone);
            if state.queue.is_full(priority) {
                return Err(Error::queue_full());
            }
        }
        state.enqueue(job);
        Ok(())
    }

    /// Decides what an idle instance does now.
    pub(crate) fn turn(self: &Arc<Self>, now: Instant) -> Turn {
        self.noted.store(false, Ordering::Release);
        let mut state = self.lock();
        if state.alarm.is_some_and(|alarm| alarm <= now) {
            state.alarm = None;
        }
        self.sweep(&mut state, now);
        match state.idle.pop() {
            Some(worker) => self.assign(&mut state, worker, now),
            None => state.call_again(None, now),
        }
    }

    /// Takes a worker back after a batch, and gives it the next if there is one. `again` goes back into the queue.
    pub(crate) fn finish(
        self: &Arc<Self>,
        worker: Worker,
        batch_number: Option<u64>,
        deliveries: Vec<Delivery>,
        again: Vec<Job>,
        took: Duration,
    ) -> (Vec<Delivery>, Turn) {
        let now = Instant::now();
        let mut state = self.lock();
        state.busy -= 1;
        state.pace.note(took);
        for job in again {
            state.enqueue(job);
        }
        let released = match (&mut state.order, batch_number) {
            (Some(order), Some(number)) => order.finish(number, deliveries),
            _ => deliveries,
        };
        if state.phase == Phase::Closed {
            drop(state);
            worker.close();
            return (released, Turn::Rest);
        }
        self.sweep(&mut state, now);
        let next = self.assign(&mut state, worker, now);
        self.tell_end(&state);
        (released, next)
    }

    /// Gives a worker a batch, or puts it to the idle ones.
    fn assign(self: &Arc<Self>, state: &mut State, worker: Worker, now: Instant) -> Turn {
        match decide(&state.queue, &self.limits, now) {
            Decision::Take(count) => {
                let jobs: Vec<Job> = state.queue.take(count).into_iter().map(|entry| entry.item).collect();
                let number = state.order.as_mut().map(Order::start);
                state.busy += 1;
                let quick = state.pace.is_quick();
                Turn::Run(Box::new(Run { scheduler: Arc::clone(self), worker, batch: Batch { jobs, number }, quick }))
            }
            decision => {
                state.idle.push(worker);
                let until = if let Decision::Wait(until) = decision { Some(until) } else { None };
                state.call_again(until, now)
            }
        }
    }

    /// Whether the caller should put it into a reactor's list; false when it stands in one already.
    pub(crate) fn note(&self) -> bool {
        !self.noted.swap(true, Ordering::AcqRel)
    }

    /// A client went away: what it asked for may be swept out.
    pub(crate) fn abandoned(&self) {
        self.lock().stale = true;
    }

    /// A request will be answered after its batch is done.
    pub(crate) fn defer(&self) {
        self.lock().deferred += 1;
    }

    /// It was.
    pub(crate) fn undefer(&self) {
        let mut state = self.lock();
        state.deferred -= 1;
        self.tell_end(&state);
    }

    /// How many wait.
    pub(crate) fn pending(&self) -> usize {
        self.lock().queue.len()
    }

    /// Takes no more requests.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Stopping;
        }
    }

    /// Waits until all that was admitted is answered, then closes the instances. What still waits after the time is over is answered
    /// with an error; what still executes is closed when it ends. Blocks.
    pub(crate) fn settle(&self, timeout: Duration) -> bool {
        self.stop();
        let state = self.lock();
        let (mut state, timing) = self
            .settled
            .wait_timeout_while(state, timeout, |state| !state.is_settled())
            .unwrap_or_else(PoisonError::into_inner);
        state.phase = Phase::Closed;
        let count = state.queue.len();
        let (left, workers) = (state.queue.take(count), std::mem::take(&mut state.idle));
        drop(state);
        for entry in left {
            self.statistics.lock().failed(Failure::Other, entry.arrived.elapsed());
            entry.item.fail(Error::stopping());
        }
        workers.into_iter().for_each(Worker::close);
        !timing.timed_out()
    }

    fn sweep(&self, state: &mut State, now: Instant) {
        if !state.stale && state.queue.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        state.stale = false;
        let swept = state.queue.sweep(now, Job::is_abandoned);
        self.count_abandoned(&swept.abandoned);
        for entry in swept.expired {
            self.statistics.lock().failed(Failure::Rejected, now.saturating_duration_since(entry.arrived));
            entry.item.fail(Error::expired());
        }
        self.tell_end(state);
    }

    /// Tells whoever waits for the end. Nobody does while the version is in service, and telling nobody would cost a system call per batch.
    fn tell_end(&self, state: &State) {
        if state.phase != Phase::Open && state.is_settled() {
            self.settled.notify_all();
        }
    }

    fn count_abandoned(&self, entries: &[Entry<Job>]) {
        for entry in entries {
            self.statistics.lock().failed(Failure::Cancelled, entry.arrived.elapsed());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_settled(&self) -> bool {
        self.busy == 0 && self.deferred == 0 && self.queue.is_empty()
    }

    fn enqueue(&mut self, job: Job) {
        let (rows, arrived, likeness) = (job.rows, job.arrived, job.likeness.clone());
        let (priority, timeout) = (job.request.priority, job.request.timeout);
        self.queue.push(Entry::new(job, rows, likeness, arrived), priority, timeout);
    }

    /// Asks to be called at the batch's time or the next deadline, unless somebody will call before that anyway.
    fn call_again(&mut self, batch: Option<Instant>, now: Instant) -> Turn {
        let wanted = [batch, self.queue.next_deadline()].into_iter().flatten().min();
        match (wanted, self.alarm) {
            (Some(wanted), Some(alarm)) if alarm <= wanted && alarm > now => Turn::Rest,
            (Some(wanted), _) => {
                self.alarm = Some(wanted);
                Turn::Wait(wanted)
            }
            (None, _) => Turn::Rest,
        }
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scheduler({} {})", self.model, self.version)
    }
}
