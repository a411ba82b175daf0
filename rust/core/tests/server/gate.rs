//! A place where a model waits until the test lets it go on.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Open at first. Tells what happens there.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    shut: bool,
    waiting: usize,
    cancelled: bool,
}

impl Gate {
    /// Waits until the gate is open, or nobody waits for the answers to so many requests.
    pub(crate) fn pass(&self, count: usize, is_abandoned: impl Fn() -> bool) {
        let mut state = self.state.lock().expect("no panic");
        state.waiting += count;
        self.changed.notify_all();
        while state.shut && !state.cancelled {
            // A model that wants to stop early asks now and then.
            state = self.changed.wait_timeout(state, Duration::from_millis(5)).expect("no panic").0;
            state.cancelled |= is_abandoned();
        }
        self.changed.notify_all();
    }

    pub(crate) fn shut(&self) {
        self.state.lock().expect("no panic").shut = true;
    }

    pub(crate) fn open(&self) {
        self.state.lock().expect("no panic").shut = false;
        self.changed.notify_all();
    }

    /// Waits until the model has so many requests.
    pub(crate) fn until_reached_by(&self, count: usize) {
        self.until(|state| state.waiting >= count);
    }

    /// Waits until the model was told that nobody waits for its answer.
    pub(crate) fn until_cancelled(&self) {
        self.until(|state| state.cancelled);
    }

    /// Waits until the model has a request.
    pub(crate) async fn reached(self: &Arc<Self>) {
        let gate = Arc::clone(self);
        tokio::task::spawn_blocking(move || gate.until_reached_by(1)).await.expect("it happened");
    }

    /// As `until_cancelled`.
    pub(crate) async fn cancelled(self: &Arc<Self>) {
        let gate = Arc::clone(self);
        tokio::task::spawn_blocking(move || gate.until_cancelled()).await.expect("it happened");
    }

    fn until(&self, happened: impl Fn(&State) -> bool) {
        let state = self.state.lock().expect("no panic");
        let patience = Duration::from_secs(20);
        let end = self.changed.wait_timeout_while(state, patience, |state| !happened(state)).expect("no panic");
        assert!(!end.1.timed_out(), "it never happened");
    }
}
