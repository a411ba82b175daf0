//! A sequence that has not ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::instance::Job;
use crate::queue::Likeness;
use crate::request::{Correlation, FLAG_SEQUENCE_START};
use crate::sequence::memory::Memory;
use crate::sequence::slots::Slot;
use crate::spec::Spec;

/// How far a sequence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its model has not heard of it.
    Fresh,
    /// A request of it is being executed.
    Running,
    /// One was.
    Between,
}

#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) id: Correlation,
    /// None while it waits for one, and when it is lost.
    pub(crate) slot: Option<Slot>,
    pub(crate) waiting: VecDeque<Job>,
    pub(crate) memory: Option<Memory>,
    pub(crate) progress: Progress,
    /// Whether its last request has come.
    pub(crate) ended: bool,
    /// Whether its instance has forgotten it, and its client does not know yet.
    pub(crate) lost: bool,
    /// When it last had something to do.
    pub(crate) last: Instant,
    /// When it gives up waiting for a slot.
    pub(crate) expiry: Option<Instant>,
    alarm: Option<Instant>,
}

impl Sequence {
    pub(crate) fn new(id: Correlation, slot: Option<Slot>, now: Instant) -> Self {
        Self {
            id,
            slot,
            waiting: VecDeque::new(),
            memory: None,
            progress: Progress::Fresh,
            ended: false,
            lost: false,
            last: now,
            expiry: None,
            alarm: None,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.progress == Progress::Running
    }

    /// It has waited for this slot.
    pub(crate) fn place(&mut self, slot: Slot, now: Instant) {
        self.slot = Some(slot);
        self.expiry = None;
        self.last = self.last.max(now);
    }

    /// When it is over unless something happens; none while something is to be done for it.
    pub(crate) fn deadline(&self, max_idle: Duration) -> Option<Instant> {
        match self.slot {
            None if !self.lost => self.expiry,
            _ if self.is_running() || !self.waiting.is_empty() => None,
            _ => Some(self.last + max_idle),
        }
    }

    /// When somebody has to look at it again, where nobody does before that.
    pub(crate) fn next_alarm(&mut self, max_idle: Duration) -> Option<Instant> {
        let deadline = self.deadline(max_idle)?;
        if self.alarm.is_some_and(|alarm| alarm <= deadline) {
            return None;
        }
        self.alarm = Some(deadline);
        self.alarm
    }

    /// Whether this alarm is the one it set; it has none then.
    pub(crate) fn answers(&mut self, alarm: Instant) -> bool {
        let mine = self.alarm == Some(alarm);
        if mine {
            self.alarm = None;
        }
        mine
    }

    /// What its next request can share a batch with: the shapes of what the server remembers count as well.
    pub(crate) fn likeness(&self, job: &Job, spec: &Arc<Spec>) -> Likeness {
        let open = |sequence: &crate::spec::sequence::SequenceSpec| {
            sequence.states.iter().any(|state| state.dims.contains(&-1))
        };
        if !spec.sequence.as_ref().is_some_and(open) {
            return job.likeness.clone();
        }
        let starts = job.request.flags & FLAG_SEQUENCE_START != 0;
        let shapes = match &self.memory {
            Some(memory) if !starts => memory.shapes(),
            _ => Memory::start(spec).map(|memory| memory.shapes()).unwrap_or_default(),
        };
        Some(job.likeness.iter().flat_map(|likeness| likeness.iter().copied()).chain(shapes).collect())
    }
}
