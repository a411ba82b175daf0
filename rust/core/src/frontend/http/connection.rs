//! One connection: bytes in, requests in order, answers in the same order, bytes out.
//!
//! Whatever waits for the network first sends what is ready, so that pipelined answers leave in one write and none is held back. While a
//! model works, the connection listens for the client hanging up.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::frontend::http::head::{Fault, Head, MAX_HEAD_BYTES, Method};
use crate::frontend::http::response::{Feed, Framing, Response};
use crate::frontend::http::wire::{Arrival, IDLE_PATIENCE, REQUEST_PATIENCE, Wire};
use crate::frontend::json::writer;
use crate::trace::Event;

/// So much of a body that comes part by part is gathered before it is sent, where it comes fast.
const ENOUGH_BYTES: usize = 16 * 1024;

/// What a connection shares with the one who accepted it.
#[derive(Debug, Default)]
pub(super) struct Signals {
    closing: AtomicBool,
    /// The connection's task. A task has one waker for all its life, so it is enough to note it once.
    task: OnceLock<Waker>,
}

impl Signals {
    /// Has the connection end: at once when it is idle, otherwise after the request at hand.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Ready when the connection should end.
    fn poll_close(&self, context: &Context<'_>) -> Poll<()> {
        self.task.get_or_init(|| context.waker().clone());
        if self.is_closing() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Answers requests.
pub(super) trait Service {
    /// Answers one request. Dropped when the client hangs up.
    fn answer(&self, head: &Head, body: BytesMut) -> impl Future<Output = Response> + Send;

    /// Largest body it wants, in bytes.
    fn max_body_bytes(&self) -> usize;

    /// The time, where somebody might want to know when a request was read.
    fn time(&self) -> Option<u64> {
        None
    }
}

/// What comes next of a body.
enum News {
    Part(Option<BytesMut>),
    /// Nothing for now: there is time to send what came before.
    Nothing,
    HangUp,
}

fn put_part(out: &mut BytesMut, part: &[u8], framing: Framing) {
    if framing == Framing::Close {
        return out.put_slice(part);
    }
    writer::display(out, format_args!("{:x}\r\n", part.len()));
    out.put_slice(part);
    out.put_slice(b"\r\n");
}

pub(super) struct Connection<S, V> {
    wire: Wire<S>,
    service: V,
    signals: Arc<Signals>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send, V: Service + Sync> Connection<S, V> {
    pub(super) fn new(stream: S, service: V, signals: Arc<Signals>) -> Self {
        Self { wire: Wire::new(stream), service, signals }
    }

    /// Serves until one of both sides has had enough. An error means that the client is gone.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        loop {
            let mut head = match self.head().await? {
                Ok(Some(head)) => head,
                Ok(None) => return self.wire.close().await,
                Err(fault) => return self.refuse(Response::fault(fault.status, fault.message)).await,
            };
            let started = self.service.time();
            let body = match self.wire.body(&head, self.service.max_body_bytes()).await? {
                Ok(body) => body,
                Err(refusal) => return self.refuse(refusal).await,
            };
            head.read = started.zip(self.service.time());
            let Some(mut response) = self.answer(&head, body).await? else { return Ok(()) };
            let trace = response.trace.take();
            let framing = response.framing(head.is_http_1_0);
            let feed = response.feed.take();
            let mut keeps = head.keep_alive && framing != Framing::Close && !self.signals.is_closing();
            let connection = match (keeps, head.is_http_1_0) {
                (false, _) => Some("close"),
                (true, true) => Some("keep-alive"),
                (true, false) => None,
            };
            self.wire.put(response, framing, connection, head.method == Method::Head).await?;
            if let Some(feed) = feed {
                if !self.relay(feed, framing).await? {
                    return Ok(());
                }
                keeps &= !self.signals.is_closing();
            }
            if let Some(trace) = trace {
                trace.note(Event::HttpSendEnd);
            }
            if !keeps {
                return self.wire.say_goodbye().await;
            }
        }
    }

    /// Reads the next head; nothing at the end of the connection.
    async fn head(&mut self) -> io::Result<Result<Option<Head>, Fault>> {
        let (mut seen, mut started) = (0, false);
        loop {
            let input = &mut self.wire.input;
            if seen == 0 {
                let blank = input.iter().take_while(|byte| b"\r\n".contains(byte)).count();
                input.advance(blank);
            }
            // A head ends with a line: while none ends in what is new there is no use in looking at it all again.
            if !input.is_empty() && (seen == 0 || input[seen..].contains(&b'\n') || input.len() >= MAX_HEAD_BYTES) {
                match Head::take(input) {
                    Ok(None) => seen = input.len(),
                    taken => return Ok(taken),
                }
            }
            self.wire.flush().await?;
            let arrival = if self.wire.input.is_empty() {
                self.idle().await?
            } else {
                if !started {
                    started = true;
                    self.wire.allow(REQUEST_PATIENCE);
                }
                self.wire.read(1024).await?
            };
            match arrival {
                Arrival::Bytes => {}
                Arrival::Late | Arrival::End if self.wire.input.is_empty() => return Ok(Ok(None)),
                Arrival::End => return Ok(Err(Fault::new(400, "the connection ended within the request head"))),
                Arrival::Late => return Ok(Err(Fault::new(408, "the request head did not arrive in time"))),
            }
        }
    }

    /// Waits for the next request; to be told to close is as good as the end.
    async fn idle(&mut self) -> io::Result<Arrival> {
        self.wire.allow(IDLE_PATIENCE);
        let arrival = poll_fn(|context| match self.wire.poll_read(1024, context) {
            Poll::Pending => self.signals.poll_close(context).map(|()| None),
            Poll::Ready(arrival) => Poll::Ready(Some(arrival)),
        });
        match arrival.await {
            Some(arrival) => arrival,
            None => self.last_call().await,
        }
    }

    /// Reads what has been sent already: a request that came before the word to close is not torn off.
    async fn last_call(&mut self) -> io::Result<Arrival> {
        // The network is asked for news in between.
        tokio::task::yield_now().await;
        poll_fn(|context| match self.wire.poll_read(1024, context) {
            Poll::Pending => Poll::Ready(Ok(Arrival::End)),
            ready @ Poll::Ready(_) => ready,
        })
        .await
    }

    /// Has the request answered; nothing when the client hung up meanwhile.
    async fn answer(&mut self, head: &Head, body: BytesMut) -> io::Result<Option<Response>> {
        let mut answer = pin!(self.service.answer(head, body));
        if let Poll::Ready(response) = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await {
            return Ok(Some(response));
        }
        self.wire.flush().await?;
        poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Ready(response) => Poll::Ready(Ok(Some(response))),
            Poll::Pending => self.wire.poll_hang_up(context).map_ok(|()| None),
        })
        .await
    }

    /// Sends a body as it comes: what is there at the same time leaves in one write. False when the client hung up meanwhile.
    async fn relay(&mut self, mut feed: Box<dyn Feed>, framing: Framing) -> io::Result<bool> {
        loop {
            let news = poll_fn(|context| match feed.poll_next(context) {
                Poll::Ready(part) => Poll::Ready(Ok(News::Part(part))),
                Poll::Pending if !self.wire.output.is_empty() => Poll::Ready(Ok(News::Nothing)),
                Poll::Pending => self.wire.poll_hang_up(context).map_ok(|()| News::HangUp),
            });
            match news.await? {
                News::Part(Some(part)) => {
                    put_part(&mut self.wire.output, &part, framing);
                    if self.wire.output.len() >= ENOUGH_BYTES {
                        self.wire.flush().await?;
                    }
                }
                News::Part(None) => {
                    if framing == Framing::Chunked {
                        self.wire.output.put_slice(b"0\r\n\r\n");
                    }
                    return Ok(true);
                }
                News::Nothing => self.wire.flush().await?,
                News::HangUp => return Ok(false),
            }
        }
    }

    /// Answers what cannot be served, and ends: nobody knows where the next request would start.
    async fn refuse(&mut self, response: Response) -> io::Result<()> {
        self.wire.put(response, Framing::Length, Some("close"), false).await?;
        self.wire.say_goodbye().await
    }
}

#[cfg(test)]
mod tests;
