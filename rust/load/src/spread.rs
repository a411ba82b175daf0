//! How durations spread: a histogram over nine decades, exact to one part in a thousand.

use hdrhistogram::Histogram;

/// An hour, which is longer than anybody waits.
const LONGEST_NS: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;

/// Durations in nanoseconds, and how often each was seen.
#[derive(Clone, Debug)]
pub struct Spread {
    histogram: Histogram<u64>,
    sum: u64,
    max: u64,
}

impl Default for Spread {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS);
        Self { histogram: histogram.expect("these bounds are in order; this is a bug in windlass"), sum: 0, max: 0 }
    }
}

impl Spread {
    /// Counts one.
    pub(crate) fn record(&mut self, nanos: u64) {
        self.histogram.saturating_record(nanos);
        self.sum = self.sum.saturating_add(nanos);
        self.max = self.max.max(nanos);
    }

    /// Counts all of another.
    pub(crate) fn add(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all have the same bounds; this is a bug in windlass");
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Their sum, in nanoseconds.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The longest, in nanoseconds.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// What so many of a hundred do not exceed, in nanoseconds.
    pub fn percentile(&self, percent: f64) -> u64 {
        self.histogram.value_at_percentile(percent).min(self.max)
    }

    /// Those that were seen, rising, and how often each.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let middle = |value| self.histogram.median_equivalent(value);
        self.histogram.iter_recorded().map(move |seen| (middle(seen.value_iterated_to()), seen.count_at_value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_decades_are_kept_apart_to_a_thousandth() {
        let mut spread = Spread::default();
        let mut value = 700;
        while value < LONGEST_NS {
            spread.record(value);
            value *= 3;
        }
        let mut expected = 700_u64;
        for (found, count) in spread.counts() {
            assert_eq!(count, 1);
            assert!(found.abs_diff(expected) * 1000 <= expected, "{found} for {expected}");
            expected *= 3;
        }
        assert_eq!(spread.count(), 21);
    }

    #[test]
    fn what_is_joined_counts_as_if_it_were_one() {
        let (mut first, mut second) = (Spread::default(), Spread::default());
        (1..=50).for_each(|value| first.record(value * 1000));
        (51..=100).for_each(|value| second.record(value * 1000));
        first.add(&second);
        assert_eq!((first.count(), first.max(), first.sum()), (100, 100_000, 5_050_000));
        assert!(first.percentile(50.0).abs_diff(50_000) <= 50);
        assert_eq!(first.percentile(100.0), 100_000);
    }

    #[test]
    fn more_than_an_hour_is_counted_all_the_same() {
        let mut spread = Spread::default();
        spread.record(2 * LONGEST_NS);
        assert_eq!((spread.count(), spread.max()), (1, 2 * LONGEST_NS));
    }
}
