//! A request on its way: whoever sent it holds this, and finds the answers here. Dropping it abandons the request.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::{Error, Result};
use crate::reactor::Reactor;
use crate::reply::{Answer, Answers, Reply, reply};
use crate::request::Response;
use crate::scheduler::Scheduler;

/// What has to be polled so that there are answers.
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The answers to come. As a future it resolves to the only answer; `next` gives one after the other.
pub struct Pending {
    answers: Answers,
    source: Source,
    ended: bool,
    /// The answer so far, for the future.
    only: Option<Result<Response>>,
    count: usize,
}

enum Source {
    /// The queue it waits in, and where the client's connection lives.
    Queue(Arc<Scheduler>, Arc<Reactor>),
    /// Work that happens while it is waited for; dropped with it.
    Driven(Driver),
    /// Nothing: the answer is there.
    Done,
}

impl Pending {
    /// A request that waits in a queue.
    pub(crate) fn queued(answers: Answers, scheduler: Arc<Scheduler>, reactor: Arc<Reactor>) -> Self {
        Self::new(answers, Source::Queue(scheduler, reactor))
    }

    /// A request answered by `work`, which happens while somebody waits for the answers and ends when nobody does.
    pub fn driven<F>(work: impl FnOnce(Reply) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (reply, answers) = reply();
        Self::new(answers, Source::Driven(Box::pin(work(reply))))
    }

    /// A request that is answered already.
    pub fn answered(result: Result<Response>) -> Self {
        let (reply, answers) = reply();
        reply.send(result);
        Self::new(answers, Source::Done)
    }

    fn new(answers: Answers, source: Source) -> Self {
        Self { answers, source, ended: false, only: None, count: 0 }
    }

    /// The next answer; none after the last.
    pub async fn next(&mut self) -> Option<Answer> {
        if self.ended {
            return None;
        }
        Some(poll_fn(|context| self.poll_next(context)).await)
    }

    /// The next answer. After the last there is none, and waiting for it is waiting for ever.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        if let Source::Driven(work) = &mut self.source
            && work.as_mut().poll(context).is_ready()
        {
            self.source = Source::Done;
        }
        let answer = self.answers.poll_next(context);
        if let Poll::Ready(Answer { last: true, .. }) = answer {
            self.ended = true;
        }
        answer
    }
}

/// Waits for the only answer. More than one, or none, is the model's mistake.
impl Future for Pending {
    type Output = Result<Response>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let Poll::Ready(answer) = self.poll_next(context) else { return Poll::Pending };
            if let Some(result) = answer.result {
                self.count += 1;
                self.only = Some(result);
            }
            if answer.last {
                let count = self.count;
                return Poll::Ready(match self.only.take() {
                    Some(result) if count == 1 => result,
                    _ => Err(Error::internal(format!("expected a single response, got {count}"))),
                });
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.answers.abandon();
        if let Source::Queue(scheduler, reactor) = &self.source {
            scheduler.abandoned();
            reactor.note(scheduler);
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}
