//! One connection on which requests are asked, one at a time.

use std::io::ErrorKind;

use bytes::Bytes;

use crate::asked::{Asked, Done, Lost, Nanos, Refusal};
use crate::failure::Failure;
use crate::http::answer::{Answer, Said};
use crate::wire::Wire;
use crate::worker::Desk;

/// A connection, and the request that is under way on it.
#[derive(Debug)]
pub(crate) struct Talk {
    wire: Wire,
    answer: Answer,
    asked: Option<Asked>,
    /// The request, and how much of it is sent.
    message: Bytes,
    sent: usize,
}

impl Talk {
    pub(crate) fn new(wire: Wire, bodyless: bool) -> Self {
        Self { wire, answer: Answer::new(bodyless), asked: None, message: Bytes::new(), sent: 0 }
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Sends a request, as much of it as the kernel takes.
    pub(crate) fn ask(&mut self, message: &Bytes, asked: Asked) {
        self.asked = Some(asked);
        self.message = message.clone();
        self.sent = 0;
        self.push();
    }

    /// Goes on where the network lets it. Requests that are over go to the desk.
    pub(crate) fn turn(&mut self, readable: bool, writable: bool, desk: &mut Desk) -> Result<(), Lost> {
        self.wire.ready(readable, writable);
        if self.wire.flush().is_ok() {
            self.push();
        }
        loop {
            match self.wire.read(&mut desk.buffer) {
                Ok(0) => return Err(self.ended(desk)),
                Ok(count) => self.take(count, desk)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Lost::Because(Failure::from(&error))),
            }
        }
    }

    /// The request that is under way, which has failed.
    pub(crate) fn abandon(&mut self) -> Option<Asked> {
        self.asked.take()
    }

    /// When the request under way was sent.
    pub(crate) fn since(&self) -> Option<Nanos> {
        self.asked.map(|asked| asked.sent)
    }

    fn push(&mut self) {
        while self.sent < self.message.len() && !self.wire.is_blocked() {
            match self.wire.write(&self.message[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // There may be an answer all the same, one that says why; if not, reading tells what happened.
                Err(_) => self.sent = self.message.len(),
            }
        }
    }

    /// Takes bytes from the desk's buffer.
    fn take(&mut self, count: usize, desk: &mut Desk) -> Result<(), Lost> {
        // What nobody asked for, such as a word of farewell.
        let Some(asked) = self.asked else { return Err(Lost::Quietly) };
        let (used, said) = self.answer.feed(&desk.buffer[..count]).map_err(|_| Lost::Because(Failure::Malformed))?;
        let Some(said) = said else { return Ok(()) };
        if used < count {
            return Err(Lost::Because(Failure::Malformed));
        }
        self.asked = None;
        // Nothing can follow a request of which the server did not want the rest.
        let keeps = said.keeps && self.sent == self.message.len();
        tell(asked, said, desk);
        if keeps { Ok(()) } else { Err(Lost::Quietly) }
    }

    /// The server has ended the connection.
    fn ended(&mut self, desk: &mut Desk) -> Lost {
        match (self.asked, self.answer.end()) {
            (None, _) => Lost::Quietly,
            (Some(asked), Some(said)) => {
                self.asked = None;
                tell(asked, said, desk);
                Lost::Quietly
            }
            (Some(_), None) => Lost::Because(Failure::ClosedEarly),
        }
    }
}

fn tell(asked: Asked, said: Said, desk: &mut Desk) {
    let at = desk.clock.now();
    let result = if said.is_success() {
        Ok(())
    } else {
        Err(Refusal { failure: Failure::Status(said.status), text: said.text })
    };
    desk.done.push(Done { asked, at, result });
}
