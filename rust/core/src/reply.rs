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

/// Answers that may wait for a client, and what they may hold. One that reads more slowly than its model answers loses the rest.
const MAX_WAITING: usize = 65_536;
const MAX_WAITING_BYTES: usize = 512 << 20;

/// One answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// What it says; only the last may say nothing.
    pub result: Option<Result<Response>>,
    /// Whether no other follows.
    pub last: bool,
}

impl Answer {
    /// What its tensors hold, in bytes.
    fn size(&self) -> usize {
        let Some(Ok(response)) = &self.result else { return 0 };
        response.outputs.iter().map(|output| output.data.len()).sum()
    }
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
    /// What they hold.
    bytes: usize,
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
        let (count, bytes) = self.slot.waiting();
        if count >= MAX_WAITING || bytes >= MAX_WAITING_BYTES {
            self.slot.abandoned.store(true, Ordering::Relaxed);
            let text = format!("the client left {count} answers of {bytes} bytes unread: the rest is dropped");
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
            state.bytes += answer.size();
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

    /// How many answers wait, and how many bytes they hold.
    fn waiting(&self) -> (usize, usize) {
        let state = self.lock();
        (state.more.len() + usize::from(state.next.is_some()), state.bytes)
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
            state.bytes -= answer.size();
            return Poll::Ready(answer);
        }
        match &mut state.waiter {
            Some(waiter) => waiter.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::statistics::Spent;
    use crate::tensor::{Data, DataType, Name, Tensor};

    fn answer(data: &Bytes) -> Response {
        let (name, shape) = (Name::from("y"), vec![data.len() as i64]);
        let output = Tensor { name, data_type: DataType::Uint8, shape, data: Data::Shared(data.clone()) };
        Response {
            id: String::new(),
            model: Name::from("m"),
            version: 1,
            parameters: Vec::new(),
            outputs: vec![output],
            spent: Spent::default(),
        }
    }

    /// Pushes so many answers that hold this, and takes those that were kept.
    fn pushed(count: usize, data: &Bytes) -> (usize, Option<Error>) {
        let (mut reply, mut answers) = reply();
        for _ in 0..count {
            reply.push(Some(Ok(answer(data))), false);
        }
        assert_eq!(reply.ended, reply.is_abandoned(), "a model that is cut off is told so");
        let mut context = Context::from_waker(Waker::noop());
        let mut good = 0;
        while let Poll::Ready(answer) = answers.poll_next(&mut context) {
            match answer.result {
                Some(Err(error)) if answer.last => return (good, Some(error)),
                _ => good += 1,
            }
        }
        assert_eq!(answers.0.lock().bytes, 0);
        (good, None)
    }

    #[test]
    fn what_a_client_leaves_unread_is_bounded_in_number_and_in_size() {
        let (small, large) = (Bytes::from_static(b"x"), Bytes::from(vec![0; 64 << 20]));
        assert_eq!(pushed(MAX_WAITING, &small), (MAX_WAITING, None));
        let (kept, error) = pushed(MAX_WAITING + 2, &small);
        assert_eq!(kept, MAX_WAITING);
        assert!(
            error.is_some_and(|error| error.message.starts_with("the client left 65536 answers of 65536 bytes unread"))
        );
        let (kept, error) = pushed(10, &large);
        assert_eq!(kept, 8);
        assert!(error.is_some_and(|error| error.message.contains("8 answers of 536870912 bytes")));
    }
}
