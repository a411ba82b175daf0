//! The way back to a client for models that answer when and as often as they like: from another thread, after `execute` has returned.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::host::Respond;
use crate::instance::{Job, Outputs};
use crate::reply::{Cancellation, Reply};
use crate::request::Response;
use crate::scheduler::Scheduler;
use crate::sequence::Memory;
use crate::statistics::{Failure, Spent, Timing};
use crate::tensor::Name;
use crate::trace::{Activity, Event, Trace};

/// Gives the answers to one request. Dropped before the last answer, it answers with an error.
#[derive(Debug)]
pub struct Responder {
    reply: Reply,
    scheduler: Arc<Scheduler>,
    /// Of its sequence, for models with states.
    memory: Option<Memory>,
    id: String,
    wanted: Vec<Name>,
    trace: Option<Arc<Trace>>,
    rows: usize,
    arrived: Instant,
    started: Instant,
    /// Where its execution is counted.
    place: Option<usize>,
    /// When the answer before this one was given.
    before: Instant,
    given: usize,
    failed: bool,
    ended: bool,
}

impl Responder {
    pub(crate) fn new(reply: Reply, job: &Job) -> Self {
        job.scheduler.defer();
        let started = job.started.unwrap_or_else(Instant::now);
        Self {
            reply,
            scheduler: Arc::clone(&job.scheduler),
            memory: job.memory().cloned(),
            id: job.request.id.clone(),
            wanted: job.request.outputs.clone(),
            trace: job.request.trace.clone(),
            rows: job.rows,
            arrived: job.arrived.into_std(),
            started,
            place: job.place,
            before: started,
            given: 0,
            failed: false,
            ended: false,
        }
    }

    /// Tells, also later, whether the client still waits.
    pub fn cancellation(&self) -> Cancellation {
        self.reply.cancellation()
    }

    fn answer(&mut self, result: Option<Result<Outputs>>, last: bool) {
        if self.ended {
            return;
        }
        let now = Instant::now();
        let failed = matches!(result, Some(Err(_)));
        self.failed |= failed;
        let cancelled = self.reply.is_abandoned();
        {
            let mut totals = self.scheduler.statistics.at(self.place);
            totals.responded(self.given, now - self.before, result.is_none(), failed, cancelled);
            if self.given == 0 {
                totals.began(now - self.arrived);
            }
        }
        let queue = if self.given == 0 { self.started - self.arrived } else { Duration::ZERO };
        let spent = Spent { queue, compute: Timing { infer: now - self.before, ..Timing::default() } };
        self.before = now;
        self.given += 1;
        if let Some(trace) = &self.trace {
            if let Some(Ok(outputs)) = &result {
                trace.tensors(Activity::BackendOutput, &outputs.tensors);
            }
            trace.note(Event::ResponseComplete);
        }
        let result = result.map(|result| result.and_then(|outputs| self.response(outputs, spent)));
        if last {
            self.account(now);
        }
        self.reply.push(result, last);
        if last {
            self.ended = true;
            self.scheduler.undefer();
        }
    }

    fn response(&self, outputs: Outputs, spent: Spent) -> Result<Response> {
        let Outputs { mut tensors, parameters } = outputs;
        if let Some(memory) = &self.memory {
            memory.keep(&mut tensors)?;
        }
        tensors.retain(|output| self.wanted.is_empty() || self.wanted.contains(&output.name));
        self.scheduler.reshapes.leave(&mut tensors)?;
        Ok(Response {
            id: self.id.clone(),
            model: self.scheduler.model.clone(),
            version: self.scheduler.version,
            parameters,
            outputs: tensors,
            spent,
        })
    }

    fn account(&mut self, now: Instant) {
        let whole = now - self.arrived;
        if let Some(trace) = self.trace.take() {
            let timing = Timing { infer: now - self.started, ..Timing::default() };
            trace.executed(self.started, timing, now);
            trace.leave(self.failed);
        }
        let mut totals = self.scheduler.statistics.at(self.place);
        if self.reply.is_abandoned() {
            totals.failed(Failure::Cancelled, whole);
        } else if self.failed {
            totals.failed(Failure::Backend, whole);
        } else {
            let timing = Timing { infer: now - self.started, ..Timing::default() };
            totals.succeeded(self.rows, whole, self.started - self.arrived, timing);
        }
    }
}

impl Respond for Responder {
    fn respond(&mut self, result: Option<Result<Outputs>>, last: bool) {
        self.answer(result, last);
    }

    fn has_ended(&self) -> bool {
        self.ended
    }

    fn is_cancelled(&self) -> bool {
        self.reply.is_abandoned()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.answer(Some(Err(Error::internal("the model let go of a request before its last answer"))), true);
    }
}
