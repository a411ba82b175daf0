//! The bytes of one connection: what arrived and is not yet consumed, what is ready and not yet sent.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use crate::frontend::http::patience::Patience;
use crate::frontend::http::response::{Framing, Response};

/// How long a client may take over a request's head, over the next part of its body, or to take the next part of an answer.
pub(super) const REQUEST_PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may be idle between requests.
pub(super) const IDLE_PATIENCE: Duration = Duration::from_secs(120);
/// How long a client that is still sending may be silent before the connection is closed on it.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of further requests that are read while one is answered.
const READ_AHEAD_BYTES: usize = 64 * 1024;
/// An answer up to this size is copied behind its head; a larger one is written from where it is.
const COPY_BYTES: usize = 16 * 1024;

/// What came of waiting for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Bytes,
    /// It sends no more.
    End,
    /// Nothing came in time.
    Late,
}

/// A stream with its buffers.
pub(super) struct Wire<S> {
    stream: S,
    /// What arrived and is not yet consumed.
    pub input: BytesMut,
    /// What is ready to be sent, except for large parts of answers.
    pub output: BytesMut,
    patience: Patience,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        let (input, output) = (BytesMut::with_capacity(8 * 1024), BytesMut::with_capacity(1024));
        Self { stream, input, output, patience: Patience::new(IDLE_PATIENCE) }
    }

    /// Sets the time limit for what is waited for next.
    pub(super) fn allow(&mut self, time: Duration) {
        self.patience.allow(time);
    }

    /// Reads what there is, up to the room there is: at least `room` bytes.
    pub(super) async fn read(&mut self, room: usize) -> io::Result<Arrival> {
        poll_fn(|context| self.poll_read(room, context)).await
    }

    pub(super) fn poll_read(&mut self, room: usize, context: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        if self.input.capacity() - self.input.len() < room {
            self.input.reserve(room.max(8 * 1024));
        }
        let polled = poll_read_buf(Pin::new(&mut self.stream), context, &mut self.input);
        self.patience.or_elapsed(polled, context).map_ok(arrival)
    }

    /// Reads into memory of somebody else's, as much as it has room for.
    pub(super) async fn read_into(&mut self, memory: &mut BytesMut) -> io::Result<Arrival> {
        let Self { stream, patience, .. } = self;
        let read = poll_fn(|context| {
            let polled = poll_read_buf(Pin::new(&mut *stream), context, memory);
            patience.or_elapsed(polled, context)
        });
        read.await.map(arrival)
    }

    /// Ready when the client has hung up. What it sends until then belongs to its next request, and is kept.
    pub(super) fn poll_hang_up(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.input.len() < READ_AHEAD_BYTES {
            if self.input.len() == self.input.capacity() {
                self.input.reserve(4096);
            }
            if ready!(poll_read_buf(Pin::new(&mut self.stream), context, &mut self.input))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }

    /// Puts an answer behind those that wait to be sent; sends at once what is too large to be copied.
    pub(super) async fn put(
        &mut self,
        response: Response,
        framing: Framing,
        connection: Option<&'static str>,
        head_only: bool,
    ) -> io::Result<()> {
        response.write_head(&mut self.output, framing, connection);
        if head_only || framing != Framing::Length {
            return Ok(());
        }
        if response.length() <= COPY_BYTES {
            self.output.extend_from_slice(&response.body);
            response.tail.iter().for_each(|part| self.output.extend_from_slice(part));
            return if self.output.len() > COPY_BYTES { self.flush().await } else { Ok(()) };
        }
        let head = self.output.split().freeze();
        let mut parts = Parts::new([head, response.body.freeze()].into_iter().chain(response.tail));
        while parts.any() {
            let slices = parts.slices();
            let written = self.write(|stream, context| Pin::new(stream).poll_write_vectored(context, &slices)).await?;
            parts.advance(written);
        }
        Ok(())
    }

    /// Sends what is ready.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let mut output = std::mem::take(&mut self.output);
        let mut sent = 0;
        while sent < output.len() {
            sent += self.write(|stream, context| Pin::new(stream).poll_write(context, &output[sent..])).await?;
        }
        output.clear();
        self.output = output;
        Ok(())
    }

    /// Writes some of something; a client that takes nothing for too long has lost its claim to the rest.
    async fn write(
        &mut self,
        mut write: impl FnMut(&mut S, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> io::Result<usize> {
        self.patience.allow(REQUEST_PATIENCE);
        let Self { stream, patience, .. } = self;
        let written = poll_fn(|context| patience.or_elapsed(write(stream, context), context)).await?;
        match written {
            Some(0) => Err(io::ErrorKind::WriteZero.into()),
            Some(count) => Ok(count),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Sends what is ready and ends the sending side.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.shutdown().await
    }

    /// Closes, and throws away what the client still sends: hanging up on unread bytes would tear the last answer away from it.
    pub(super) async fn say_goodbye(&mut self) -> io::Result<()> {
        self.close().await?;
        let end = Instant::now() + REQUEST_PATIENCE;
        while Instant::now() < end {
            self.input.clear();
            self.allow(GOODBYE_PATIENCE);
            if self.read(READ_AHEAD_BYTES).await? != Arrival::Bytes {
                break;
            }
        }
        Ok(())
    }
}

fn arrival(read: Option<usize>) -> Arrival {
    match read {
        Some(0) => Arrival::End,
        Some(_) => Arrival::Bytes,
        None => Arrival::Late,
    }
}

/// An answer in parts, as far as it is not yet written.
struct Parts(VecDeque<Bytes>);

impl Parts {
    fn new(parts: impl Iterator<Item = Bytes>) -> Self {
        Self(parts.filter(|part| !part.is_empty()).collect())
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
                part.advance(count);
                return;
            }
            count -= part.len();
            self.0.pop_front();
        }
    }
}
