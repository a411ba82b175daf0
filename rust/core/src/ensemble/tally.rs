//! What is counted for one request to an ensemble. Dropped before its end, it counts as failed.

use std::sync::Arc;
use std::time::Instant;

use crate::ensemble::Ensemble;
use crate::statistics::{Failure, Spent};
use crate::trace::Trace;

/// Counts one request under way.
pub(super) struct Tally {
    pub(super) ensemble: Arc<Ensemble>,
    pub(super) rows: usize,
    /// What its steps spent, all together.
    pub(super) spent: Spent,
    /// What of that was told with answers given before.
    told: Spent,
    arrived: Instant,
    before: Instant,
    given: usize,
    trace: Option<Arc<Trace>>,
    over: bool,
}

impl Tally {
    /// A request was admitted.
    pub(super) fn start(ensemble: Arc<Ensemble>, rows: usize, trace: Option<Arc<Trace>>) -> Self {
        let (spent, told, now) = (Spent::default(), Spent::default(), Instant::now());
        Self { ensemble, rows, spent, told, arrived: now, before: now, given: 0, trace, over: false }
    }

    /// What was spent since the answer before.
    pub(super) fn spent_since(&mut self) -> Spent {
        let since = self.spent - self.told;
        self.told = self.spent;
        since
    }

    /// One of several answers was given; `more` says whether others follow.
    pub(super) fn answered(&mut self, more: bool) {
        if !more && self.given == 0 {
            return;
        }
        let now = Instant::now();
        let mut totals = self.ensemble.statistics.lock();
        totals.responded(self.given, now - self.before, false, false, false);
        if self.given == 0 {
            totals.began(now - self.arrived);
        }
        drop(totals);
        self.before = now;
        self.given += 1;
    }

    /// It was answered.
    pub(super) fn succeeded(&mut self) {
        self.end(false);
        let Spent { queue, compute } = self.spent;
        let mut totals = self.ensemble.statistics.lock();
        totals.executed(self.rows, compute);
        totals.succeeded(self.rows, self.arrived.elapsed(), queue, compute);
    }

    /// It was answered with an error, or nobody waits for the answer any more.
    pub(super) fn failed(&mut self) {
        self.end(true);
        self.ensemble.statistics.lock().failed(Failure::Other, self.arrived.elapsed());
    }
}

impl Tally {
    fn end(&mut self, failed: bool) {
        self.over = true;
        if let Some(trace) = self.trace.take() {
            trace.leave(failed);
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if !self.over {
            self.failed();
        }
        self.ensemble.leave();
    }
}
