//! Owns what waits for one version and the instances that execute it, and brings the two together.
//!
//! Nobody blocks here: a reactor calls `turn` when something may have changed, an instance's thread when it is done with a batch. Both
//! hold the lock for the length of a decision.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;
use std::{fmt, slice};

use tokio::time::Instant;

use crate::error::{Code, Error, Result};
use crate::instance::Job;
use crate::limiter::Stake;
use crate::line::{Choice, Line, Post, Refusal};
use crate::order::Order;
use crate::pace::Pace;
use crate::reactor::{Delivery, Reactor};
use crate::reshape::Reshapes;
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
    pub(crate) reshapes: Reshapes,
    state: Mutex<State>,
    /// Signalled whenever the last request in flight is done.
    settled: Condvar,
    /// Whether it already stands in a reactor's list, so that a burst enters it once.
    noted: AtomicBool,
}

struct State {
    line: Box<dyn Line>,
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
    pub(crate) fn new(
        spec: &Spec,
        line: Box<dyn Line>,
        statistics: Arc<Statistics>,
        home: Arc<Reactor>,
        workers: Vec<Worker>,
    ) -> Self {
        Self {
            model: spec.model.clone(),
            version: spec.version,
            statistics,
            home,
            reshapes: Reshapes::new(spec),
            state: Mutex::new(State {
                line,
                idle: workers,
                busy: 0,
                deferred: 0,
                pace: Pace::default(),
                order: spec.preserves_ordering().then(Order::default),
                alarm: None,
                stale: false,
                phase: Phase::Open,
            }),
            settled: Condvar::new(),
            noted: AtomicBool::new(false),
        }
    }

    /// Takes a request in. The caller then notes the scheduler with a reactor.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the version is stopping; else what its line says.
    pub(crate) fn push(&self, job: Job) -> Result<()> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(Error::stopping().with_request_id(&job.request.id));
        }
        let mut refused = Vec::new();
        let result = state.line.push(job, &mut refused);
        drop(state);
        self.refuse(refused);
        result
    }

    /// Decides what an idle instance does now.
    pub(crate) fn turn(self: &Arc<Self>, now: Instant) -> Turn {
        self.noted.store(false, Ordering::Release);
        let mut state = self.lock();
        if state.alarm.is_some_and(|alarm| alarm <= now) {
            state.alarm = None;
        }
        let mut refused = self.sweep(&mut state, now);
        let State { line, idle, .. } = &mut *state;
        let choice = self.choose(line.as_mut(), idle, now, &mut refused);
        let turn = match choice {
            Choice::Take { instance, jobs } => {
                let place = state.idle.iter().rposition(|worker| worker.post().instance == instance);
                let worker = place.map(|place| state.idle.swap_remove(place));
                worker.map_or(Turn::Rest, |worker| self.run(&mut state, worker, jobs))
            }
            Choice::Wait(until) => state.call_again(Some(until), now),
            Choice::Rest => state.call_again(None, now),
        };
        drop(state);
        self.refuse(refused);
        turn
    }

    /// Takes a worker back after a batch, and gives it the next if there is one. `again` goes back into the line.
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
        let mut refused = Vec::new();
        state.line.finish(worker.post(), again, now, &mut refused);
        let released = match (&mut state.order, batch_number) {
            (Some(order), Some(number)) => order.finish(number, deliveries),
            _ => deliveries,
        };
        if state.phase == Phase::Closed {
            drop(state);
            self.refuse(refused);
            worker.close();
            return (released, Turn::Rest);
        }
        refused.extend(self.sweep(&mut state, now));
        let next = self.assign(&mut state, worker, now, &mut refused);
        self.tell_end(&state);
        drop(state);
        self.refuse(refused);
        (released, next)
    }

    /// Chooses what one of the workers executes.
    fn choose(
        self: &Arc<Self>,
        line: &mut dyn Line,
        workers: &[Worker],
        now: Instant,
        refused: &mut Vec<Refusal>,
    ) -> Choice {
        if workers.iter().any(|worker| worker.stake().is_some()) {
            self.choose_within_limits(line, workers, now, refused)
        } else {
            line.take(&mut workers.iter().rev().map(Worker::post), &|_| true, now, refused)
        }
    }

    /// The same among workers that share resources: the one that had the fewest turns is asked first, and whoever has nothing to execute
    /// waits for no resource.
    fn choose_within_limits(
        self: &Arc<Self>,
        line: &mut dyn Line,
        workers: &[Worker],
        now: Instant,
        refused: &mut Vec<Refusal>,
    ) -> Choice {
        let mut order: Vec<&Worker> = workers.iter().collect();
        order.sort_by_key(|worker| worker.stake().map(Stake::standing));
        let asked = RefCell::new(Vec::new());
        let may = |post: Post| {
            asked.borrow_mut().push(post);
            let worker = workers.iter().find(|worker| worker.post() == post);
            worker.and_then(Worker::stake).is_none_or(|stake| stake.claim(|| Waker::from(Arc::clone(self))))
        };
        let choice = line.take(&mut order.into_iter().map(Worker::post), &may, now, refused);
        let idle = workers.iter().filter(|worker| !asked.borrow().contains(&worker.post()));
        idle.filter_map(Worker::stake).for_each(Stake::withdraw);
        choice
    }

    /// Gives a worker a batch, or puts it to the idle ones.
    fn assign(self: &Arc<Self>, state: &mut State, worker: Worker, now: Instant, refused: &mut Vec<Refusal>) -> Turn {
        if let Some(stake) = worker.stake() {
            stake.release();
        }
        let choice = self.choose(state.line.as_mut(), slice::from_ref(&worker), now, refused);
        let until = match choice {
            Choice::Take { jobs, .. } => return self.run(state, worker, jobs),
            Choice::Wait(until) => Some(until),
            Choice::Rest => None,
        };
        state.idle.push(worker);
        state.call_again(until, now)
    }

    fn run(self: &Arc<Self>, state: &mut State, worker: Worker, jobs: Vec<Job>) -> Turn {
        let number = state.order.as_mut().map(Order::start);
        state.busy += 1;
        let effort = (!state.pace.is_quick()).then(|| self.home.labour.begin());
        Turn::Run(Box::new(Run { scheduler: Arc::clone(self), worker, batch: Batch { jobs, number }, effort }))
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
        self.lock().line.len()
    }

    /// Takes no more requests.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Stopping;
            state.line.stop();
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
        let (left, workers) = (state.line.clear(), std::mem::take(&mut state.idle));
        drop(state);
        let refusal = |job| Refusal { job, failure: Failure::Other, error: Error::stopping() };
        self.refuse(left.into_iter().map(refusal).collect());
        workers.into_iter().for_each(Worker::close);
        !timing.timed_out()
    }

    /// Hands the instances out, of a scheduler that nobody has asked anything yet.
    pub(crate) fn lend(&self) -> Vec<Worker> {
        std::mem::take(&mut self.lock().idle)
    }

    /// Takes them back.
    pub(crate) fn restore(&self, workers: Vec<Worker>) {
        self.lock().idle = workers;
    }

    /// Ends without closing the instances: waits until all is answered, and hands them out. Blocks.
    pub(crate) fn release(&self) -> Vec<Worker> {
        self.stop();
        let settled = self.settled.wait_while(self.lock(), |state| !state.is_settled());
        std::mem::take(&mut settled.unwrap_or_else(PoisonError::into_inner).idle)
    }

    fn sweep(&self, state: &mut State, now: Instant) -> Vec<Refusal> {
        let mut refused = Vec::new();
        if state.stale || state.line.next_deadline().is_some_and(|deadline| deadline <= now) {
            state.stale = false;
            state.line.sweep(now, &mut refused);
            self.tell_end(state);
        }
        refused
    }

    /// Tells whoever waits for the end. Nobody does while the version is in service, and telling nobody would cost a system call per batch.
    fn tell_end(&self, state: &State) {
        if state.phase != Phase::Open && state.is_settled() {
            self.settled.notify_all();
        }
    }

    /// Ends requests that nobody waits for any more.
    pub(crate) fn give_up(&self, gone: Vec<Job>) {
        let refusal = |job| Refusal { job, failure: Failure::Cancelled, error: Error::new(Code::Cancelled, "") };
        self.refuse(gone.into_iter().map(refusal).collect());
    }

    /// Answers and counts requests that leave without having been executed. Not under the lock: a responder comes back to it.
    fn refuse(&self, refused: Vec<Refusal>) {
        for Refusal { job, failure, error } in refused {
            if job.reply.is_some() {
                self.statistics.lock().failed(failure, job.arrived.elapsed());
                if let Some(trace) = &job.request.trace {
                    trace.leave(true);
                }
            }
            job.fail(error);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resources that its instances wait for may be there.
impl Wake for Scheduler {
    fn wake(self: Arc<Self>) {
        self.home.note(&self);
    }
}

impl State {
    fn is_settled(&self) -> bool {
        self.busy == 0 && self.deferred == 0 && self.line.len() == 0
    }

    /// Asks to be called at the batch's time or the next deadline, unless somebody will call before that anyway.
    fn call_again(&mut self, batch: Option<Instant>, now: Instant) -> Turn {
        let wanted = [batch, self.line.next_deadline()].into_iter().flatten().min();
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
