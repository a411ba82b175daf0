//! Whether a model is so quick that handing its batches to another thread costs more than it buys.
//!
//! Waking a thread on another core takes about 20 microseconds, twice per batch. A model that needs little more than that is executed where
//! its requests arrived. It has to prove itself first, and one slow execution sends it back for a while.

use std::time::Duration;

/// An execution up to this long counts as quick.
const QUICK: Duration = Duration::from_micros(400);
/// One this long holds up other connections noticeably.
const SLOW: Duration = Duration::from_millis(2);
/// Quick executions in a row that make a model quick.
const PROOF: i32 = 8;
/// What one slow execution costs.
const PENALTY: i32 = 64;

/// What is known of a model's speed.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    credit: i32,
}

impl Pace {
    /// Whether the next batch may run on the reactor's thread.
    pub(crate) fn is_quick(&self) -> bool {
        self.credit >= PROOF
    }

    /// Takes note of an execution.
    pub(crate) fn note(&mut self, took: Duration) {
        self.credit = if took <= QUICK {
            (self.credit + 1).min(2 * PROOF)
        } else if took < SLOW {
            (self.credit - 1).max(0)
        } else {
            -PENALTY
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_proves_itself_and_loses_it_by_one_slow_execution() {
        let mut pace = Pace::default();
        (0..PROOF).for_each(|_| pace.note(QUICK));
        assert!(pace.is_quick());
        pace.note(SLOW);
        (0..PENALTY).for_each(|_| pace.note(QUICK));
        assert!(!pace.is_quick());
        (0..PROOF).for_each(|_| pace.note(QUICK));
        assert!(pace.is_quick());
    }
}
