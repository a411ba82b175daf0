//! Who may execute now, as a plain data structure: a member holds so much of named resources while it executes, and those that wait take
//! turns by their weight.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::limiter::demand::{Demand, Resource};

/// What there is of each resource, who uses it, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    supplies: HashMap<Resource, Supply>,
    members: BTreeMap<u64, Member>,
    last_number: u64,
    /// Orders those that began to wait with equal claims.
    last_turn: u64,
    /// Where the one that was served last began: whoever comes back from a rest starts here, and has saved up nothing.
    clock: u64,
}

#[derive(Debug, Default)]
struct Supply {
    limit: u64,
    used: u64,
    /// Whether the limit was told, and does not follow the members.
    told: bool,
}

#[derive(Debug)]
struct Member {
    demand: Demand,
    /// Grows with each turn by the member's weight: twice the weight, half the turns.
    pass: u64,
    /// Its claim since it waits: where it begins, and its turn among equals.
    claim: Option<(u64, u64)>,
    executing: bool,
}

impl Pool {
    /// A member comes. `limit` says how much there is of what it needs; where it does not know, as much as the most demanding member needs.
    pub(crate) fn join(&mut self, demand: Demand, limit: impl Fn(&Resource) -> Option<u64>) -> u64 {
        for (resource, count) in &demand.needs {
            let supply = self.supplies.entry(resource.clone()).or_default();
            let told = limit(resource);
            supply.told = told.is_some();
            supply.limit = told.unwrap_or(supply.limit.max(*count));
        }
        self.last_number += 1;
        let member = Member { demand, pass: self.clock, claim: None, executing: false };
        self.members.insert(self.last_number, member);
        self.last_number
    }

    /// A member goes for good. Returns who should try again.
    pub(crate) fn leave(&mut self, number: u64) -> Vec<u64> {
        self.put_back(number);
        let Some(gone) = self.members.remove(&number) else { return Vec::new() };
        for (resource, _) in &gone.demand.needs {
            let left = self.members.values().filter_map(|member| member.demand.count(resource)).max();
            match (left, self.supplies.get_mut(resource)) {
                (None, _) => drop(self.supplies.remove(resource)),
                (Some(most), Some(supply)) if !supply.told => supply.limit = most,
                _ => {}
            }
        }
        self.eligible()
    }

    /// Where the member would begin if it claimed now.
    pub(crate) fn standing(&self, number: u64) -> u64 {
        self.members.get(&number).map_or(0, |member| member.pass.max(self.clock))
    }

    /// Whether the member may execute now. If not it waits, until its turn comes or it withdraws.
    pub(crate) fn claim(&mut self, number: u64) -> bool {
        let start = self.standing(number);
        let Some(member) = self.members.get_mut(&number) else { return true };
        if member.claim.is_none() {
            self.last_turn += 1;
            member.claim = Some((start, self.last_turn));
        }
        if !self.eligible().contains(&number) {
            return false;
        }
        let Some(member) = self.members.get_mut(&number) else { return true };
        if let Some((start, _)) = member.claim.take() {
            self.clock = self.clock.max(start);
            member.pass = start + member.demand.weight;
        }
        member.executing = true;
        for (resource, count) in &member.demand.needs {
            if let Some(supply) = self.supplies.get_mut(resource) {
                supply.used += count;
            }
        }
        true
    }

    /// The member is done. Returns who should try again.
    pub(crate) fn release(&mut self, number: u64) -> Vec<u64> {
        self.put_back(number);
        self.eligible()
    }

    /// The member has nothing to execute after all. Returns who should try again, if it was in anybody's way.
    pub(crate) fn withdraw(&mut self, number: u64) -> Vec<u64> {
        match self.members.get_mut(&number).and_then(|member| member.claim.take()) {
            Some(_) => self.eligible(),
            None => Vec::new(),
        }
    }

    /// Whether the resource is known as one that all devices share, where it is not, or the other way round.
    pub(crate) fn is_known_otherwise(&self, resource: &Resource) -> bool {
        self.supplies.keys().any(|known| known.name == resource.name && known.is_global() != resource.is_global())
    }

    fn put_back(&mut self, number: u64) {
        let Some(member) = self.members.get_mut(&number).filter(|member| member.executing) else { return };
        member.executing = false;
        for (resource, count) in &member.demand.needs {
            if let Some(supply) = self.supplies.get_mut(resource) {
                supply.used = supply.used.saturating_sub(*count);
            }
        }
    }

    /// Those that wait and may go. Whoever needs something that an earlier one still waits for stays behind it, so that one with large needs
    /// comes to its turn; those that need nothing of the kind pass.
    pub(crate) fn eligible(&self) -> Vec<u64> {
        let claim = |(&number, member): (&u64, &Member)| member.claim.map(|claim| (claim, number));
        let mut waiting: Vec<_> = self.members.iter().filter_map(claim).collect();
        waiting.sort_unstable();
        let mut taken: HashMap<&Resource, u64> = HashMap::new();
        let mut awaited: HashSet<&Resource> = HashSet::new();
        let mut eligible = Vec::new();
        for (_, number) in waiting {
            let needs = &self.members[&number].demand.needs;
            let is_there = |(resource, count): &(Resource, u64)| {
                let (limit, used) = self.supplies.get(resource).map_or((0, 0), |supply| (supply.limit, supply.used));
                !awaited.contains(resource) && used + taken.get(resource).unwrap_or(&0) + count <= limit
            };
            if needs.iter().all(is_there) {
                for (resource, count) in needs {
                    *taken.entry(resource).or_default() += count;
                }
                eligible.push(number);
            } else {
                awaited.extend(needs.iter().map(|(resource, _)| resource));
            }
        }
        eligible
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn demand(needs: &[(&str, u64)], weight: u64) -> Demand {
        let need = |&(name, count): &(&str, u64)| (Resource::on(name, 0), count);
        Demand { needs: needs.iter().map(need).collect(), weight }
    }

    /// A pool in which there are four of everything.
    fn pool(members: &[(&[(&str, u64)], u64)]) -> (Pool, Vec<u64>) {
        let mut pool = Pool::default();
        let numbers = members.iter().map(|(needs, weight)| pool.join(demand(needs, *weight), |_| Some(4))).collect();
        (pool, numbers)
    }

    #[test]
    fn as_many_execute_as_the_resource_allows() {
        let (mut pool, all) = pool(&[(&[("R", 2)], 1), (&[("R", 2)], 1), (&[("R", 2)], 1)]);
        assert_eq!([pool.claim(all[0]), pool.claim(all[1]), pool.claim(all[2])], [true, true, false]);
        assert_eq!(pool.release(all[0]), [all[2]]);
        assert!(pool.claim(all[2]));
    }

    #[test]
    fn what_is_freed_goes_to_whoever_waits_and_not_back_to_who_had_it() {
        let (mut pool, all) = pool(&[(&[("R", 4)], 1), (&[("R", 4)], 1)]);
        assert!(pool.claim(all[0]) && !pool.claim(all[1]));
        pool.release(all[0]);
        assert!(!pool.claim(all[0]) && pool.claim(all[1]));
    }

    #[test]
    fn large_needs_are_not_passed_by_small_ones_of_the_same_resource() {
        let (mut pool, all) = pool(&[(&[("R", 3)], 1), (&[("R", 4)], 1), (&[("R", 1)], 1), (&[("S", 1)], 1)]);
        assert!(pool.claim(all[0]) && !pool.claim(all[1]));
        assert_eq!([pool.claim(all[2]), pool.claim(all[3])], [false, true], "another resource is another matter");
        assert_eq!(pool.release(all[0]), [all[1]]);
    }

    #[test]
    fn whoever_withdraws_is_in_nobody_s_way() {
        let (mut pool, all) = pool(&[(&[("R", 3)], 1), (&[("R", 4)], 1), (&[("R", 1)], 1)]);
        assert!(pool.claim(all[0]) && !pool.claim(all[1]) && !pool.claim(all[2]));
        assert_eq!(pool.withdraw(all[1]), [all[2]]);
        assert!(pool.withdraw(all[1]).is_empty());
    }

    #[test]
    fn weights_share_turns_and_a_rest_saves_nothing_up() {
        let (mut pool, all) = pool(&[(&[("R", 4)], 1), (&[("R", 4)], 3)]);
        let turns = |pool: &mut Pool, rounds: usize| {
            let mut counts = [0, 0];
            for _ in 0..rounds {
                let claims = [pool.claim(all[0]), pool.claim(all[1])];
                let winner = claims.iter().position(|&granted| granted).expect("one of them may");
                counts[winner] += 1;
                pool.release(all[winner]);
            }
            counts
        };
        assert_eq!(turns(&mut pool, 40), [30, 10]);
        pool.withdraw(all[1]);
        for _ in 0..1000 {
            assert!(pool.claim(all[0]));
            pool.release(all[0]);
        }
        assert_eq!(turns(&mut pool, 40), [30, 10]);
    }

    #[test]
    fn without_limits_there_is_as_much_as_the_largest_member_needs() {
        let mut pool = Pool::default();
        let small = pool.join(demand(&[("R", 1)], 1), |_| None);
        let other = pool.join(demand(&[("R", 1)], 1), |_| None);
        assert!(pool.claim(small) && !pool.claim(other));
        let large = pool.join(demand(&[("R", 2)], 1), |_| None);
        assert!(pool.claim(other));
        pool.release(small);
        pool.leave(large);
        assert!(!pool.claim(small));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Claim(usize),
        Release(usize),
        Withdraw(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let member = 0..6_usize;
        prop_oneof![
            3 => member.clone().prop_map(Step::Claim),
            2 => member.clone().prop_map(Step::Release),
            1 => member.prop_map(Step::Withdraw),
        ]
    }

    proptest! {
        /// Never is more used than there is; whoever waits is told as soon as it may go; in the end everybody has executed.
        #[test]
        fn nothing_is_overdrawn_and_nobody_is_forgotten(
            needs in prop::collection::vec((0..3_u64, 0..5_u64), 6), steps in prop::collection::vec(step(), 0..100)
        ) {
            let mut pool = Pool::default();
            let members: Vec<u64> = needs
                .iter()
                .map(|(r, s)| pool.join(demand(&[("R", *r), ("S", *s)], 1 + r), |_| Some(4)))
                .collect();
            let mut executing = [false; 6];
            let mut waiting = [false; 6];
            for step in steps {
                match step {
                    Step::Claim(who) if !executing[who] => {
                        executing[who] = pool.claim(members[who]);
                        waiting[who] = !executing[who];
                    }
                    Step::Release(who) if executing[who] => { pool.release(members[who]); executing[who] = false; }
                    Step::Withdraw(who) if waiting[who] => { pool.withdraw(members[who]); waiting[who] = false; }
                    _ => {}
                }
                for resource in 0..2 {
                    let used: u64 = (0..6)
                        .filter(|&who| executing[who])
                        .map(|who| if resource == 0 { needs[who].0 } else { needs[who].1 })
                        .sum();
                    prop_assert!(used <= 4);
                }
            }
            let mut told: Vec<u64> = (0..6).filter(|&who| executing[who]).flat_map(|who| pool.release(members[who])).collect();
            told.extend(pool.eligible());
            while let Some(next) = told.pop() {
                let who = members.iter().position(|&member| member == next).expect("it is one of them");
                if waiting[who] && pool.claim(next) {
                    waiting[who] = false;
                    told.extend(pool.release(next));
                }
            }
            prop_assert_eq!(waiting, [false; 6]);
        }
    }
}
