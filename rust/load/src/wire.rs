//! A socket that never waits, with TLS or without.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustls::ClientConnection;
use socket2::{Domain, Socket, Type};

use crate::tls::Secrecy;

/// One connection's bytes. What cannot be done at once fails with `WouldBlock`.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// Whether there may be something to read: the kernel is not asked in vain.
    readable: bool,
    /// Whether the kernel took less than it was given.
    blocked: bool,
}

impl Wire {
    /// Begins to connect.
    pub(crate) fn connect(address: SocketAddr, secrecy: Option<&Secrecy>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
        // Without it small requests wait for acknowledgements.
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => return Err(error),
            _ => {}
        }
        let tls = secrecy.map(Secrecy::begin).transpose();
        let tls = tls.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?.map(Box::new);
        Ok(Self { socket: socket.into(), tls, readable: false, blocked: true })
    }

    /// Notes what the network is ready for.
    pub(crate) fn ready(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.blocked &= !writable;
    }

    /// Goes on with connecting, and with TLS; true when requests may be sent.
    pub(crate) fn settle(&mut self) -> io::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        if self.socket.peer_addr().is_err_and(|error| error.kind() == ErrorKind::NotConnected) {
            return Ok(false);
        }
        loop {
            self.flush()?;
            let Some(tls) = self.tls.as_mut().filter(|tls| tls.is_handshaking()) else { return Ok(true) };
            match tls.read_tls(&mut Inward(&self.socket, &mut self.readable)) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                read => read?,
            };
            let taken = tls.process_new_packets();
            if let Err(error) = taken {
                // The server is told why, if it listens.
                let _ = self.flush();
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
        }
    }

    /// Reads what there is; 0 at the end of the connection.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inward = Inward(&self.socket, &mut self.readable);
        let Some(tls) = &mut self.tls else { return inward.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            if tls.read_tls(&mut inward)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
    }

    /// Writes what the kernel takes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes.len(), |out| out.write(bytes))
    }

    /// The same for bytes that are in several places.
    pub(crate) fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.put(parts.iter().map(|part| part.len()).sum(), |out| out.write_vectored(parts))
    }

    fn put(&mut self, length: usize, write: impl Fn(&mut dyn Write) -> io::Result<usize>) -> io::Result<usize> {
        if self.blocked {
            return Err(ErrorKind::WouldBlock.into());
        }
        let Some(tls) = &mut self.tls else {
            let written = retry(|| write(&mut &self.socket));
            self.blocked = written.as_ref().map_or_else(is_blocked, |count| *count < length);
            return written;
        };
        let taken = write(&mut tls.writer())?;
        self.flush()?;
        if taken == 0 && length > 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    /// Writes what TLS has ready.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while !self.blocked && tls.wants_write() {
            match tls.write_tls(&mut &self.socket) {
                Err(error) if is_blocked(&error) => self.blocked = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => drop(written?),
            }
        }
        Ok(())
    }

    /// Whether the network has to take something before more can be written.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Reads from a socket while there may be something: a read that leaves room has taken all there was.
struct Inward<'a>(&'a TcpStream, &'a mut bool);

impl Read for Inward<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !*self.1 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let read = retry(|| (&mut &*self.0).read(buffer));
        *self.1 = read.as_ref().is_ok_and(|count| *count == 0 || *count == buffer.len());
        read
    }
}

fn is_blocked(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

fn retry(mut attempt: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
