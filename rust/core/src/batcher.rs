//! The decision of dynamic batching, as a function of what waits and what time it is.

use std::time::Duration;

use tokio::time::Instant;

use crate::queue::{Entry, Queue};

/// What a batch may be.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Rows at most; 1 request at a time when `None`.
    pub max_rows: Option<usize>,
    /// Sizes to aim for, ascending.
    pub preferred_sizes: Vec<usize>,
    /// How long the oldest may wait for company.
    pub max_delay: Duration,
}

/// What to do while an instance is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing waits.
    Rest,
    /// Ask again then, or when something changes.
    Wait(Instant),
    /// Execute this many requests from the head.
    Take(usize),
}

/// Decides. Follows the rules of Triton's dynamic batcher: a preferred size is taken as soon as it can be made, otherwise everything
/// that fits goes once the oldest has waited long enough, or at once when no batch could grow any further.
pub(crate) fn decide<T>(queue: &Queue<T>, limits: &Limits, now: Instant) -> Decision {
    let mut entries = queue.iter();
    let Some(first) = entries.next() else { return Decision::Rest };
    let Some(max_rows) = limits.max_rows else { return Decision::Take(1) };
    let largest = limits.preferred_sizes.last().copied().unwrap_or(max_rows).min(max_rows);

    let mut run = Run { count: 1, rows: first.rows, preferred: None, oldest: first.arrived };
    run.note(limits);
    let mut full = false;
    for entry in entries {
        if run.rows + entry.rows > max_rows || entry.likeness != first.likeness {
            full = true;
            break;
        }
        run.add(entry, limits);
    }
    let due = run.oldest + limits.max_delay;
    let waited = !limits.max_delay.is_zero() && due <= now;
    match run.preferred {
        Some(count) if !waited => Decision::Take(count),
        _ if waited || full || run.rows >= largest || due <= now => Decision::Take(run.count),
        _ => Decision::Wait(due),
    }
}

/// The longest run of requests from the head that may share a batch.
struct Run {
    count: usize,
    rows: usize,
    /// Requests of the largest preferred size met on the way.
    preferred: Option<usize>,
    oldest: Instant,
}

impl Run {
    fn add<T>(&mut self, entry: &Entry<T>, limits: &Limits) {
        self.count += 1;
        self.rows += entry.rows;
        self.oldest = self.oldest.min(entry.arrived);
        self.note(limits);
    }

    fn note(&mut self, limits: &Limits) {
        if limits.preferred_sizes.binary_search(&self.rows).is_ok() {
            self.preferred = Some(self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn limits(max_rows: usize, preferred_sizes: &[usize], max_delay: Duration) -> Limits {
        Limits { max_rows: Some(max_rows), preferred_sizes: preferred_sizes.to_vec(), max_delay }
    }

    /// A queue of requests given as (rows, milliseconds after `start`, shape).
    fn queue(start: Instant, requests: &[(usize, u32, i64)]) -> Queue<()> {
        let mut queue = Queue::new(None);
        for &(rows, ms, shape) in requests {
            queue.push(Entry::new((), rows, Some(Box::new([shape])), start + ms * MS), 0, None);
        }
        queue
    }

    #[test]
    fn nothing_waiting_means_rest() {
        assert_eq!(decide(&queue(Instant::now(), &[]), &limits(8, &[8], MS), Instant::now()), Decision::Rest);
    }

    #[test]
    fn without_batching_requests_go_one_by_one() {
        let now = Instant::now();
        let single = Limits { max_rows: None, preferred_sizes: vec![], max_delay: MS };
        assert_eq!(decide(&queue(now, &[(3, 0, 1), (1, 0, 1)]), &single, now), Decision::Take(1));
    }

    #[test]
    fn a_partial_batch_waits_for_its_oldest_request() {
        let now = Instant::now();
        let waiting = queue(now, &[(1, 0, 1), (1, 1, 1)]);
        assert_eq!(decide(&waiting, &limits(8, &[8], 5 * MS), now + MS), Decision::Wait(now + 5 * MS));
        assert_eq!(decide(&waiting, &limits(8, &[8], 5 * MS), now + 5 * MS), Decision::Take(2));
    }

    #[test]
    fn without_a_delay_everything_that_fits_goes_at_once() {
        let now = Instant::now();
        assert_eq!(decide(&queue(now, &[(1, 0, 1); 3]), &limits(8, &[8], Duration::ZERO), now), Decision::Take(3));
    }

    #[test]
    fn a_preferred_size_goes_at_once_and_leaves_the_rest() {
        let now = Instant::now();
        let waiting = queue(now, &[(1, 0, 1); 5]);
        assert_eq!(decide(&waiting, &limits(8, &[2, 4], 5 * MS), now), Decision::Take(4));
    }

    #[test]
    fn once_the_oldest_has_waited_long_enough_all_that_fit_go_whatever_is_preferred() {
        let now = Instant::now();
        let waiting = queue(now, &[(1, 0, 1); 5]);
        assert_eq!(decide(&waiting, &limits(8, &[2, 4], 5 * MS), now + 5 * MS), Decision::Take(5));
    }

    #[test]
    fn a_request_that_does_not_fit_closes_the_batch_before_it() {
        let now = Instant::now();
        let waiting = queue(now, &[(3, 0, 1), (3, 0, 1), (3, 0, 1)]);
        assert_eq!(decide(&waiting, &limits(8, &[8], 5 * MS), now), Decision::Take(2));
    }

    #[test]
    fn another_shape_closes_the_batch_before_it() {
        let now = Instant::now();
        let waiting = queue(now, &[(1, 0, 16), (1, 0, 16), (1, 0, 17)]);
        assert_eq!(decide(&waiting, &limits(8, &[8], 5 * MS), now), Decision::Take(2));
    }

    #[test]
    fn a_request_of_the_full_size_goes_alone() {
        let now = Instant::now();
        assert_eq!(decide(&queue(now, &[(8, 0, 1), (1, 0, 1)]), &limits(8, &[8], 5 * MS), now), Decision::Take(1));
    }
}
