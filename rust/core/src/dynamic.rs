//! Requests that know nothing of each other: they wait in one `queue`, and whichever instance is idle takes what the `batcher` says.

use tokio::time::Instant;

use crate::batcher::{Decision, Limits, decide};
use crate::error::{Code, Error, Result};
use crate::instance::Job;
use crate::line::{Choice, Line, Post, Refusal};
use crate::queue::{Entry, Queue, Swept};
use crate::spec::Spec;
use crate::statistics::Failure;

pub(crate) struct Dynamic {
    queue: Queue<Job>,
    limits: Limits,
}

impl Dynamic {
    pub(crate) fn new(spec: &Spec) -> Self {
        let batching = spec.batching.as_ref();
        Self {
            queue: Queue::new(batching),
            limits: Limits {
                max_rows: batching.map(|_| spec.max_batch_size),
                preferred_sizes: batching.map(|b| b.preferred_sizes.clone()).unwrap_or_default(),
                max_delay: batching.map(|b| b.max_delay).unwrap_or_default(),
            },
        }
    }

    fn enqueue(&mut self, job: Job) {
        let (rows, arrived, likeness) = (job.rows, job.arrived, job.likeness.clone());
        let (priority, timeout) = (job.request.priority, job.request.timeout);
        self.queue.push(Entry::new(job, rows, likeness, arrived), priority, timeout);
    }
}

impl Line for Dynamic {
    fn push(&mut self, job: Job, refused: &mut Vec<Refusal>) -> Result<()> {
        let priority = job.request.priority;
        if self.queue.is_full(priority) {
            self.sweep(job.arrived, refused);
            if self.queue.is_full(priority) {
                return Err(Error::queue_full().with_request_id(&job.request.id));
            }
        }
        self.enqueue(job);
        Ok(())
    }

    fn take(
        &mut self,
        idle: &mut dyn Iterator<Item = Post>,
        may: &dyn Fn(Post) -> bool,
        now: Instant,
        _: &mut Vec<Refusal>,
    ) -> Choice {
        let mut idle = idle.peekable();
        if idle.peek().is_none() {
            return Choice::Rest;
        }
        match decide(&self.queue, &self.limits, now) {
            Decision::Rest => Choice::Rest,
            Decision::Wait(until) => Choice::Wait(until),
            Decision::Take(count) => {
                let Some(post) = idle.find(|&post| may(post)) else { return Choice::Rest };
                let jobs = self.queue.take(count).into_iter().map(|entry| entry.item).collect();
                Choice::Take { instance: post.instance, jobs }
            }
        }
    }

    fn finish(&mut self, _: Post, again: Vec<Job>, _: Instant, _: &mut Vec<Refusal>) {
        for job in again {
            self.enqueue(job);
        }
    }

    fn sweep(&mut self, now: Instant, refused: &mut Vec<Refusal>) {
        let Swept { abandoned, expired } = self.queue.sweep(now, Job::is_abandoned);
        let refusal = |entry: Entry<Job>, failure, error| Refusal { job: entry.item, failure, error };
        let gone = || Error::new(Code::Cancelled, "");
        refused.extend(abandoned.into_iter().map(|entry| refusal(entry, Failure::Cancelled, gone())));
        refused.extend(expired.into_iter().map(|entry| refusal(entry, Failure::Rejected, Error::expired())));
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.queue.next_deadline()
    }

    fn len(&self) -> usize {
        self.queue.len()
    }

    fn clear(&mut self) -> Vec<Job> {
        let count = self.queue.len();
        self.queue.take(count).into_iter().map(|entry| entry.item).collect()
    }
}
