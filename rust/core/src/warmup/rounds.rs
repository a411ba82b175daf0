//! The line of requests that instances warm up with: batches of one size, in the order in which they came.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::error::Result;
use crate::instance::Job;
use crate::line::{Choice, Line, Post, Refusal};

/// What waits for the one instance that there is.
#[derive(Debug)]
pub(super) struct Rounds {
    size: usize,
    waiting: VecDeque<Job>,
    /// Those that want to be executed once more; they have each other's company only.
    again: Vec<Job>,
}

impl Rounds {
    pub(super) fn new(size: usize) -> Self {
        Self { size, waiting: VecDeque::new(), again: Vec::new() }
    }
}

impl Line for Rounds {
    fn push(&mut self, job: Job, _: &mut Vec<Refusal>) -> Result<()> {
        self.waiting.push_back(job);
        Ok(())
    }

    fn take(
        &mut self,
        idle: &mut dyn Iterator<Item = Post>,
        may: &dyn Fn(Post) -> bool,
        _: Instant,
        _: &mut Vec<Refusal>,
    ) -> Choice {
        // A round that is only half here waits for the rest of it.
        let whole = self.waiting.len() >= self.size;
        let Some(post) = idle.next().filter(|&post| (whole || !self.again.is_empty()) && may(post)) else {
            return Choice::Rest;
        };
        let jobs = match std::mem::take(&mut self.again) {
            again if again.is_empty() => self.waiting.drain(..self.size).collect(),
            again => again,
        };
        Choice::Take { instance: post.instance, jobs }
    }

    fn finish(&mut self, _: Post, again: Vec<Job>, _: Instant, _: &mut Vec<Refusal>) {
        self.again = again;
    }

    fn sweep(&mut self, _: Instant, _: &mut Vec<Refusal>) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.again.len()
    }

    fn clear(&mut self) -> Vec<Job> {
        self.waiting.drain(..).chain(self.again.drain(..)).collect()
    }
}
