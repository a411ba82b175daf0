//! What came of a load.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::failure::Failure;
use crate::spread::Spread;

/// The length of an interval.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How long successful requests took: from when they were sent in a closed loop, from when they were due in an open one.
    pub latencies: Spread,
    /// In an open loop, how long after it was due each request was sent.
    pub delays: Spread,
    /// By when answers came, from the start; as many as it took until the last answer.
    pub intervals: Vec<Interval>,
    /// How many failed, by the reason.
    pub failures: BTreeMap<Failure, u64>,
    /// The beginning of what the server said with the first failure of each reason.
    pub examples: BTreeMap<Failure, String>,
    /// Requests that became due in an open loop and could not be sent before the end.
    pub unsent: u64,
    /// Connections that were made.
    pub connections: u64,
    /// How long requests were sent.
    pub length: Duration,
    /// The processor time of all threads that made load, for all loads together.
    pub cpu: Duration,
}

/// What was answered within an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Successes.
    pub requests: u64,
    /// Failures.
    pub failures: u64,
    /// The latencies of the successes together, in nanoseconds.
    pub latency_sum: u64,
}

impl Outcome {
    /// Requests that were answered with success.
    pub fn requests(&self) -> u64 {
        self.latencies.count()
    }

    /// Requests that failed, for whatever reason.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Adds what another part of the same load came to.
    pub(crate) fn add(&mut self, part: Self) {
        self.latencies.add(&part.latencies);
        self.delays.add(&part.delays);
        if self.intervals.len() < part.intervals.len() {
            self.intervals.resize(part.intervals.len(), Interval::default());
        }
        for (sum, interval) in self.intervals.iter_mut().zip(part.intervals) {
            sum.requests += interval.requests;
            sum.failures += interval.failures;
            sum.latency_sum += interval.latency_sum;
        }
        for (failure, count) in part.failures {
            *self.failures.entry(failure).or_default() += count;
        }
        for (failure, text) in part.examples {
            self.examples.entry(failure).or_insert(text);
        }
        self.unsent += part.unsent;
        self.connections += part.connections;
    }
}
