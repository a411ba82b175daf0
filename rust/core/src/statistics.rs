//! What a version did since it was loaded. Recorded once per batch, under one short lock; read when somebody asks.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::histogram::Histogram;
use crate::metrics::Summary;

/// How often, and how long in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Times.
    pub count: u64,
    /// Nanoseconds.
    pub ns: u64,
}

impl Total {
    fn add(&mut self, count: u64, each: Duration) {
        self.count += count;
        self.ns += count * each.as_nanos() as u64;
    }
}

impl AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.ns += other.ns;
    }
}

/// Why a request failed, as the metrics label it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It waited longer than it may.
    Rejected,
    /// Its client went away.
    Cancelled,
    /// The model failed it.
    Backend,
    /// Anything else before execution.
    Other,
}

impl Failure {
    /// Every reason with its label.
    pub const LABELS: [&'static str; 4] = ["REJECTED", "CANCELED", "BACKEND", "OTHER"];
}

/// How long the parts of one execution took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Making the model's inputs.
    pub input: Duration,
    /// The model.
    pub infer: Duration,
    /// Taking its outputs apart.
    pub output: Duration,
}

/// Where the time of a request went, besides the way to its model and back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// In the queue.
    pub queue: Duration,
    /// In the model.
    pub compute: Timing,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.queue += other.queue;
        self.compute.input += other.compute.input;
        self.compute.infer += other.compute.infer;
        self.compute.output += other.compute.output;
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let compute = Timing {
            input: self.compute.input.saturating_sub(other.compute.input),
            infer: self.compute.infer.saturating_sub(other.compute.infer),
            output: self.compute.output.saturating_sub(other.compute.output),
        };
        Self { queue: self.queue.saturating_sub(other.queue), compute }
    }
}

/// Answers that were the n-th of their requests, of models that give several. A failed, empty or cancelled one counts as nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseTotals {
    /// Since the answer before.
    pub infer: Total,
    /// Handing it on.
    pub output: Total,
    /// Good ones with outputs.
    pub success: Total,
    /// Errors.
    pub fail: Total,
    /// Last ones without outputs.
    pub empty: Total,
    /// Those nobody waited for.
    pub cancel: Total,
}

impl AddAssign for ResponseTotals {
    fn add_assign(&mut self, other: Self) {
        self.infer += other.infer;
        self.output += other.output;
        self.success += other.success;
        self.fail += other.fail;
        self.empty += other.empty;
        self.cancel += other.cancel;
    }
}

/// Places of answers that are told apart; all behind the last count as the last.
const MAX_RESPONSES: usize = 4096;

/// Executions of one batch size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchTotals {
    /// Making the model's inputs.
    pub input: Total,
    /// The model.
    pub infer: Total,
    /// Taking its outputs apart.
    pub output: Total,
}

impl AddAssign for BatchTotals {
    fn add_assign(&mut self, other: Self) {
        self.input += other.input;
        self.infer += other.infer;
        self.output += other.output;
    }
}

/// Upper bounds in seconds: 100 microseconds to 10 seconds, three to a decade.
const SECONDS: &[f64] =
    &[1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const ROWS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Everything counted for one version; its members are those of the protocol's statistics extension.
#[derive(Clone, Debug)]
pub struct Totals {
    /// When it last executed, in milliseconds since 1970; 0 for never.
    pub last_inference_ms: u64,
    /// Rows executed for requests that succeeded.
    pub inference_count: u64,
    /// Batches executed.
    pub execution_count: u64,
    /// Requests answered well, from arrival to answer.
    pub success: Total,
    /// Requests that failed, from arrival to answer.
    pub fail: Total,
    /// Time in the queue.
    pub queue: Total,
    /// Making the model's inputs, per request.
    pub compute_input: Total,
    /// The model, per request.
    pub compute_infer: Total,
    /// Taking the outputs apart, per request.
    pub compute_output: Total,
    /// Answers found in the cache, and how long looking took.
    pub cache_hit: Total,
    /// Answers that were not, and how long looking and keeping took.
    pub cache_miss: Total,
    /// By batch size, in rows.
    pub batches: BTreeMap<usize, BatchTotals>,
    /// By the place among the answers to its request.
    pub responses: Vec<ResponseTotals>,
    /// By reason, in the order of `Failure::LABELS`.
    pub failures: [u64; 4],
    /// Seconds from arrival to answer.
    pub latency: Histogram,
    /// Seconds in the queue.
    pub queue_time: Histogram,
    /// Seconds of execution, as each request sees them.
    pub compute_time: Histogram,
    /// Rows of a batch.
    pub batch_size: Histogram,
    /// Milliseconds from arrival to the first of several answers, where that is wanted.
    pub first_response: Option<Histogram>,
    /// Quantiles of the times, where they are wanted.
    pub(crate) summaries: Option<Box<Summaries>>,
}

/// Quantiles of the times of requests, in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Summaries {
    pub(crate) request: Summary,
    pub(crate) queue: Summary,
    pub(crate) compute_input: Summary,
    pub(crate) compute_infer: Summary,
    pub(crate) compute_output: Summary,
    pub(crate) cache_hit: Summary,
    pub(crate) cache_miss: Summary,
}

impl Summaries {
    pub(crate) fn new() -> Self {
        let new = Summary::new;
        Self {
            request: new(),
            queue: new(),
            compute_input: new(),
            compute_infer: new(),
            compute_output: new(),
            cache_hit: new(),
            cache_miss: new(),
        }
    }

    fn answered(&mut self, whole: Duration, queue: Duration, now: Instant) {
        self.request.observe(microseconds(whole), now);
        self.queue.observe(microseconds(queue), now);
    }

    fn executed(&mut self, timing: Timing, now: Instant) {
        self.compute_input.observe(microseconds(timing.input), now);
        self.compute_infer.observe(microseconds(timing.infer), now);
        self.compute_output.observe(microseconds(timing.output), now);
    }
}

fn microseconds(time: Duration) -> f64 {
    time.as_micros() as f64
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            last_inference_ms: 0,
            inference_count: 0,
            execution_count: 0,
            success: Total::default(),
            fail: Total::default(),
            queue: Total::default(),
            compute_input: Total::default(),
            compute_infer: Total::default(),
            compute_output: Total::default(),
            cache_hit: Total::default(),
            cache_miss: Total::default(),
            batches: BTreeMap::new(),
            responses: Vec::new(),
            failures: [0; 4],
            latency: Histogram::new(SECONDS),
            queue_time: Histogram::new(SECONDS),
            compute_time: Histogram::new(SECONDS),
            batch_size: Histogram::new(ROWS),
            first_response: None,
            summaries: None,
        }
    }
}

impl Totals {
    /// One execution of `rows` rows.
    pub fn executed(&mut self, rows: usize, timing: Timing) {
        self.execution_count += 1;
        self.last_inference_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let batch = self.batches.entry(rows).or_default();
        batch.input.add(1, timing.input);
        batch.infer.add(1, timing.infer);
        batch.output.add(1, timing.output);
        self.batch_size.observe(rows as f64);
    }

    /// One request of an execution, answered well.
    pub fn succeeded(&mut self, rows: usize, whole: Duration, queue: Duration, timing: Timing) {
        self.inference_count += rows as u64;
        self.success.add(1, whole);
        self.queue.add(1, queue);
        self.compute_input.add(1, timing.input);
        self.compute_infer.add(1, timing.infer);
        self.compute_output.add(1, timing.output);
        self.latency.observe(whole.as_secs_f64());
        self.queue_time.observe(queue.as_secs_f64());
        self.compute_time.observe((timing.input + timing.infer + timing.output).as_secs_f64());
        if let Some(summaries) = &mut self.summaries {
            let now = Instant::now();
            summaries.answered(whole, queue, now);
            summaries.executed(timing, now);
        }
    }

    /// The first answer of several, so long after the request.
    pub fn began(&mut self, after: Duration) {
        if let Some(histogram) = &mut self.first_response {
            histogram.observe(after.as_secs_f64() * 1000.0);
        }
    }

    /// One of the answers of a model that gives several, so long after the one before.
    pub fn responded(&mut self, place: usize, took: Duration, empty: bool, failed: bool, cancelled: bool) {
        let place = place.min(MAX_RESPONSES - 1);
        if self.responses.len() <= place {
            self.responses.resize(place + 1, ResponseTotals::default());
        }
        let totals = &mut self.responses[place];
        let kind = if cancelled {
            &mut totals.cancel
        } else if failed {
            &mut totals.fail
        } else if empty {
            &mut totals.empty
        } else {
            totals.infer.add(1, took);
            totals.output.add(1, Duration::ZERO);
            &mut totals.success
        };
        kind.add(1, took);
    }

    /// One request that was answered from the cache.
    pub fn hit(&mut self, whole: Duration, looking: Duration) {
        self.success.add(1, whole);
        self.queue.add(1, Duration::ZERO);
        self.cache_hit.add(1, looking);
        self.latency.observe(whole.as_secs_f64());
        self.queue_time.observe(0.0);
        if let Some(summaries) = &mut self.summaries {
            let now = Instant::now();
            summaries.answered(whole, Duration::ZERO, now);
            summaries.cache_hit.observe(microseconds(looking), now);
        }
    }

    /// One request whose answer was not in the cache.
    pub fn missed(&mut self, looking: Duration) {
        self.cache_miss.add(1, looking);
    }

    /// Its answer was kept. What the cache costs is part of the request.
    pub fn kept(&mut self, looking: Duration, keeping: Duration) {
        self.cache_miss.ns += keeping.as_nanos() as u64;
        self.success.ns += (looking + keeping).as_nanos() as u64;
        if let Some(summaries) = &mut self.summaries {
            summaries.cache_miss.observe(microseconds(looking + keeping), Instant::now());
        }
    }

    /// One request that was admitted and failed.
    pub fn failed(&mut self, failure: Failure, whole: Duration) {
        self.fail.add(1, whole);
        self.failures[failure as usize] += 1;
    }
}

impl AddAssign<&Totals> for Totals {
    /// Adds what other instances of the same version did, but for the quantiles, which are not to be added.
    fn add_assign(&mut self, other: &Totals) {
        self.last_inference_ms = self.last_inference_ms.max(other.last_inference_ms);
        self.inference_count += other.inference_count;
        self.execution_count += other.execution_count;
        self.success += other.success;
        self.fail += other.fail;
        self.queue += other.queue;
        self.compute_input += other.compute_input;
        self.compute_infer += other.compute_infer;
        self.compute_output += other.compute_output;
        self.cache_hit += other.cache_hit;
        self.cache_miss += other.cache_miss;
        for (rows, batches) in &other.batches {
            *self.batches.entry(*rows).or_default() += *batches;
        }
        self.responses.resize(self.responses.len().max(other.responses.len()), ResponseTotals::default());
        self.responses.iter_mut().zip(&other.responses).for_each(|(mine, others)| *mine += *others);
        self.failures.iter_mut().zip(other.failures).for_each(|(mine, others)| *mine += others);
        self.latency += &other.latency;
        self.queue_time += &other.queue_time;
        self.compute_time += &other.compute_time;
        self.batch_size += &other.batch_size;
        if let (Some(mine), Some(others)) = (&mut self.first_response, &other.first_response) {
            *mine += others;
        }
    }
}

/// The totals of one version, shared by whoever executes it and whoever asks: those of its instances on each GPU, and all others.
#[derive(Debug, Default)]
pub struct Statistics {
    others: Mutex<Totals>,
    gpus: Vec<(String, Mutex<Totals>)>,
}

impl Statistics {
    /// Nothing yet, of instances on GPUs with these names.
    pub(crate) fn on_gpus<'a>(uuids: impl Iterator<Item = &'a str>) -> Self {
        let mut gpus: Vec<(String, Mutex<Totals>)> = Vec::new();
        for uuid in uuids {
            if gpus.iter().all(|(known, _)| known != uuid) {
                gpus.push((uuid.to_owned(), Mutex::default()));
            }
        }
        Self { others: Mutex::default(), gpus }
    }

    /// The place of what an instance on that GPU does.
    pub(crate) fn place(&self, uuid: Option<&str>) -> Option<usize> {
        self.gpus.iter().position(|(known, _)| Some(known.as_str()) == uuid)
    }

    /// The totals of what no instance on a GPU did, to add to or to read; hold them shortly and never across an await.
    pub fn lock(&self) -> MutexGuard<'_, Totals> {
        self.at(None)
    }

    /// The totals at a place; the same holds.
    pub(crate) fn at(&self, place: Option<usize>) -> MutexGuard<'_, Totals> {
        let totals = place.and_then(|place| self.gpus.get(place)).map_or(&self.others, |(_, totals)| totals);
        totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything, but for quantiles where there are several places.
    pub fn whole(&self) -> Totals {
        let mut whole = self.lock().clone();
        for place in 0..self.gpus.len() {
            whole += &*self.at(Some(place));
        }
        whole
    }

    /// The totals of all places: first those of no GPU.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Option<&str>, MutexGuard<'_, Totals>)> {
        let gpus = self.gpus.iter().enumerate().map(|(place, (uuid, _))| (Some(uuid.as_str()), self.at(Some(place))));
        std::iter::once_with(|| (None, self.lock())).chain(gpus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_whole_is_the_sum_of_its_parts() {
        let statistics = Statistics::on_gpus(["GPU-a", "GPU-b", "GPU-a"].into_iter());
        assert_eq!(["GPU-a", "GPU-b", "GPU-c"].map(|uuid| statistics.place(Some(uuid))), [Some(0), Some(1), None]);
        assert_eq!(statistics.place(None), None);
        for (place, rows) in [(None, 1), (Some(0), 2), (Some(1), 2)] {
            let mut totals = statistics.at(place);
            totals.executed(rows, Timing::default());
            totals.succeeded(rows, 3 * MS, MS, Timing::default());
            totals.failed(Failure::Backend, MS);
            totals.responded(rows, MS, false, false, false);
        }

        let whole = statistics.whole();

        assert_eq!((whole.inference_count, whole.execution_count, whole.failures), (5, 3, [0, 0, 3, 0]));
        assert_eq!(whole.success, Total { count: 3, ns: 9_000_000 });
        let batches: Vec<_> = whole.batches.iter().map(|(rows, batches)| (*rows, batches.infer.count)).collect();
        assert_eq!(batches, [(1, 1), (2, 2)]);
        let responses: Vec<_> = whole.responses.iter().map(|responses| responses.success.count).collect();
        assert_eq!(responses, [0, 1, 2]);
        assert_eq!(whole.latency.counts.iter().sum::<u64>(), 3);
        let parts: Vec<_> = statistics.parts().map(|(uuid, totals)| (uuid, totals.inference_count)).collect();
        assert_eq!(parts, [(None, 1), (Some("GPU-a"), 2), (Some("GPU-b"), 2)]);
    }
}
