//! Which calls of a connection have news, and whether the connection itself has something to do.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The places that have news.
#[derive(Debug, Default)]
pub(super) struct Bells(Mutex<Vec<usize>>);

impl Bells {
    /// A bell for each of so many places.
    pub(super) fn wakers(self: &Arc<Self>, count: usize) -> Vec<Waker> {
        (0..count).map(|place| Waker::from(Arc::new(Bell { place, bells: Arc::clone(self) }))).collect()
    }

    pub(super) fn ring(&self, place: usize) {
        self.lock().push(place);
    }

    /// Takes those that rang; leaves the memory of `heard`.
    pub(super) fn take(&self, heard: &mut Vec<usize>) {
        heard.clear();
        mem::swap(&mut *self.lock(), heard);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Bell {
    place: usize,
    bells: Arc<Bells>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.bells.ring(self.place);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.bells.ring(self.place);
    }
}

/// Whether somebody wants the connection looked at.
#[derive(Debug)]
pub(super) struct Stir(AtomicBool);

impl Default for Stir {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Stir {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Stir {
    fn wake(self: Arc<Self>) {
        self.set();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set();
    }
}
