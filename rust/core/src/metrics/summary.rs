//! Quantiles of what happened in the last minute.

use std::time::{Duration, Instant};

use sketches_ddsketch::{Config, DDSketch};

/// How long a value counts, give or take a part.
const WINDOW: Duration = Duration::from_secs(60);
const PARTS: u32 = 5;
/// How far a quantile may be off: a hundredth of it.
const PRECISION: f64 = 0.01;
/// Values from a microsecond to weeks have room; smaller ones share a place.
const MAX_BINS: u32 = 2048;
const SMALLEST: f64 = 1.0;

/// Counts and sums up all values; knows the quantiles of the last ones.
#[derive(Clone)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// The values of a part of the window each, the newest last.
    parts: Vec<(Instant, DDSketch)>,
}

impl Summary {
    pub(crate) fn new() -> Self {
        Self { count: 0, sum: 0.0, parts: Vec::new() }
    }

    pub(crate) fn observe(&mut self, value: f64, now: Instant) {
        self.count += 1;
        self.sum += value;
        if self.parts.last().is_none_or(|(since, _)| now.saturating_duration_since(*since) >= WINDOW / PARTS) {
            self.parts.retain(|(since, _)| now.saturating_duration_since(*since) < WINDOW);
            self.parts.push((now, DDSketch::new(Config::new(PRECISION, MAX_BINS, SMALLEST))));
        }
        if let Some((_, sketch)) = self.parts.last_mut() {
            sketch.add(value);
        }
    }

    /// A quantile of the last minute; not a number when nothing happened in it.
    pub(crate) fn quantile(&self, quantile: f64, now: Instant) -> f64 {
        let mut whole = DDSketch::new(Config::new(PRECISION, MAX_BINS, SMALLEST));
        for (since, part) in &self.parts {
            if now.saturating_duration_since(*since) < WINDOW {
                // Sketches of the same configuration always fit.
                let _ = whole.merge(part);
            }
        }
        whole.quantile(quantile).ok().flatten().unwrap_or(f64::NAN)
    }
}

impl std::fmt::Debug for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Summary({} values)", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_last_minute() {
        let (mut summary, start) = (Summary::new(), Instant::now());
        assert!(summary.quantile(0.5, start).is_nan());
        (1..=1000).for_each(|value| summary.observe(f64::from(value), start));
        let near = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 0.02, "{found} {expected}");
        near(summary.quantile(0.5, start), 500.0);
        near(summary.quantile(0.99, start), 990.0);

        let later = start + Duration::from_secs(30);
        summary.observe(5000.0, later);
        near(summary.quantile(1.0, later), 5000.0);
        near(summary.quantile(0.5, start + Duration::from_secs(61)), 5000.0);
        assert!(summary.quantile(0.5, start + Duration::from_secs(91)).is_nan());
        assert_eq!(summary.count, 1001);
    }
}
