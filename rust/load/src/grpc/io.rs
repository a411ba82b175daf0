//! A wire as h2 wants it. Nobody is woken: whoever owns the connection hears of the network, and looks again.

use std::cell::RefCell;
use std::io::{ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::Wire;

const READ_BYTES: usize = 16 * 1024;

/// One end of a wire; the other end tells it what the network is ready for.
pub(super) struct Io {
    wire: Rc<RefCell<Wire>>,
    buffer: Box<[u8]>,
}

impl Io {
    pub(super) fn new(wire: Rc<RefCell<Wire>>) -> Self {
        Self { wire, buffer: vec![0; READ_BYTES].into_boxed_slice() }
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let Self { wire, buffer: own } = self.get_mut();
        let room = buffer.remaining().min(own.len());
        or_pending(wire.borrow_mut().read(&mut own[..room])).map_ok(|count| buffer.put_slice(&own[..count]))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        or_pending(self.wire.borrow_mut().write(bytes))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, _: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        or_pending(self.wire.borrow_mut().write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        let mut wire = self.wire.borrow_mut();
        match wire.flush() {
            Ok(()) if wire.is_blocked() => Poll::Pending,
            flushed => Poll::Ready(flushed),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn or_pending<T>(result: Result<T>) -> Poll<Result<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}
