//! Requests that belong together: they wait in the line of their sequence, and go to the instance that serves it, one at a time.
//!
//! `slots` tells which sequence an instance serves, `direct` and the dynamic `batcher` which of them share a batch, `control` what the
//! model is told about each, `memory` what is remembered between them.

mod control;
mod direct;
mod lane;
mod memory;
mod open;
mod slots;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use crate::error::{Code, Error, Result};
use crate::instance::Job;
use crate::line::{Choice, Line, Post, Refusal};
use crate::request::{Correlation, FLAG_SEQUENCE_END, FLAG_SEQUENCE_START, Request};
use crate::spec::Spec;
use crate::spec::sequence::{SequenceSpec, Signal};
use crate::statistics::Failure;
use crate::tensor::DataType;
use direct::Ready;
use lane::{Lane, Pick};
use open::{Progress, Sequence};
use slots::{Slot, Slots};

pub(crate) use control::inject;
pub(crate) use memory::Memory;

/// Longest correlation id that is a text.
const MAX_ID_BYTES: usize = 128;

/// Which sequence a request belongs to, and what is remembered of it.
#[derive(Debug)]
pub(crate) struct Membership {
    number: u64,
    pub(crate) memory: Option<Memory>,
    /// The life of the instance that remembers it, where the server does not.
    pub(crate) life: Option<u64>,
}

/// The sequences of one version.
pub(crate) struct Sequences {
    spec: Arc<Spec>,
    rules: SequenceSpec,
    slots: Slots,
    lanes: Vec<Lane>,
    /// Those that have not ended, by a number that is never given twice.
    open: HashMap<u64, Sequence>,
    /// Those whose last request has not come, by the client's id.
    known: HashMap<Correlation, u64>,
    last_number: u64,
    waiting: usize,
    /// When to look at a sequence again; what no longer agrees with the sequence is passed over.
    alarms: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Sequences {
    pub(crate) fn new(spec: &Arc<Spec>, rules: SequenceSpec, instances: usize) -> Self {
        Self {
            spec: Arc::clone(spec),
            slots: Slots::new(instances, rules.slots),
            lanes: (0..instances).map(|_| Lane::new(&rules, spec)).collect(),
            rules,
            open: HashMap::new(),
            known: HashMap::new(),
            last_number: 0,
            waiting: 0,
            alarms: BinaryHeap::new(),
        }
    }

    /// The sequence that a request goes on with; none when it begins one.
    fn find(&mut self, job: &Job) -> Result<Option<u64>> {
        let (model, id) = (&self.spec.model, &job.request.correlation);
        if job.rows > 1 {
            return Err(Error::invalid(format!(
                "inference request to model '{model}' must specify batch-size 1 due to requirements of sequence batcher"
            )));
        }
        let id = match id {
            Correlation::None if self.rules.iterative => return Ok(None),
            Correlation::None => {
                return Err(Error::invalid(format!(
                    "inference request to model '{model}' must specify a non-zero or non-empty correlation ID"
                )));
            }
            id => id,
        };
        let starts = job.request.flags & FLAG_SEQUENCE_START != 0;
        let found = self.known.get(id).copied();
        if let Some(number) = found
            && self.open.get(&number).is_some_and(|sequence| sequence.lost)
        {
            self.forget(number);
            if starts {
                return Ok(None);
            }
            return Err(lost(id, &self.spec.model));
        }
        match found {
            Some(_) if self.rules.iterative => Err(Error::invalid(format!(
                "Parameter correlation ID {id} conflicts with in-flight sequence for model '{model}'"
            ))),
            None if !starts => Err(Error::invalid(format!(
                "inference request for sequence {id} to model '{model}' must specify the START flag on the first request of the sequence"
            ))),
            found => Ok(found),
        }
    }

    fn begin(&mut self, job: &mut Job) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        if job.request.correlation == Correlation::None {
            job.request.correlation = Correlation::Number(number);
        }
        if self.rules.iterative {
            job.request.flags = FLAG_SEQUENCE_START;
        }
        let id = job.request.correlation.clone();
        let slot = self.slots.begin(number);
        let mut sequence = Sequence::new(id.clone(), slot, job.arrived);
        sequence.expiry = job.request.timeout.filter(|_| slot.is_none()).map(|timeout| job.arrived + timeout);
        self.open.insert(number, sequence);
        self.known.insert(id, number);
        self.watch(number);
        number
    }

    /// Has the sequence looked at again when it may be over.
    fn watch(&mut self, number: u64) {
        let Some(sequence) = self.open.get_mut(&number) else { return };
        if let Some(at) = sequence.next_alarm(self.rules.max_idle) {
            self.alarms.push(Reverse((at, number)));
        }
    }

    /// Puts a sequence that has a slot and a request into its instance's line, where that keeps one.
    fn line_up(&mut self, number: u64) {
        let Some(sequence) = self.open.get(&number) else { return };
        if let (Some(slot), Some(job), false) = (sequence.slot, sequence.waiting.front(), sequence.is_running()) {
            self.lanes[slot.instance].line_up(number, sequence.likeness(job, &self.spec), job.arrived);
        }
    }

    /// Nothing of the sequence is executing: what becomes of it?
    fn go_on(&mut self, number: u64) {
        let Some(sequence) = self.open.get_mut(&number) else { return };
        if !sequence.waiting.is_empty() {
            self.line_up(number);
        } else if sequence.ended {
            self.forget(number);
        } else {
            self.watch(number);
        }
    }

    /// Ends a sequence that has nothing waiting; its slot goes to the next.
    fn forget(&mut self, number: u64) {
        let Some(sequence) = self.open.remove(&number) else { return };
        if self.known.get(&sequence.id) == Some(&number) {
            self.known.remove(&sequence.id);
        }
        match sequence.slot {
            Some(slot) => self.vacate(slot, sequence.last),
            None => self.slots.withdraw(number),
        }
    }

    fn vacate(&mut self, slot: Slot, now: Instant) {
        let Some(next) = self.slots.release(slot) else { return };
        if let Some(sequence) = self.open.get_mut(&next) {
            sequence.place(slot, now);
        }
        self.watch(next);
        self.line_up(next);
    }

    /// Ends a sequence early: nothing of it is executed any more.
    fn abort(&mut self, number: u64, failure: Failure, error: &Error, refused: &mut Vec<Refusal>) {
        let Some(sequence) = self.open.get_mut(&number) else { return };
        let jobs = std::mem::take(&mut sequence.waiting);
        sequence.ended = true;
        self.waiting -= jobs.len();
        refused.extend(jobs.into_iter().map(|job| Refusal { job, failure, error: error.clone() }));
        if self.known.get(&sequence.id) == Some(&number) {
            self.known.remove(&sequence.id);
        }
        if let Some(slot) = sequence.slot {
            self.lanes[slot.instance].step_out(number);
        }
        if !sequence.is_running() {
            self.forget(number);
        }
    }

    /// An instance may have lost what it remembered: its sequences cannot go on, unless the server remembers for it.
    fn meet(&mut self, post: Post, refused: &mut Vec<Refusal>) {
        let lane = &mut self.lanes[post.instance];
        if std::mem::replace(&mut lane.life, post.life) == post.life || !self.rules.states.is_empty() {
            return;
        }
        let owners: Vec<u64> = self.slots.owners(post.instance).iter().copied().flatten().collect();
        for number in owners {
            let Some(sequence) = self.open.get_mut(&number).filter(|sequence| sequence.progress != Progress::Fresh)
            else {
                continue;
            };
            if sequence.waiting.is_empty() && !sequence.ended {
                // Whoever goes on with it is told; until then it is in nobody's way.
                sequence.lost = true;
                if let Some(slot) = sequence.slot.take() {
                    let now = sequence.last;
                    self.vacate(slot, now);
                }
            } else {
                let error = lost(&sequence.id, &self.spec.model);
                self.abort(number, Failure::Other, &error, refused);
            }
        }
    }

    /// Takes the next request of a sequence out of its line, with what the model is told about it.
    fn draw(&mut self, number: u64) -> Option<Job> {
        let sequence = self.open.get_mut(&number)?;
        let mut job = sequence.waiting.pop_front()?;
        self.waiting -= 1;
        sequence.progress = Progress::Running;
        if job.request.flags & FLAG_SEQUENCE_START != 0 {
            sequence.memory = Memory::start(&self.spec);
        }
        let memory = sequence.memory.clone();
        let states = memory.as_ref().map(Memory::inputs).unwrap_or_default();
        control::inject(&mut job.request, &self.spec, true, states);
        let life = sequence.slot.filter(|_| memory.is_none()).map(|slot| self.lanes[slot.instance].life);
        job.sequence = Some(Membership { number, memory, life });
        Some(job)
    }

    /// The requests of a batch, by row; a row with nothing in it gets zeros.
    fn fill(&mut self, rows: Vec<Option<u64>>) -> Vec<Job> {
        let drawn: Vec<Option<Job>> = rows.into_iter().map(|row| row.and_then(|number| self.draw(number))).collect();
        let Some(nothing) = drawn.iter().flatten().next().map(|like| {
            let parts = (Arc::clone(&like.reactor), Arc::clone(&like.scheduler), like.arrived);
            (control::nothing(&like.request, &self.spec), parts)
        }) else {
            return Vec::new();
        };
        let (nothing, (reactor, scheduler, arrived)) = nothing;
        let filler = || Job {
            request: control::nothing(&nothing, &self.spec),
            rows: 1,
            likeness: None,
            arrived,
            started: None,
            place: None,
            reply: None,
            watch: None,
            was_abandoned: false,
            kept: None,
            reactor: Arc::clone(&reactor),
            scheduler: Arc::clone(&scheduler),
            sequence: None,
        };
        drawn.into_iter().map(|job| job.unwrap_or_else(filler)).collect()
    }

    fn choose(&mut self, instance: usize, may: impl FnOnce() -> bool, now: Instant) -> Pick {
        let Self { spec, slots, lanes, open, .. } = self;
        let front = |number: u64| {
            let sequence = open.get(&number)?;
            let job = sequence.waiting.front()?;
            Some(Ready { arrived: job.arrived, likeness: sequence.likeness(job, spec) })
        };
        lanes[instance].choose(slots.owners(instance), front, may, now)
    }
}

impl Line for Sequences {
    fn push(&mut self, mut job: Job, _: &mut Vec<Refusal>) -> Result<()> {
        let number = if let Some(number) = self.find(&job)? {
            number
        } else {
            check_kind(&job.request, &self.spec)?;
            self.begin(&mut job)
        };
        let Some(sequence) = self.open.get_mut(&number) else { return Ok(()) };
        sequence.last = sequence.last.max(job.arrived);
        if job.request.flags & FLAG_SEQUENCE_END != 0 || self.rules.iterative {
            sequence.ended = true;
        }
        // Whoever iterates is known until it is done, so that nobody else takes its id.
        if sequence.ended && !self.rules.iterative {
            self.known.remove(&sequence.id);
        }
        sequence.waiting.push_back(job);
        self.waiting += 1;
        if sequence.waiting.len() == 1 {
            self.line_up(number);
        }
        Ok(())
    }

    fn take(
        &mut self,
        idle: &mut dyn Iterator<Item = Post>,
        may: &dyn Fn(Post) -> bool,
        now: Instant,
        refused: &mut Vec<Refusal>,
    ) -> Choice {
        let mut until: Option<Instant> = None;
        for post in idle {
            self.meet(post, refused);
            match self.choose(post.instance, || may(post), now) {
                Pick::Rest => {}
                Pick::Wait(at) => until = Some(until.map_or(at, |until| until.min(at))),
                Pick::Take(rows) => {
                    self.lanes[post.instance].running = rows.iter().copied().flatten().collect();
                    return Choice::Take { instance: post.instance, jobs: self.fill(rows) };
                }
            }
        }
        until.map_or(Choice::Rest, Choice::Wait)
    }

    fn finish(&mut self, post: Post, again: Vec<Job>, now: Instant, refused: &mut Vec<Refusal>) {
        let running = std::mem::take(&mut self.lanes[post.instance].running);
        for number in &running {
            if let Some(sequence) = self.open.get_mut(number) {
                sequence.progress = Progress::Between;
                sequence.last = now;
            }
        }
        for mut job in again {
            let number = job.sequence.as_ref().map(|membership| membership.number);
            if let Some(sequence) = number.and_then(|number| self.open.get_mut(&number)) {
                job.request.flags &= !FLAG_SEQUENCE_START;
                sequence.waiting.push_front(job);
                self.waiting += 1;
            }
        }
        self.meet(post, refused);
        for number in running {
            self.go_on(number);
        }
    }

    fn sweep(&mut self, now: Instant, refused: &mut Vec<Refusal>) {
        // Who iterates has been begun by the model: it is told once, and has no other turn after that.
        let told = |sequence: &Sequence| self.rules.iterative && sequence.progress != Progress::Fresh;
        let abandoned = |(&number, sequence): (&u64, &Sequence)| {
            (!told(sequence) && sequence.waiting.iter().any(Job::is_abandoned)).then_some(number)
        };
        let gone: Vec<u64> = self.open.iter().filter_map(abandoned).collect();
        for number in gone {
            // One request less, and what the model knows of the sequence is wrong: nothing of it is executed any more.
            self.abort(number, Failure::Cancelled, &Error::new(Code::Cancelled, ""), refused);
        }
        while let Some(&Reverse((at, number))) = self.alarms.peek() {
            if at > now {
                break;
            }
            self.alarms.pop();
            let Some(sequence) = self.open.get_mut(&number) else { continue };
            if !sequence.answers(at) {
                continue;
            }
            match sequence.deadline(self.rules.max_idle) {
                Some(deadline) if deadline <= now => self.abort(number, Failure::Rejected, &expired(), refused),
                _ => self.watch(number),
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.alarms.peek().map(|alarm| alarm.0.0)
    }

    fn stop(&mut self) {
        // Nobody can go on with them: those that have nothing to do make room for those that have.
        self.known.clear();
        let numbers: Vec<u64> = self.open.keys().copied().collect();
        for number in numbers {
            let Some(sequence) = self.open.get_mut(&number) else { continue };
            sequence.ended = true;
            if sequence.waiting.is_empty() && !sequence.is_running() {
                self.forget(number);
            }
        }
    }

    fn len(&self) -> usize {
        self.waiting
    }

    fn clear(&mut self) -> Vec<Job> {
        self.waiting = 0;
        self.open.values_mut().flat_map(|sequence| std::mem::take(&mut sequence.waiting)).collect()
    }
}

/// Whether a correlation id is one at all.
///
/// # Errors
/// `INVALID_ARG` for a text that is too long.
pub(crate) fn check_id(id: &Correlation) -> Result<()> {
    if let Correlation::Text(text) = id
        && text.len() > MAX_ID_BYTES
    {
        return Err(Error::invalid(format!("string correlation ID cannot be longer than {MAX_ID_BYTES} characters")));
    }
    Ok(())
}

/// Whether the model can be told the id of a sequence that begins.
///
/// # Errors
/// `INVALID_ARG` for a kind of id that the model's control input does not have.
fn check_kind(request: &Request, spec: &Spec) -> Result<()> {
    let Some(control) = spec.sequence.as_ref().and_then(|sequence| sequence.control(Signal::Correlation)) else {
        return Ok(());
    };
    let found = match (&request.correlation, control.data_type) {
        (Correlation::Text(_), DataType::Bytes) | (Correlation::None, _) => return Ok(()),
        (Correlation::Text(_), _) => "BYTES",
        (Correlation::Number(_), DataType::Bytes) => "UINT64",
        (Correlation::Number(_), _) => return Ok(()),
    };
    Err(Error::invalid(format!(
        "sequence batching control '{}' data-type is '{found}', but model '{}' expects '{}'",
        control.name,
        spec.model,
        control.data_type.name()
    ))
    .with_request_id(&request.id))
}

fn expired() -> Error {
    Error::unavailable("timeout of the corresponding sequence has been expired")
}

fn lost(id: &Correlation, model: &str) -> Error {
    Error::unavailable(format!(
        "sequence {id} of model '{model}' ended early: the instance that remembered it has failed. Start the sequence again."
    ))
}
