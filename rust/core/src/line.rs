//! What waits for the instances of a version, as their scheduler sees it: requests go in, batches come out.
//!
//! There is one kind for requests that know nothing of each other, `dynamic`, and one for those that belong together, `sequence`. Both
//! decide only: they read no clock, know no thread and wake nobody.

use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::instance::Job;
use crate::statistics::Failure;

/// An instance, and which of its lives it is in: what it remembers ends with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Post {
    pub(crate) instance: usize,
    pub(crate) life: u64,
}

/// What the idle instances do now.
#[derive(Debug)]
pub(crate) enum Choice {
    /// Nothing: there is nothing for them.
    Rest,
    /// Nothing yet: ask again then, or when something changes.
    Wait(Instant),
    /// One of them executes these.
    Take { instance: usize, jobs: Vec<Job> },
}

/// A request that leaves without having been executed.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) job: Job,
    pub(crate) failure: Failure,
    pub(crate) error: Error,
}

/// Requests that leave are put into `refused`, for the scheduler to answer and count.
pub(crate) trait Line: Send {
    /// Takes a request in.
    ///
    /// # Errors
    /// Why it may not wait here.
    fn push(&mut self, job: Job, refused: &mut Vec<Refusal>) -> Result<()>;

    /// Chooses what one of the idle instances executes now; the first is asked first. `may` tells of one for which there is something
    /// whether it may execute at all; nothing is taken out of the line for one that may not.
    fn take(
        &mut self,
        idle: &mut dyn Iterator<Item = Post>,
        may: &dyn Fn(Post) -> bool,
        now: Instant,
        refused: &mut Vec<Refusal>,
    ) -> Choice;

    /// An instance is done with its batch. `again` wants to be executed once more.
    fn finish(&mut self, post: Post, again: Vec<Job>, now: Instant, refused: &mut Vec<Refusal>);

    /// Takes out those that nobody waits for and those whose time is over.
    fn sweep(&mut self, now: Instant, refused: &mut Vec<Refusal>);

    /// When the next sweep is due.
    fn next_deadline(&self) -> Option<Instant>;

    /// No more will come.
    fn stop(&mut self) {}

    /// How many wait.
    fn len(&self) -> usize;

    /// Takes out all that wait.
    fn clear(&mut self) -> Vec<Job>;
}
