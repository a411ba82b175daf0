//! What one instance executes next, of the sequences it serves.

use std::time::Duration;

use tokio::time::Instant;

use crate::batcher::{self, Limits};
use crate::queue::{Entry, Likeness, Queue};
use crate::sequence::direct::{self, Ready};
use crate::spec::Spec;
use crate::spec::sequence::{SequenceSpec, Strategy};

pub(crate) struct Lane {
    method: Method,
    /// The life of the instance in which its sequences began.
    pub(crate) life: u64,
    /// Those with a request in the batch that it executes.
    pub(crate) running: Vec<u64>,
}

enum Method {
    Direct {
        max_delay: Duration,
        utilization: f32,
    },
    Oldest {
        /// Sequences with a request that may be executed.
        ready: Queue<u64>,
        limits: Limits,
    },
}

/// What an idle instance does now.
pub(crate) enum Pick {
    Rest,
    Wait(Instant),
    /// These sequences, by row.
    Take(Vec<Option<u64>>),
}

impl Lane {
    pub(crate) fn new(rules: &SequenceSpec, spec: &Spec) -> Self {
        let method = match &rules.strategy {
            Strategy::Direct { max_delay, utilization } => {
                Method::Direct { max_delay: *max_delay, utilization: *utilization }
            }
            Strategy::Oldest { preferred_sizes, max_delay, .. } => Method::Oldest {
                ready: Queue::new(None),
                limits: Limits {
                    max_rows: (spec.max_batch_size > 0).then_some(spec.max_batch_size),
                    preferred_sizes: preferred_sizes.clone(),
                    max_delay: *max_delay,
                },
            },
        };
        Self { method, life: 0, running: Vec::new() }
    }

    /// A sequence has a request that may be executed.
    pub(crate) fn line_up(&mut self, number: u64, likeness: Likeness, arrived: Instant) {
        if let Method::Oldest { ready, .. } = &mut self.method {
            ready.push(Entry::new(number, 1, likeness, arrived), 0, None);
        }
    }

    /// It has none any more.
    pub(crate) fn step_out(&mut self, number: u64) {
        if let Method::Oldest { ready, .. } = &mut self.method {
            ready.sweep(Instant::now(), |&waiting| waiting == number);
        }
    }

    /// Chooses among the owners of the instance's slots; `front` knows their next requests, and `may` whether any may be executed.
    pub(crate) fn choose(
        &mut self,
        owners: &[Option<u64>],
        front: impl Fn(u64) -> Option<Ready>,
        may: impl FnOnce() -> bool,
        now: Instant,
    ) -> Pick {
        match &mut self.method {
            Method::Direct { max_delay, utilization } => {
                let slots: Vec<Option<Ready>> = owners.iter().map(|owner| owner.and_then(&front)).collect();
                match direct::decide(&slots, *utilization, *max_delay, now) {
                    direct::Decision::Rest => Pick::Rest,
                    direct::Decision::Wait(until) => Pick::Wait(until),
                    direct::Decision::Take(_) if !may() => Pick::Rest,
                    direct::Decision::Take(rows) => {
                        Pick::Take(rows.iter().zip(owners).map(|(&goes, owner)| owner.filter(|_| goes)).collect())
                    }
                }
            }
            Method::Oldest { ready, limits } => match batcher::decide(ready, limits, now) {
                batcher::Decision::Rest => Pick::Rest,
                batcher::Decision::Wait(until) => Pick::Wait(until),
                batcher::Decision::Take(_) if !may() => Pick::Rest,
                batcher::Decision::Take(count) => {
                    Pick::Take(ready.take(count).into_iter().map(|entry| Some(entry.item)).collect())
                }
            },
        }
    }
}
