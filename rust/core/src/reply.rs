//! The way back to one client: a slot that is filled once, and a future that waits for it.
//!
//! Whoever loses interest says so, and the request is dropped wherever it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::{Error, Result};
use crate::request::Response;

#[derive(Debug, Default)]
struct Slot {
    /// Never held across an await, and only for a move in or out.
    state: Mutex<State>,
    abandoned: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    answer: Option<Result<Response>>,
    waiter: Option<Waker>,
}

/// The end that answers.
#[derive(Debug)]
pub(crate) struct Reply {
    slot: Arc<Slot>,
    sent: bool,
}

/// Tells whether anybody still waits for an answer.
#[derive(Clone, Debug)]
pub struct Cancellation(Arc<Slot>);

/// The end that waits.
#[derive(Debug)]
pub(crate) struct Answer(Arc<Slot>);

/// Both ends of a new slot.
pub(crate) fn reply() -> (Reply, Answer) {
    let slot = Arc::new(Slot::default());
    (Reply { slot: Arc::clone(&slot), sent: false }, Answer(slot))
}

impl Reply {
    /// Whether the client went away.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.slot.abandoned.load(Ordering::Relaxed)
    }

    /// A handle for a model that wants to stop early.
    pub(crate) fn cancellation(&self) -> Cancellation {
        Cancellation(Arc::clone(&self.slot))
    }

    /// Answers, and wakes the one who waits.
    pub(crate) fn send(mut self, answer: Result<Response>) {
        self.sent = true;
        self.fill(answer);
    }

    fn fill(&self, answer: Result<Response>) {
        let waiter = {
            let mut state = self.slot.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.answer = Some(answer);
            state.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

/// Nobody waits for ever: a request that is dropped on its way is answered.
impl Drop for Reply {
    fn drop(&mut self) {
        if !self.sent {
            self.fill(Err(Error::stopping()));
        }
    }
}

impl Cancellation {
    /// Whether the client went away.
    pub fn is_cancelled(&self) -> bool {
        self.0.abandoned.load(Ordering::Relaxed)
    }
}

impl Answer {
    /// Tells the other end that nobody waits any more.
    pub(crate) fn abandon(&self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
    }
}

impl Future for Answer {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(answer);
        }
        match &mut state.waiter {
            Some(waiter) => waiter.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}
