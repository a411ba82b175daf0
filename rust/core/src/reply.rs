//! The way back to one client: a slot that answers go into, and an end that waits for them.
//!
//! Most requests have exactly one answer; those to decoupled models have any number, and the last may be empty. Whoever loses interest says
//! so, and the request is dropped wherever it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::error::{Error, Result};
use crate::request::Response;

/// Answers that may wait for a client. One that reads more slowly than its model answers loses the rest.
const MAX_WAITING: usize = 65_536;

/// One answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// What it says; only the last may say nothing.
    pub result: Option<Result<Response>>,
    /// Whether no other follows.
    pub last: bool,
}

#[derive(Debug, Default)]
struct Slot {
    /// Never held across an await, and only for a move in or out.
    state: Mutex<State>,
    abandoned: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Beside the list, so that a request with one answer needs none.
    next: Option<Answer>,
    more: VecDeque<Answer>,
    waiter: Option<Waker>,
    /// Rung when the client goes away.
    bell: Option<Arc<Notify>>,
}

/// The end that answers.
#[derive(Debug)]
pub struct Reply {
    slot: Arc<Slot>,
    ended: bool,
}

/// Tells whether anybody still waits for an answer.
#[derive(Clone, Debug)]
pub struct Cancellation(Arc<Slot>);

/// The end that waits.
#[derive(Debug)]
pub(crate) struct Answers(Arc<Slot>);

/// Both ends of a new slot.
pub(crate) fn reply() -> (Reply, Answers) {
    let slot = Arc::new(Slot::default());
    (Reply { slot: Arc::clone(&slot), ended: false }, Answers(slot))
}

impl Reply {
    /// Whether the client went away.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.slot.is_abandoned()
    }

    /// A handle for a model that wants to stop early.
    pub(crate) fn cancellation(&self) -> Cancellation {
        Cancellation(Arc::clone(&self.slot))
    }

    /// Gives the only answer, or the last.
    pub fn send(mut self, result: Result<Response>) {
        self.end(Some(result));
    }

    /// Gives one of several answers, and wakes the one who waits. After the last nothing more is taken.
    pub fn push(&mut self, result: Option<Result<Response>>, last: bool) {
        if last {
            return self.end(result);
        }
        if self.ended || self.is_abandoned() {
            return;
        }
        if self.slot.lock().more.len() >= MAX_WAITING {
            self.slot.abandoned.store(true, Ordering::Relaxed);
            let text = format!("the client left {MAX_WAITING} answers unread: the rest is dropped");
            return self.end(Some(Err(Error::unavailable(text))));
        }
        self.slot.put(Answer { result, last: false });
    }

    fn end(&mut self, result: Option<Result<Response>>) {
        if !self.ended {
            self.ended = true;
            self.slot.put(Answer { result, last: true });
        }
    }
}

/// Nobody waits for ever: a request that is dropped on its way is answered.
impl Drop for Reply {
    fn drop(&mut self) {
        self.end(Some(Err(Error::stopping())));
    }
}

impl Slot {
    fn put(&self, answer: Answer) {
        let waiter = {
            let mut state = self.lock();
            if state.next.is_none() && state.more.is_empty() {
                state.next = Some(answer);
            } else {
                state.more.push_back(answer);
            }
            state.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancellation {
    /// Whether the client went away.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_abandoned()
    }

    /// Has the bell rung when the client goes away.
    pub(crate) fn ring(&self, bell: &Arc<Notify>) {
        self.0.lock().bell = Some(Arc::clone(bell));
        if self.is_cancelled() {
            bell.notify_one();
        }
    }
}

impl Answers {
    /// Tells the other end that nobody waits any more.
    pub(crate) fn abandon(&self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
        let bell = self.0.lock().bell.take();
        if let Some(bell) = bell {
            bell.notify_one();
        }
    }

    /// The next answer. After the last there is none, and waiting for it is waiting for ever.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        let mut state = self.0.lock();
        let found = state.next.take().or_else(|| state.more.pop_front());
        if let Some(answer) = found {
            return Poll::Ready(answer);
        }
        match &mut state.waiter {
            Some(waiter) => waiter.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}
