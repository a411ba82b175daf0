//! A histogram with fixed upper bounds.

use std::ops::AddAssign;
use std::sync::Arc;

/// How often a value fell under each of some bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bounds, ascending.
    pub bounds: Arc<[f64]>,
    /// Observations at or under each bound and over the one before; one more for those over all.
    pub counts: Vec<u64>,
    /// Sum of all observations.
    pub sum: f64,
}

impl Histogram {
    /// One that has seen nothing.
    pub fn new(bounds: &[f64]) -> Self {
        Self { bounds: bounds.into(), counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Takes a value in.
    pub fn observe(&mut self, value: f64) {
        let place = self.bounds.partition_point(|&bound| bound < value);
        self.counts[place] += 1;
        self.sum += value;
    }
}

impl AddAssign<&Histogram> for Histogram {
    /// Adds what another one has seen, which has the same bounds.
    fn add_assign(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, others)| *mine += others);
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_falls_into_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::new(&[1.0, 2.0, 4.0]);
        for value in [1.0, 1.5, 2.0, 9.0] {
            histogram.observe(value);
        }
        assert_eq!(histogram.counts, [1, 2, 0, 1]);
        assert!((histogram.sum - 13.5).abs() < 1e-9);
    }
}
