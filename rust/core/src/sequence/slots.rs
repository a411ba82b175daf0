//! Which sequence owns which slot, as a plain data structure: every instance has the same number of slots, a sequence owns at most one,
//! and those that find none free wait in the order in which they began.

use std::collections::{BTreeSet, VecDeque};

/// A place for one sequence. Lower rows are given first, so that sequences spread over instances and batches stay short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot {
    pub(crate) row: usize,
    pub(crate) instance: usize,
}

#[derive(Debug)]
pub(crate) struct Slots {
    free: BTreeSet<Slot>,
    /// By instance and row.
    owners: Vec<Vec<Option<u64>>>,
    backlog: VecDeque<u64>,
}

impl Slots {
    pub(crate) fn new(instances: usize, rows: usize) -> Self {
        let free = (0..rows).flat_map(|row| (0..instances).map(move |instance| Slot { row, instance })).collect();
        Self { free, owners: vec![vec![None; rows]; instances], backlog: VecDeque::new() }
    }

    /// A sequence begins: gets a slot, or waits for one.
    pub(crate) fn begin(&mut self, sequence: u64) -> Option<Slot> {
        let slot = self.free.pop_first();
        match slot {
            Some(slot) => self.owners[slot.instance][slot.row] = Some(sequence),
            None => self.backlog.push_back(sequence),
        }
        slot
    }

    /// A slot's owner has ended: the sequence that waited longest gets it, if there is one.
    pub(crate) fn release(&mut self, slot: Slot) -> Option<u64> {
        let next = self.backlog.pop_front();
        self.owners[slot.instance][slot.row] = next;
        if next.is_none() {
            self.free.insert(slot);
        }
        next
    }

    /// A sequence waits no longer.
    pub(crate) fn withdraw(&mut self, sequence: u64) {
        self.backlog.retain(|&waiting| waiting != sequence);
    }

    /// The owners of an instance's slots, by row.
    pub(crate) fn owners(&self, instance: usize) -> &[Option<u64>] {
        self.owners.get(instance).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sequences_spread_over_instances_and_the_lowest_row_goes_first() {
        let mut slots = Slots::new(2, 2);
        let given: Vec<_> =
            (0..5).map(|sequence| slots.begin(sequence).map(|slot| (slot.instance, slot.row))).collect();
        assert_eq!(given, [Some((0, 0)), Some((1, 0)), Some((0, 1)), Some((1, 1)), None]);
    }

    #[test]
    fn whoever_waits_longest_gets_the_next_free_slot_unless_it_gave_up() {
        let mut slots = Slots::new(1, 1);
        let slot = slots.begin(1).expect("the first finds one");
        assert_eq!([slots.begin(2), slots.begin(3), slots.begin(4)], [None, None, None]);
        slots.withdraw(2);
        assert_eq!(slots.release(slot), Some(3));
        assert_eq!(slots.owners(0), [Some(3)]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Begin,
        Release(prop::sample::Index),
        Withdraw(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Begin),
            2 => any::<prop::sample::Index>().prop_map(Step::Release),
            1 => any::<prop::sample::Index>().prop_map(Step::Withdraw),
        ]
    }

    proptest! {
        /// No slot has two owners, nobody waits beside a free slot, nobody overtakes, and in the end everybody had a slot.
        #[test]
        fn every_sequence_gets_a_slot_of_its_own_in_its_turn(
            instances in 1..4_usize, rows in 1..5_usize, steps in prop::collection::vec(step(), 0..200)
        ) {
            let mut slots = Slots::new(instances, rows);
            let mut owned: HashMap<u64, Slot> = HashMap::new();
            let mut waiting: Vec<u64> = Vec::new();
            let mut next = 0;
            let check = |owned: &HashMap<u64, Slot>, waiting: &Vec<u64>, slots: &Slots| {
                assert_eq!(owned.values().collect::<HashSet<_>>().len(), owned.len());
                assert!(waiting.is_empty() || owned.len() == instances * rows);
                for (sequence, slot) in owned {
                    assert_eq!(slots.owners(slot.instance)[slot.row], Some(*sequence));
                }
            };
            for step in steps {
                match step {
                    Step::Begin => {
                        match slots.begin(next) {
                            Some(slot) => { owned.insert(next, slot); }
                            None => waiting.push(next),
                        }
                        next += 1;
                    }
                    Step::Release(which) if !owned.is_empty() => {
                        let mut all: Vec<u64> = owned.keys().copied().collect();
                        all.sort_unstable();
                        let slot = owned.remove(which.get(&all)).expect("it is in the list");
                        let heir = slots.release(slot);
                        prop_assert_eq!(heir, (!waiting.is_empty()).then(|| waiting.remove(0)));
                        owned.extend(heir.map(|heir| (heir, slot)));
                    }
                    Step::Withdraw(which) if !waiting.is_empty() => {
                        let gone = waiting.remove(which.index(waiting.len()));
                        slots.withdraw(gone);
                    }
                    Step::Release(_) | Step::Withdraw(_) => {}
                }
                check(&owned, &waiting, &slots);
            }
            while let Some((&sequence, &slot)) = owned.iter().next() {
                owned.remove(&sequence);
                let heir = slots.release(slot);
                prop_assert_eq!(heir, (!waiting.is_empty()).then(|| waiting.remove(0)));
                owned.extend(heir.map(|heir| (heir, slot)));
            }
            prop_assert!(waiting.is_empty());
        }
    }
}
