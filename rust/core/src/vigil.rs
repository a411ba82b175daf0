//! Whether a reactor keeps looking for a while before it sleeps.
//!
//! A thread that sleeps on an idle core is woken by an interrupt, which takes longer than a small model. Looking on spends the core
//! instead, so it is done only where it pays: when the last wait was short, when looking found something the last time, when one wake-up
//! would not serve many requests anyway, and while nobody computes who could use the core. One thread of a server looks at a time.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How many short waits are slept through, at most, after looking has found nothing.
const LONGEST_PAUSE: u32 = 255;

/// So many answers between two waits share the price of waking up.
const MANY: usize = 4;

/// What a reactor knows of its waits.
#[derive(Debug, Default)]
pub(crate) struct Vigil {
    /// How long it looks; zero is not at all.
    length: Duration,
    /// How long the last wait took.
    last_wait: Option<Duration>,
    /// Short waits to sleep through before it looks again, and how many there were after the last time that nothing was found.
    pause: u32,
    last_pause: u32,
    /// Answers since the last wait.
    answers: usize,
}

impl Vigil {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, ..Self::default() }
    }

    /// How long to look, in a wait that begins now.
    pub(crate) fn begin(&mut self, labour: &Labour) -> Option<Look> {
        // A wait that was slept through took as long as waking up besides.
        let short = self.last_wait.is_some_and(|wait| wait <= 2 * self.length);
        let many = mem::take(&mut self.answers) >= MANY;
        if !short || many || labour.is_hard() {
            return None;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        labour.look(self.length)
    }

    /// So many answers leave.
    pub(crate) fn answered(&mut self, count: usize) {
        self.answers += count;
    }

    /// Something came while it looked.
    pub(crate) fn found(&mut self) {
        self.last_pause = 0;
    }

    /// Nothing came.
    pub(crate) fn missed(&mut self) {
        self.last_pause = (2 * self.last_pause + 1).min(LONGEST_PAUSE);
        self.pause = self.last_pause;
    }

    /// It slept, for so long.
    pub(crate) fn slept(&mut self, wait: Duration) {
        self.last_wait = Some(wait);
    }

    /// Whether how long it sleeps is of any interest.
    pub(crate) fn is_kept(&self) -> bool {
        !self.length.is_zero()
    }
}

/// What the cores of a server are busy with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labour(Arc<Busy>);

#[derive(Debug, Default)]
struct Busy {
    /// How many batches are executed that are not known to be quick, by all instances.
    batches: AtomicUsize,
    /// Whether a thread looks.
    looking: AtomicBool,
}

impl Labour {
    /// One more, until what is returned is dropped.
    pub(crate) fn begin(&self) -> Effort {
        self.0.batches.fetch_add(1, Ordering::Relaxed);
        Effort(self.clone())
    }

    fn is_hard(&self) -> bool {
        self.0.batches.load(Ordering::Relaxed) > 0
    }

    fn look(&self, length: Duration) -> Option<Look> {
        let free = !self.0.looking.swap(true, Ordering::Relaxed);
        free.then(|| Look { length, labour: self.clone() })
    }
}

/// A batch that takes its time.
#[derive(Debug)]
pub(crate) struct Effort(Labour);

impl Drop for Effort {
    fn drop(&mut self) {
        self.0.0.batches.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Held while a thread looks.
#[derive(Debug)]
pub(crate) struct Look {
    /// For how long.
    pub(crate) length: Duration,
    labour: Labour,
}

impl Drop for Look {
    fn drop(&mut self) {
        self.labour.0.looking.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_micros(100);

    #[test]
    fn a_reactor_looks_after_a_short_wait_only() {
        let (mut vigil, labour) = (Vigil::new(LENGTH), Labour::default());
        assert!(vigil.begin(&labour).is_none(), "nothing has ever come");
        vigil.slept(3 * LENGTH);
        assert!(vigil.begin(&labour).is_none());
        vigil.slept(2 * LENGTH);
        assert!(vigil.begin(&labour).is_some_and(|look| look.length == LENGTH));
    }

    #[test]
    fn the_less_it_finds_the_less_it_looks() {
        let (mut vigil, labour) = (Vigil::new(LENGTH), Labour::default());
        vigil.slept(LENGTH);
        let mut looks =
            |waits: u32| (0..waits).filter(|_| vigil.begin(&labour).map(|_| vigil.missed()).is_some()).count();
        assert!(looks(1000) < 12);
        assert_eq!(looks(10 * (LONGEST_PAUSE + 1)), 10);
    }

    #[test]
    fn one_find_is_enough_to_look_each_time() {
        let (mut vigil, labour) = (Vigil::new(LENGTH), Labour::default());
        vigil.slept(LENGTH);
        for _ in 0..1000 {
            if vigil.begin(&labour).is_some() {
                vigil.missed();
            }
        }
        while vigil.begin(&labour).is_none() {}
        vigil.found();
        assert!((0..1000).all(|_| vigil.begin(&labour).is_some()));
    }

    #[test]
    fn nobody_looks_while_a_batch_takes_its_time() {
        let (mut vigil, labour) = (Vigil::new(LENGTH), Labour::default());
        vigil.slept(LENGTH);
        let effort = labour.begin();
        assert!(vigil.begin(&labour).is_none());
        drop(effort);
        assert!(vigil.begin(&labour).is_some_and(|look| look.length == LENGTH));
    }

    #[test]
    fn one_thread_looks_at_a_time() {
        let (mut first, mut second, labour) = (Vigil::new(LENGTH), Vigil::new(LENGTH), Labour::default());
        first.slept(LENGTH);
        second.slept(LENGTH);
        let look = first.begin(&labour);
        assert!(look.is_some() && second.begin(&labour).is_none());
        drop(look);
        assert!(second.begin(&labour).is_some());
    }

    #[test]
    fn nobody_looks_where_one_wake_up_serves_many() {
        let (mut vigil, labour) = (Vigil::new(LENGTH), Labour::default());
        vigil.slept(LENGTH);
        vigil.answered(1);
        vigil.answered(MANY - 1);
        assert!(vigil.begin(&labour).is_none());
        vigil.answered(MANY - 1);
        assert!(vigil.begin(&labour).is_some_and(|look| look.length == LENGTH), "counted from one wait to the next");
    }

    #[test]
    fn a_length_of_zero_is_never() {
        let (mut vigil, labour) = (Vigil::new(Duration::ZERO), Labour::default());
        vigil.slept(Duration::from_nanos(1));
        assert!(vigil.begin(&labour).is_none());
        assert!(!vigil.is_kept());
    }
}
