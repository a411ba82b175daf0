//! The decision of the `direct` strategy: when a batch of the slots that have something is executed, and which slots it has.

use std::time::Duration;

use tokio::time::Instant;

use crate::queue::Likeness;

/// The next request of a slot.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) arrived: Instant,
    pub(crate) likeness: Likeness,
}

/// What to do while the instance is idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing waits.
    Rest,
    /// Ask again then, or when something changes.
    Wait(Instant),
    /// Execute the slots up to the last of these, by row; those that are false with nothing in them.
    Take(Vec<bool>),
}

/// Decides. The oldest request goes, and with it whatever has the same shapes; a batch below the utilisation asked for waits for company
/// until the oldest has waited long enough.
pub(crate) fn decide(slots: &[Option<Ready>], utilization: f32, max_delay: Duration, now: Instant) -> Decision {
    let Some(oldest) = slots.iter().flatten().min_by_key(|ready| ready.arrived) else { return Decision::Rest };
    let count = slots.iter().flatten().count();
    let due = oldest.arrived + max_delay;
    if (count as f32) < utilization * slots.len() as f32 && due > now {
        return Decision::Wait(due);
    }
    let goes = |slot: &Option<Ready>| slot.as_ref().is_some_and(|ready| ready.likeness == oldest.likeness);
    let length = slots.iter().rposition(goes).map_or(0, |last| last + 1);
    Decision::Take(slots[..length].iter().map(goes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Slots given as (milliseconds after `start`, shape).
    fn slots(start: Instant, ready: &[Option<(u32, i64)>]) -> Vec<Option<Ready>> {
        let slot = |&(ms, shape): &(u32, i64)| Ready { arrived: start + ms * MS, likeness: Some(Box::new([shape])) };
        ready.iter().map(|ready| ready.as_ref().map(slot)).collect()
    }

    #[test]
    fn nothing_ready_means_rest() {
        let now = Instant::now();
        assert_eq!(decide(&slots(now, &[None, None]), 0.0, MS, now), Decision::Rest);
    }

    #[test]
    fn a_batch_reaches_to_the_last_slot_that_has_something() {
        let now = Instant::now();
        let ready = slots(now, &[None, Some((0, 1)), None, Some((1, 1)), None]);
        assert_eq!(decide(&ready, 0.0, 5 * MS, now), Decision::Take(vec![false, true, false, true]));
    }

    #[test]
    fn under_the_utilisation_asked_for_the_oldest_waits_its_time_for_company() {
        let now = Instant::now();
        let one = slots(now, &[Some((0, 1)), None, None, None]);
        assert_eq!(decide(&one, 0.5, 5 * MS, now + MS), Decision::Wait(now + 5 * MS));
        assert_eq!(decide(&one, 0.5, 5 * MS, now + 5 * MS), Decision::Take(vec![true]));
        let two = slots(now, &[Some((0, 1)), Some((1, 1)), None, None]);
        assert_eq!(decide(&two, 0.5, 5 * MS, now + MS), Decision::Take(vec![true, true]));
    }

    #[test]
    fn another_shape_than_the_oldest_stays_for_the_next_batch() {
        let now = Instant::now();
        let ready = slots(now, &[Some((3, 16)), Some((1, 17)), Some((2, 17)), Some((4, 16))]);
        assert_eq!(decide(&ready, 0.0, MS, now), Decision::Take(vec![false, true, true]));
    }
}
