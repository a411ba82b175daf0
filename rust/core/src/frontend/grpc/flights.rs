//! The requests of one stream that are on their way, and the order in which their answers leave.
//!
//! Models with one answer a request answer in the order they were asked. Decoupled models answer when they like. Only those requests are
//! looked at that have news.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use crate::error::{Error, Result};
use crate::frontend::outputs::OutputForms;
use crate::pending::Pending;
use crate::request::Response;
use crate::spec::Spec;
use crate::trace::Trace;

/// Requests of one stream on their way, and what they came with; further ones wait at the client.
const MAX_FLYING: usize = 4096;
const MAX_FLYING_BYTES: usize = 1 << 30;

/// Answers that one request may give while others have news too.
const IN_A_ROW: usize = 64;

/// What a request said that its answers repeat.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) model: String,
    /// As it was asked for: empty for any.
    pub(super) version: String,
    /// Whether it wants to be told of the end also where that says nothing else.
    pub(super) empty_final: bool,
    /// How it wants its outputs.
    pub(super) forms: OutputForms,
    pub(super) trace: Option<Arc<Trace>>,
    /// What it came with.
    pub(super) bytes: usize,
}

/// One answer to one of the requests.
#[derive(Debug)]
pub(super) enum Told {
    /// The request was refused before a model saw it.
    Refused { id: String, error: Error },
    /// A model answered.
    Answered { asked: Arc<Asked>, spec: Arc<Spec>, result: Option<Result<Response>>, last: bool },
}

/// The requests of one stream. Dropping it abandons them all.
#[derive(Default)]
pub(super) struct Flights {
    /// By number.
    flying: HashMap<u64, Flight>,
    count: u64,
    /// What they came with.
    bytes: usize,
    /// Those whose answers leave in this order.
    line: VecDeque<u64>,
    /// Answers that wait for their place in the line.
    waiting: HashMap<u64, Told>,
    bells: Arc<Bells>,
    /// The one that has news now, and how many answers in a row it gave.
    current: Option<(u64, usize)>,
}

struct Flight {
    asked: Arc<Asked>,
    spec: Arc<Spec>,
    pending: Pending,
    bell: Arc<Bell>,
}

impl Flights {
    /// Takes a request that a model has admitted.
    pub(super) fn start(&mut self, asked: Asked, spec: Arc<Spec>, pending: Pending) {
        let number = self.number();
        if !spec.decoupled {
            self.line.push_back(number);
        }
        let bell = Arc::new(Bell { number, rung: AtomicBool::new(true), bells: Arc::clone(&self.bells) });
        self.bells.lock().rung.push_back(number);
        self.bytes += asked.bytes;
        self.flying.insert(number, Flight { asked: Arc::new(asked), spec, pending, bell });
    }

    /// Takes a request that was refused: it is answered when it is its turn.
    pub(super) fn refuse(&mut self, id: String, error: Error) {
        let number = self.number();
        self.line.push_back(number);
        self.waiting.insert(number, Told::Refused { id, error });
    }

    /// How many are not yet answered for good.
    pub(super) fn len(&self) -> usize {
        self.flying.len() + self.waiting.len()
    }

    /// Whether another request may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.len() < MAX_FLYING && self.bytes < MAX_FLYING_BYTES
    }

    /// The next answer that may leave.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Told> {
        loop {
            if let Some(told) = self.line.front().and_then(|number| self.waiting.remove(number)) {
                self.line.pop_front();
                return Poll::Ready(told);
            }
            let (number, given) = match self.current.take() {
                Some(current) => current,
                None => (ready!(self.bells.poll_rung(context)), 0),
            };
            let Some(flight) = self.flying.get_mut(&number) else { continue };
            let Poll::Ready(told) = flight.poll() else { continue };
            let (last, decoupled) = (told.is_last(), flight.spec.decoupled);
            if last {
                self.bytes -= flight.asked.bytes;
                self.flying.remove(&number);
            } else if given < IN_A_ROW {
                self.current = Some((number, given + 1));
            } else {
                self.bells.ring(number);
            }
            if decoupled {
                return Poll::Ready(told);
            }
            self.waiting.insert(number, told);
        }
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

impl Flight {
    fn poll(&mut self) -> Poll<Told> {
        self.bell.rung.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self.bell));
        let mut context = Context::from_waker(&waker);
        let (result, last) = if self.spec.decoupled {
            let answer = ready!(self.pending.poll_next(&mut context));
            (answer.result, answer.last)
        } else {
            (Some(ready!(Pin::new(&mut self.pending).poll(&mut context))), true)
        };
        let (asked, spec) = (Arc::clone(&self.asked), Arc::clone(&self.spec));
        Poll::Ready(Told::Answered { asked, spec, result, last })
    }
}

impl Told {
    /// The trace of its request.
    pub(super) fn trace(&self) -> Option<Arc<Trace>> {
        match self {
            Self::Refused { .. } => None,
            Self::Answered { asked, .. } => asked.trace.clone(),
        }
    }

    fn is_last(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Answered { last: true, .. })
    }
}

/// Tells which requests have news.
#[derive(Default)]
struct Bells(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    /// Numbers of those that have; some may be answered for good since.
    rung: VecDeque<u64>,
    waker: Option<Waker>,
}

/// The bell of one request.
struct Bell {
    number: u64,
    rung: AtomicBool,
    bells: Arc<Bells>,
}

impl Bells {
    fn ring(&self, number: u64) {
        let waker = {
            let mut state = self.lock();
            state.rung.push_back(number);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_rung(&self, context: &Context<'_>) -> Poll<u64> {
        let mut state = self.lock();
        if let Some(number) = state.rung.pop_front() {
            return Poll::Ready(number);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.bells.ring(self.number);
        }
    }
}

#[cfg(test)]
mod tests;
