//! When requests are due. Pure: times are nanoseconds from the start of the measurement.

use fastrand::Rng;

use crate::asked::Nanos;
use crate::load::{Arrivals, Mode};

const SECOND: f64 = 1e9;

/// When the requests of one part of a load are due; the parts together make the load.
#[derive(Debug)]
pub(crate) enum Pace {
    /// Whenever there is a place.
    Closed,
    /// At times that were settled beforehand.
    Open(Times),
}

#[derive(Debug)]
pub(crate) struct Times {
    next: f64,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// The part's first time, the distance between its times, and how many there were: multiplied, so that nothing adds up.
    Even { first: f64, gap: f64, count: u64 },
    /// The mean distance. Independent parts of such a process make one such process.
    Drawn { mean: f64, random: Rng },
}

impl Pace {
    pub(crate) fn new(mode: Mode, part: usize, parts: usize) -> Self {
        let Mode::Open { rate, arrivals, seed, .. } = mode else { return Self::Closed };
        let gap = SECOND / rate * parts as f64;
        let step = match arrivals {
            Arrivals::Constant => Step::Even { first: SECOND / rate * part as f64, gap, count: 0 },
            Arrivals::Poisson => {
                // Seeds of neighbours would be those of a neighbouring load as well.
                let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(part as u64);
                Step::Drawn { mean: gap, random: Rng::with_seed(seed) }
            }
        };
        let mut times = Times { next: 0.0, step };
        times.advance();
        Self::Open(times)
    }

    /// The next request that is due by now.
    pub(crate) fn due(&self, now: Nanos) -> Option<Nanos> {
        match self {
            Self::Closed => Some(now),
            Self::Open(times) => Some(times.next as Nanos).filter(|due| *due <= now),
        }
    }

    /// When the next one will be due, where that does not depend on answers.
    pub(crate) fn next(&self) -> Option<Nanos> {
        match self {
            Self::Closed => None,
            Self::Open(times) => Some(times.next as Nanos),
        }
    }

    /// Goes on to the one after.
    pub(crate) fn advance(&mut self) {
        if let Self::Open(times) = self {
            times.advance();
        }
    }

    /// How many were due before the end and are left.
    pub(crate) fn left(&mut self, end: Nanos) -> u64 {
        let mut count = 0;
        while self.next().is_some_and(|due| due < end) {
            self.advance();
            count += 1;
        }
        count
    }
}

impl Times {
    fn advance(&mut self) {
        match &mut self.step {
            Step::Even { first, gap, count } => {
                self.next = *first + *gap * *count as f64;
                *count += 1;
            }
            // One minus a number below one is never zero.
            Step::Drawn { mean, random } => self.next -= *mean * (1.0 - random.f64()).ln(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(rate: f64, arrivals: Arrivals, seed: u64) -> Mode {
        Mode::Open { rate, arrivals, seed, in_flight: 1 }
    }

    fn times(mut pace: Pace, count: usize) -> Vec<Nanos> {
        let taken = std::iter::repeat_with(|| {
            let next = pace.next().expect("an open loop");
            pace.advance();
            next
        });
        taken.take(count).collect()
    }

    #[test]
    fn a_closed_loop_is_always_due() {
        let pace = Pace::new(Mode::Closed { concurrency: 3 }, 0, 1);
        assert_eq!((pace.due(17), pace.next()), (Some(17), None));
    }

    #[test]
    fn constant_arrivals_are_equally_far_apart() {
        let pace = Pace::new(open(1000.0, Arrivals::Constant, 0), 0, 1);
        assert_eq!(times(pace, 4), [0, 1_000_000, 2_000_000, 3_000_000]);
    }

    #[test]
    fn parts_of_constant_arrivals_take_turns() {
        let part = |index| times(Pace::new(open(1000.0, Arrivals::Constant, 0), index, 2), 2);
        assert_eq!((part(0), part(1)), (vec![0, 2_000_000], vec![1_000_000, 3_000_000]));
    }

    #[test]
    fn poisson_arrivals_come_at_their_rate_and_spread_as_they_should() {
        let times = times(Pace::new(open(10_000.0, Arrivals::Poisson, 7), 0, 1), 100_001);
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((mean / 100_000.0 - 1.0).abs() < 0.02, "{mean}");
        assert!((deviation / mean - 1.0).abs() < 0.02, "an exponential's deviation is its mean: {deviation}");
    }

    #[test]
    fn a_seed_gives_the_same_times_again_and_another_gives_others() {
        let of = |seed| times(Pace::new(open(100.0, Arrivals::Poisson, seed), 0, 1), 50);
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
    }

    #[test]
    fn what_is_left_at_the_end_is_counted() {
        let mut pace = Pace::new(open(10.0, Arrivals::Constant, 0), 0, 1);
        pace.advance();
        assert_eq!(pace.left(1_000_000_000), 9);
        assert_eq!(pace.left(1_000_000_000), 0);
    }
}
