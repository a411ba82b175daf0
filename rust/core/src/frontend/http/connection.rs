//! One connection: bytes in, requests in order, answers in the same order, bytes out.
//!
//! Whatever waits for the network first sends what is ready, so that pipelined answers leave in one write and none is held back. While a
//! model works, the connection listens for the client hanging up.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::io::poll_read_buf;

use crate::error::Error;
use crate::frontend::http::chunked::{self, Decoder};
use crate::frontend::http::head::{Fault, Framing, Head, Method};
use crate::frontend::http::response::Response;

/// How long a client may take over a request's head, or over the next part of its body.
const REQUEST_PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may be idle between requests.
const IDLE_PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of further requests that are read while one is answered.
const READ_AHEAD_BYTES: usize = 64 * 1024;
/// Bodies up to this size are given all their memory at once; larger ones have to arrive first.
const TRUSTED_BYTES: usize = 16 * 1024 * 1024;
/// Tensors behind the JSON begin at such an address, which suits every data type and the widest vector unit.
const ALIGNMENT: usize = 64;
/// Parts of an answer up to this size are copied behind its head; larger ones are written from where they are.
const COPY_BYTES: usize = 16 * 1024;

/// What a connection shares with the one who accepted it.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Set while the connection waits for a request, and may be closed without loss.
    pub idle: AtomicBool,
    /// Set when it should close after the request at hand.
    pub closing: AtomicBool,
}

/// Answers requests.
pub(super) trait Service {
    /// Answers one request. Dropped when the client hangs up.
    fn answer(&self, head: &Head, body: BytesMut) -> impl Future<Output = Response> + Send;

    /// Largest body it wants, in bytes.
    fn max_body_bytes(&self) -> usize;
}

pub(super) struct Connection<S, V> {
    stream: S,
    service: V,
    signals: Arc<Signals>,
    input: BytesMut,
    output: BytesMut,
    patience: Patience,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send, V: Service + Sync> Connection<S, V> {
    pub(super) fn new(stream: S, service: V, signals: Arc<Signals>) -> Self {
        let (input, output) = (BytesMut::with_capacity(8 * 1024), BytesMut::with_capacity(1024));
        Self { stream, service, signals, input, output, patience: Patience::new() }
    }

    /// Serves until one of both sides has had enough. An error means that the client is gone.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        loop {
            let head = match self.head().await? {
                Ok(Some(head)) => head,
                Ok(None) => break,
                Err(fault) => {
                    self.refuse(fault).await?;
                    break;
                }
            };
            let (keep_alive, is_head) = (head.keep_alive, head.method == Method::Head);
            let body = match self.body(&head).await? {
                Ok(body) => body,
                Err(response) => {
                    self.put(response, false, false).await?;
                    break;
                }
            };
            let Some(response) = self.answer(&head, body).await? else { return Ok(()) };
            let keep_alive = keep_alive && !response.close && !self.signals.closing.load(Ordering::Relaxed);
            self.put(response, keep_alive, is_head).await?;
            if !keep_alive {
                break;
            }
        }
        self.flush().await?;
        self.linger().await
    }

    /// Reads the next head; nothing at the end of the connection.
    async fn head(&mut self) -> io::Result<Result<Option<Head>, Fault>> {
        let mut started = false;
        loop {
            if !self.input.is_empty() {
                match Head::take(&mut self.input) {
                    Ok(None) => {}
                    taken => return Ok(taken),
                }
            }
            self.flush().await?;
            if self.input.is_empty() {
                self.signals.idle.store(true, Ordering::Relaxed);
                self.patience.allow(IDLE_PATIENCE);
            } else if !started {
                started = true;
                self.patience.allow(REQUEST_PATIENCE);
            }
            let read = self.read().await;
            self.signals.idle.store(false, Ordering::Relaxed);
            match read? {
                Some(0) => return Ok(Ok(None)),
                Some(_) => {}
                None if self.input.is_empty() => return Ok(Ok(None)),
                None => return Ok(Err(Fault { status: 408, message: "the request head did not arrive in time" })),
            }
        }
    }

    /// Reads the body; a body that is refused is answered at once, and not read.
    async fn body(&mut self, head: &Head) -> io::Result<Result<BytesMut, Response>> {
        let limit = self.service.max_body_bytes();
        let present = match head.framing {
            Framing::Length(0) => return Ok(Ok(BytesMut::new())),
            Framing::Length(length) if length > limit => return Ok(Err(too_large(length, limit))),
            Framing::Length(length) if length <= self.input.len() => return Ok(Ok(self.input.split_to(length))),
            framing => framing,
        };
        if head.expects_continue {
            self.output.put_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.flush().await?;
        match present {
            Framing::Length(length) => self.sized_body(length, tail_offset(head)).await,
            Framing::Chunked => self.chunked_body(limit).await,
        }
    }

    async fn sized_body(&mut self, length: usize, tail_offset: usize) -> io::Result<Result<BytesMut, Response>> {
        let mut body = aligned(length.min(TRUSTED_BYTES), tail_offset);
        body.extend_from_slice(&self.input);
        self.input.clear();
        while body.len() < length {
            if body.len() == body.capacity() {
                let more = (length - body.len()).min(body.len());
                body.reserve(more);
            }
            self.patience.allow(REQUEST_PATIENCE);
            let missing = length - body.len();
            let (stream, patience) = (&mut self.stream, &mut self.patience);
            let read = poll_fn(|context| {
                let mut window = (&mut body).limit(missing);
                patience.or_elapsed(poll_read_buf(Pin::new(&mut *stream), context, &mut window), context)
            })
            .await?;
            match read {
                Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(_) => {}
                None => return Ok(Err(too_slow())),
            }
        }
        Ok(Ok(body))
    }

    async fn chunked_body(&mut self, limit: usize) -> io::Result<Result<BytesMut, Response>> {
        let mut decoder = Decoder::new(limit);
        loop {
            match decoder.decode(&mut self.input) {
                Ok(Some(body)) => return Ok(Ok(body)),
                Ok(None) => {}
                Err(chunked::Fault::TooLarge) => return Ok(Err(too_large(limit + 1, limit))),
                Err(chunked::Fault::Malformed(message)) => return Ok(Err(Error::invalid(message).into())),
            }
            self.patience.allow(REQUEST_PATIENCE);
            match self.read().await? {
                Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(_) => {}
                None => return Ok(Err(too_slow())),
            }
        }
    }

    /// Has the request answered; nothing when the client hung up meanwhile.
    async fn answer(&mut self, head: &Head, body: BytesMut) -> io::Result<Option<Response>> {
        let mut answer = pin!(self.service.answer(head, body));
        if let Poll::Ready(response) = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await {
            return Ok(Some(response));
        }
        flush(&mut self.stream, &mut self.output).await?;
        let (stream, input) = (&mut self.stream, &mut self.input);
        poll_fn(|context| {
            if let Poll::Ready(response) = answer.as_mut().poll(context) {
                return Poll::Ready(Ok(Some(response)));
            }
            // What arrives now belongs to the next request, unless it is the end.
            while input.len() < READ_AHEAD_BYTES {
                if input.len() == input.capacity() {
                    input.reserve(4096);
                }
                match ready!(poll_read_buf(Pin::new(&mut *stream), context, input)) {
                    Ok(0) => return Poll::Ready(Ok(None)),
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            Poll::Pending
        })
        .await
    }

    async fn refuse(&mut self, fault: Fault) -> io::Result<()> {
        self.put(Response::unrouted(fault.status, fault.message), false, false).await
    }

    /// Puts an answer behind those that wait to be sent; sends at once what is too large to be copied.
    async fn put(&mut self, response: Response, keep_alive: bool, head_only: bool) -> io::Result<()> {
        response.write_head(&mut self.output, keep_alive);
        if head_only {
            return Ok(());
        }
        if response.length() <= COPY_BYTES {
            self.output.extend_from_slice(&response.body);
            response.tail.iter().for_each(|part| self.output.extend_from_slice(part));
            return if self.output.len() > COPY_BYTES { self.flush().await } else { Ok(()) };
        }
        let mut parts = Parts::new(self.output.split().freeze(), response.body.freeze(), response.tail);
        while parts.any() {
            self.patience.allow(REQUEST_PATIENCE);
            let (stream, patience) = (&mut self.stream, &mut self.patience);
            let written = poll_fn(|context| {
                let slices = parts.slices();
                patience.or_elapsed(Pin::new(&mut *stream).poll_write_vectored(context, &slices), context)
            })
            .await?;
            match written {
                Some(0) | None => return Err(io::ErrorKind::WriteZero.into()),
                Some(count) => parts.advance(count),
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        flush(&mut self.stream, &mut self.output).await
    }

    /// Says goodbye, and for a moment lets the client finish sending: closing with unread bytes would tear the answer away from it.
    async fn linger(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        self.patience.allow(Duration::from_millis(500));
        for _ in 0..64 {
            self.input.clear();
            if matches!(self.read().await?, Some(0) | None) {
                break;
            }
        }
        Ok(())
    }

    /// Reads what there is; nothing when patience ends first.
    async fn read(&mut self) -> io::Result<Option<usize>> {
        if self.input.capacity() - self.input.len() < 1024 {
            self.input.reserve(8 * 1024);
        }
        let Self { stream, input, patience, .. } = self;
        poll_fn(|context| patience.or_elapsed(poll_read_buf(Pin::new(&mut *stream), context, input), context)).await
    }
}

async fn flush(stream: &mut (impl AsyncWrite + Unpin), output: &mut BytesMut) -> io::Result<()> {
    if output.is_empty() {
        return Ok(());
    }
    let sent = tokio::time::timeout(REQUEST_PATIENCE, stream.write_all(output)).await;
    output.clear();
    sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Room for a body of that size, placed so that what follows `tail_offset` is aligned.
fn aligned(size: usize, tail_offset: usize) -> BytesMut {
    let mut memory = BytesMut::with_capacity(size + ALIGNMENT);
    let address = memory.as_ptr() as usize + tail_offset;
    let pad = address.next_multiple_of(ALIGNMENT) - address;
    memory.resize(pad, 0);
    memory.split_off(pad)
}

/// Where the tensors begin, as far as the head tells.
fn tail_offset(head: &Head) -> usize {
    let text = head.json_length.as_ref().and_then(|length| std::str::from_utf8(length).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn too_large(length: usize, limit: usize) -> Response {
    Error::invalid(format!(
        "request JSON size of {length} bytes exceeds the maximum allowed input size of {limit} bytes. Use --http-max-input-size to increase \
         the limit."
    ))
    .into()
}

fn too_slow() -> Response {
    Response::unrouted(408, "the request body did not arrive in time")
}

/// An answer in parts, and how much of it is written.
struct Parts(std::collections::VecDeque<bytes::Bytes>);

impl Parts {
    fn new(head: bytes::Bytes, body: bytes::Bytes, tail: Vec<bytes::Bytes>) -> Self {
        Self([head, body].into_iter().chain(tail).filter(|part| !part.is_empty()).collect())
    }

    fn any(&self) -> bool {
        !self.0.is_empty()
    }

    fn slices(&self) -> Vec<io::IoSlice<'_>> {
        self.0.iter().take(64).map(|part| io::IoSlice::new(part)).collect()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(part) = self.0.front_mut() {
            if count < part.len() {
                bytes::Buf::advance(part, count);
                return;
            }
            count -= part.len();
            self.0.pop_front();
        }
    }
}

/// A time limit that is moved with every request. The timer behind it is only set again when it rings, so that moving costs a store.
struct Patience {
    until: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    fn new() -> Self {
        Self { until: Instant::now() + IDLE_PATIENCE, timer: Box::pin(sleep(REQUEST_PATIENCE)) }
    }

    fn allow(&mut self, time: Duration) {
        self.until = Instant::now() + time;
        if self.until < self.timer.deadline() {
            self.timer.as_mut().reset(self.until);
        }
    }

    /// Passes on what is ready; nothing once the time is over.
    fn or_elapsed<T>(&mut self, polled: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<Option<T>>> {
        if let Poll::Ready(result) = polled {
            return Poll::Ready(result.map(Some));
        }
        while self.timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= self.until {
                return Poll::Ready(Ok(None));
            }
            let until = self.until;
            self.timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
