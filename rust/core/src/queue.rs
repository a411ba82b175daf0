//! Where requests wait: bounded, ordered by priority, aware of deadlines. A plain data structure: it reads no clock and wakes nobody.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::spec::{Batching, QueuePolicy, TimeoutAction};

/// What must be equal for two requests to share a batch: which inputs they have, and their shapes. `None` when the model leaves no choice.
pub(crate) type Likeness = Option<Box<[i64]>>;

/// One request in the queue.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    /// The request.
    pub item: T,
    /// How much of a batch it fills.
    pub rows: usize,
    /// What it can share a batch with.
    pub likeness: Likeness,
    /// When it came.
    pub arrived: Instant,
    deadline: Option<Instant>,
}

impl<T> Entry<T> {
    pub(crate) fn new(item: T, rows: usize, likeness: Likeness, arrived: Instant) -> Self {
        Self { item, rows, likeness, arrived, deadline: None }
    }
}

#[derive(Debug)]
struct Level<T> {
    policy: QueuePolicy,
    waiting: VecDeque<Entry<T>>,
    /// Those whose time ran out under `TimeoutAction::Delay`.
    overdue: VecDeque<Entry<T>>,
}

/// Requests in the order in which they will be served.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    levels: BTreeMap<u64, Level<T>>,
    default_level: u64,
    length: usize,
    /// No deadline lies before this.
    next_deadline: Option<Instant>,
}

impl<T> Queue<T> {
    /// A queue with the levels and policies of a model; one level without limits where it declares none.
    pub(crate) fn new(batching: Option<&Batching>) -> Self {
        let level = |policy| Level { policy, waiting: VecDeque::new(), overdue: VecDeque::new() };
        let (levels, default_level) = match batching {
            Some(b) if b.priority_levels > 0 => {
                let policy = |number| b.policies.get(&number).copied().unwrap_or(b.default_policy);
                ((1..=b.priority_levels).map(|number| (number, level(policy(number)))).collect(), b.default_priority)
            }
            other => {
                let policy = other.map(|b| b.default_policy).unwrap_or_default();
                (BTreeMap::from([(0, level(policy))]), 0)
            }
        };
        Self { levels, default_level, length: 0, next_deadline: None }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// When the first deadline may pass.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline
    }

    /// Whether a request of that priority would find its level full.
    pub(crate) fn is_full(&self, priority: u64) -> bool {
        let level = &self.levels[&self.level_of(priority)];
        level.policy.max_size.is_some_and(|size| level.waiting.len() + level.overdue.len() >= size)
    }

    /// Adds a request. `timeout` is the client's wish: it counts where the policy lets it, and only to shorten.
    pub(crate) fn push(&mut self, mut entry: Entry<T>, priority: u64, timeout: Option<Duration>) {
        let number = self.level_of(priority);
        let Some(level) = self.levels.get_mut(&number) else { return };
        let allowed = level.policy.timeout.map(|limit| match timeout {
            Some(wish) if level.policy.timeout_override && !wish.is_zero() => wish.min(limit),
            _ => limit,
        });
        entry.deadline = allowed.map(|limit| entry.arrived + limit);
        self.next_deadline = earlier(self.next_deadline, entry.deadline);
        level.waiting.push_back(entry);
        self.length += 1;
    }

    /// Takes out those that nobody waits for and those whose time is over, unless their policy only delays them.
    pub(crate) fn sweep(&mut self, now: Instant, abandoned: impl Fn(&T) -> bool) -> Swept<T> {
        let mut swept = Swept { abandoned: Vec::new(), expired: Vec::new() };
        self.next_deadline = None;
        for level in self.levels.values_mut() {
            for entry in std::mem::take(&mut level.overdue) {
                if abandoned(&entry.item) {
                    swept.abandoned.push(entry);
                } else {
                    level.overdue.push_back(entry);
                }
            }
            for entry in std::mem::take(&mut level.waiting) {
                if abandoned(&entry.item) {
                    swept.abandoned.push(entry);
                } else if entry.deadline.is_none_or(|deadline| deadline > now) {
                    self.next_deadline = earlier(self.next_deadline, entry.deadline);
                    level.waiting.push_back(entry);
                } else if level.policy.timeout_action == TimeoutAction::Reject {
                    swept.expired.push(entry);
                } else {
                    level.overdue.push_back(entry);
                }
            }
        }
        self.length -= swept.abandoned.len() + swept.expired.len();
        swept
    }

    /// All that wait, in the order in which they will be served.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<T>> {
        self.levels.values().flat_map(|level| level.waiting.iter().chain(&level.overdue))
    }

    /// Takes the first `count`.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Entry<T>> {
        let mut taken = Vec::with_capacity(count);
        for level in self.levels.values_mut() {
            for line in [&mut level.waiting, &mut level.overdue] {
                let part = line.len().min(count - taken.len());
                taken.extend(line.drain(..part));
            }
        }
        self.length -= taken.len();
        taken
    }

    fn level_of(&self, priority: u64) -> u64 {
        if self.levels.contains_key(&priority) { priority } else { self.default_level }
    }
}

/// What a sweep took out.
#[derive(Debug)]
pub(crate) struct Swept<T> {
    /// Their clients went away.
    pub abandoned: Vec<Entry<T>>,
    /// Their time is over.
    pub expired: Vec<Entry<T>>,
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn batching(levels: u64, policy: QueuePolicy) -> Batching {
        Batching {
            preferred_sizes: vec![8],
            max_delay: Duration::ZERO,
            preserve_ordering: false,
            priority_levels: levels,
            default_priority: levels.min(2),
            default_policy: policy,
            policies: BTreeMap::new(),
        }
    }

    fn entry(item: &'static str, arrived: Instant) -> Entry<&'static str> {
        Entry::new(item, 1, None, arrived)
    }

    fn items(entries: &[Entry<&'static str>]) -> Vec<&'static str> {
        entries.iter().map(|entry| entry.item).collect()
    }

    #[test]
    fn the_most_urgent_leave_first_and_equals_in_the_order_they_came() {
        let (mut queue, now) = (Queue::new(Some(&batching(3, QueuePolicy::default()))), Instant::now());
        for (item, priority) in [("late", 3), ("usual", 0), ("urgent", 1), ("unknown level", 9), ("urgent too", 1)] {
            queue.push(entry(item, now), priority, None);
        }
        assert_eq!(items(&queue.take(4)), ["urgent", "urgent too", "usual", "unknown level"]);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn a_request_whose_time_is_over_is_swept_out() {
        let policy = QueuePolicy { timeout: Some(5 * MS), ..QueuePolicy::default() };
        let (mut queue, now) = (Queue::new(Some(&batching(0, policy))), Instant::now());
        queue.push(entry("old", now), 0, None);
        queue.push(entry("new", now + 3 * MS), 0, None);
        assert_eq!(queue.next_deadline(), Some(now + 5 * MS));
        let swept = queue.sweep(now + 6 * MS, |_| false);
        assert_eq!(items(&swept.expired), ["old"]);
        assert_eq!(items(&queue.take(9)), ["new"]);
    }

    #[test]
    fn a_delayed_request_goes_behind_the_others_but_is_still_served() {
        let policy =
            QueuePolicy { timeout: Some(5 * MS), timeout_action: TimeoutAction::Delay, ..QueuePolicy::default() };
        let (mut queue, now) = (Queue::new(Some(&batching(0, policy))), Instant::now());
        queue.push(entry("old", now), 0, None);
        queue.push(entry("new", now + 3 * MS), 0, None);
        assert!(queue.sweep(now + 6 * MS, |_| false).expired.is_empty());
        assert_eq!(items(&queue.take(9)), ["new", "old"]);
    }

    #[test]
    fn a_request_may_shorten_its_time_where_the_policy_lets_it_and_never_lengthen_it() {
        let policy = QueuePolicy { timeout: Some(5 * MS), timeout_override: true, ..QueuePolicy::default() };
        let (mut queue, now) = (Queue::new(Some(&batching(0, policy))), Instant::now());
        queue.push(entry("short", now), 0, Some(2 * MS));
        queue.push(entry("long", now), 0, Some(50 * MS));
        assert_eq!(items(&queue.sweep(now + 3 * MS, |_| false).expired), ["short"]);
        assert_eq!(items(&queue.sweep(now + 5 * MS, |_| false).expired), ["long"]);
    }

    #[test]
    fn a_level_is_full_at_its_own_size() {
        let policy = QueuePolicy { max_size: Some(1), ..QueuePolicy::default() };
        let (mut queue, now) = (Queue::new(Some(&batching(2, policy))), Instant::now());
        queue.push(entry("one", now), 1, None);
        assert!(queue.is_full(1));
        assert!(!queue.is_full(2));
    }

    #[test]
    fn abandoned_requests_are_swept_out_of_every_line() {
        let (mut queue, now) = (Queue::new(None), Instant::now());
        queue.push(entry("gone", now), 0, None);
        queue.push(entry("here", now), 0, None);
        assert_eq!(items(&queue.sweep(now, |item| *item == "gone").abandoned), ["gone"]);
        assert_eq!(queue.len(), 1);
    }
}
