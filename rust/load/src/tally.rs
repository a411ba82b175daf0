//! Counts what comes of one part of a load. Pure: times are nanoseconds from the start of the measurement.

use crate::asked::{Done, Nanos, Refusal};
use crate::load::Mode;
use crate::outcome::{INTERVAL, Interval, Outcome};

/// Counts.
#[derive(Debug)]
pub(crate) struct Tally {
    outcome: Outcome,
    /// Whether requests have times of their own, from which they count.
    open: bool,
}

impl Tally {
    /// For a measurement of that length, so that memory for it is there.
    pub(crate) fn new(mode: Mode, length: Nanos) -> Self {
        let mut outcome = Outcome::default();
        outcome.intervals.reserve(1 + place(length));
        Self { outcome, open: matches!(mode, Mode::Open { .. }) }
    }

    /// A request is answered, or has failed.
    pub(crate) fn count(&mut self, done: Done) {
        if self.open {
            self.outcome.delays.record(done.asked.sent.saturating_sub(done.asked.due));
        }
        match done.result {
            Ok(()) => {
                let from = if self.open { done.asked.due } else { done.asked.sent };
                let latency = done.at.saturating_sub(from);
                self.outcome.latencies.record(latency);
                let interval = self.interval(done.at);
                interval.requests += 1;
                interval.latency_sum += latency;
            }
            Err(refusal) => self.fail(&refusal, done.at, 1),
        }
    }

    /// So many requests have failed.
    pub(crate) fn fail(&mut self, refusal: &Refusal, at: Nanos, count: u64) {
        self.interval(at).failures += count;
        *self.outcome.failures.entry(refusal.failure).or_default() += count;
        if !refusal.text.is_empty() {
            let text = || String::from_utf8_lossy(&refusal.text).into_owned();
            self.outcome.examples.entry(refusal.failure).or_insert_with(text);
        }
    }

    /// A connection was made.
    pub(crate) fn connected(&mut self) {
        self.outcome.connections += 1;
    }

    /// So many were due and never sent.
    pub(crate) fn leave(&mut self, unsent: u64) {
        self.outcome.unsent += unsent;
    }

    pub(crate) fn finish(self) -> Outcome {
        self.outcome
    }

    fn interval(&mut self, at: Nanos) -> &mut Interval {
        let place = place(at);
        let intervals = &mut self.outcome.intervals;
        if intervals.len() <= place {
            intervals.resize(place + 1, Interval::default());
        }
        &mut intervals[place]
    }
}

fn place(at: Nanos) -> usize {
    (at / INTERVAL.as_nanos() as Nanos) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::Asked;
    use crate::failure::Failure;
    use crate::load::Arrivals;

    const MS: Nanos = 1_000_000;
    const OPEN: Mode = Mode::Open { rate: 1000.0, arrivals: Arrivals::Constant, seed: 0, in_flight: 1 };

    fn answered(due: Nanos, sent: Nanos, at: Nanos) -> Done {
        Done { asked: Asked { due, sent }, at, result: Ok(()) }
    }

    #[test]
    fn an_open_loop_counts_from_when_a_request_was_due() {
        let mut tally = Tally::new(OPEN, 1000 * MS);
        tally.count(answered(10 * MS, 40 * MS, 45 * MS));
        let outcome = tally.finish();
        assert_eq!((outcome.latencies.max(), outcome.delays.max()), (35 * MS, 30 * MS));
    }

    #[test]
    fn a_closed_loop_counts_from_when_it_was_sent() {
        let mut tally = Tally::new(Mode::Closed { concurrency: 1 }, 1000 * MS);
        tally.count(answered(10 * MS, 40 * MS, 45 * MS));
        let outcome = tally.finish();
        assert_eq!((outcome.latencies.max(), outcome.delays.count()), (5 * MS, 0));
    }

    #[test]
    fn answers_are_counted_in_the_interval_they_come_in() {
        let mut tally = Tally::new(OPEN, 200 * MS);
        tally.count(answered(0, 0, 99 * MS));
        tally.count(answered(0, 0, 300 * MS));
        tally.count(answered(90 * MS, 90 * MS, 301 * MS));
        let of = |requests, latency_sum| Interval { requests, failures: 0, latency_sum };
        assert_eq!(tally.finish().intervals, [of(1, 99 * MS), of(0, 0), of(0, 0), of(2, 511 * MS)]);
    }

    #[test]
    fn failures_are_counted_by_reason_and_no_successes() {
        let mut tally = Tally::new(OPEN, 200 * MS);
        let refusal = |text: &[u8]| Refusal { failure: Failure::Status(500), text: text.to_vec() };
        tally.fail(&refusal(b"first"), 0, 1);
        tally.fail(&refusal(b"second"), 0, 2);
        tally.fail(&Failure::TimedOut.into(), 0, 1);
        let outcome = tally.finish();
        assert_eq!((outcome.requests(), outcome.failed()), (0, 4));
        assert_eq!(outcome.failures[&Failure::Status(500)], 3);
        assert_eq!(outcome.examples.into_iter().collect::<Vec<_>>(), [(Failure::Status(500), "first".to_owned())]);
        assert_eq!(outcome.intervals[0].failures, 4);
    }
}
