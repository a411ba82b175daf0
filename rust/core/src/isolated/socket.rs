//! The server's end of the socket to a process.
//!
//! The runtime's own sockets wake up for writing too, which is possible again each time that the process has read a message: a wake-up for
//! every batch that nobody needs. What the runtime takes for the reading end of a pipe wakes up for reading alone.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use bytes::{Buf, BytesMut};
use tokio::net::unix::pipe::{Receiver, Sender};

/// What the process says.
pub(super) type Incoming = Receiver;

/// What it is told.
pub(super) struct Outgoing(UnixStream);

/// Both directions of a socket.
pub(super) fn split(stream: UnixStream) -> io::Result<(Incoming, Outgoing)> {
    stream.set_nonblocking(true)?;
    let outgoing = Outgoing(stream.try_clone()?);
    Ok((Receiver::from_owned_fd_unchecked(stream.into())?, outgoing))
}

impl Outgoing {
    /// Takes from `output` what there is room for, and waits where there is none.
    pub(super) async fn write(&self, output: &mut BytesMut) -> io::Result<()> {
        match (&self.0).write(output) {
            Ok(count) => output.advance(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Sender::from_owned_fd_unchecked(self.0.try_clone()?.into())?.writable().await?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Says nothing more.
    pub(super) fn shutdown(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}
