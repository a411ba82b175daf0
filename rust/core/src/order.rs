//! Keeps answers back until all before them have left, for models that ask for `preserve_ordering`.

use std::collections::BTreeMap;

/// Hands out numbers to batches as they start, and lets their answers go in that order.
#[derive(Debug)]
pub(crate) struct Order<T> {
    next_start: u64,
    next_release: u64,
    held: BTreeMap<u64, Vec<T>>,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self { next_start: 0, next_release: 0, held: BTreeMap::new() }
    }
}

impl<T> Order<T> {
    /// A batch starts.
    pub(crate) fn start(&mut self) -> u64 {
        self.next_start += 1;
        self.next_start - 1
    }

    /// A batch is done: what may leave now.
    pub(crate) fn finish(&mut self, number: u64, answers: Vec<T>) -> Vec<T> {
        self.held.insert(number, answers);
        let mut released = Vec::new();
        while let Some(answers) = self.held.remove(&self.next_release) {
            released.extend(answers);
            self.next_release += 1;
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_is_done_early_waits_for_the_one_before() {
        let mut order = Order::default();
        let (first, second, third) = (order.start(), order.start(), order.start());
        assert!(order.finish(third, vec!["c"]).is_empty());
        assert!(order.finish(second, vec!["b"]).is_empty());
        assert_eq!(order.finish(first, vec!["a"]), ["a", "b", "c"]);
    }
}
