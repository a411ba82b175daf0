//! A place for a connection, which is made again when it is lost.

use std::io;

use crate::asked::{Asked, Done, Lost, Nanos};
use crate::failure::Failure;
use crate::plan::{Plan, Requests};
use crate::poll::{Interest, Ready};
use crate::wire::Wire;
use crate::worker::Desk;
use crate::{grpc, http};

/// How long a server that does not take connections is left alone.
const REST: Nanos = 50_000_000;
/// How long connecting may take, at most.
const CONNECT_TIME: Nanos = 10_000_000_000;

/// A connection, or what there is of it.
pub(crate) struct Link {
    state: State,
    number: u64,
    interest: Interest,
    /// How many requests it carries at a time.
    pub(crate) places: usize,
    /// Whether anything was ever answered over it.
    pub(crate) answered: bool,
}

enum State {
    /// Not to be opened before then.
    Down(Nanos),
    /// To be given up then.
    Opening(Wire, Nanos),
    Up(Talk),
}

enum Talk {
    Http(http::Talk),
    Grpc(Box<grpc::Talk>),
}

impl Talk {
    fn new(wire: Wire, plan: &Plan, places: usize) -> Result<Self, Failure> {
        match &plan.requests {
            Requests::Http { bodyless, .. } => Ok(Self::Http(http::Talk::new(wire, *bodyless))),
            Requests::Grpc(_) => grpc::Talk::new(wire, places).map(|talk| Self::Grpc(Box::new(talk))),
        }
    }

    /// The socket should be watched for that.
    fn watch(&self, desk: &Desk, number: u64, before: Interest) -> io::Result<Interest> {
        match self {
            Self::Http(talk) => watch(talk.wire(), desk, number, before),
            Self::Grpc(talk) => watch(&talk.wire(), desk, number, before),
        }
    }
}

fn watch(wire: &Wire, desk: &Desk, number: u64, before: Interest) -> io::Result<Interest> {
    let interest = if wire.is_blocked() { Interest::ReadAndWrite } else { Interest::Read };
    if interest != before {
        desk.poll.change(wire, number, interest)?;
    }
    Ok(interest)
}

impl Link {
    /// One that is to be opened at once. `number` is what the network calls it by.
    pub(crate) fn new(number: u64, places: usize) -> Self {
        Self { state: State::Down(0), number, interest: Interest::ReadAndWrite, places, answered: false }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.state, State::Down(_))
    }

    /// Whether it should be opened now.
    pub(crate) fn wants_opening(&self, now: Nanos) -> bool {
        matches!(self.state, State::Down(until) if until <= now)
    }

    /// Whether it has been opening for too long.
    pub(crate) fn is_late(&self, now: Nanos) -> bool {
        matches!(self.state, State::Opening(_, until) if until <= now)
    }

    /// Begins to connect.
    pub(crate) fn open(&mut self, plan: &Plan, desk: &Desk) -> Result<(), Failure> {
        let opened = Wire::connect(plan.address, plan.secrecy.as_ref()).and_then(|wire| {
            desk.poll.add(&wire, self.number, Interest::ReadAndWrite)?;
            Ok(wire)
        });
        let wire = opened.map_err(|error| Failure::from(&error))?;
        self.interest = Interest::ReadAndWrite;
        self.answered = false;
        self.state = State::Opening(wire, desk.clock.now() + plan.timeout.min(CONNECT_TIME));
        Ok(())
    }

    /// Closes the connection; what is under way over it has failed. `unsent` is told when those were due that had not been sent.
    pub(crate) fn close(&mut self, failure: Failure, desk: &mut Desk, unsent: impl FnMut(Nanos)) {
        let now = desk.clock.now();
        let mut failed = |asked| desk.done.push(Done { asked, at: now, result: Err(failure.into()) });
        match &mut self.state {
            State::Up(Talk::Http(talk)) => talk.abandon().into_iter().for_each(failed),
            State::Up(Talk::Grpc(talk)) => talk.abandon(&mut failed, unsent),
            State::Down(_) | State::Opening(..) => {}
        }
        self.state = State::Down(now + REST);
    }

    /// Goes on where the network lets it; true when the connection has come up.
    pub(crate) fn turn(&mut self, ready: Ready, plan: &Plan, desk: &mut Desk) -> Result<bool, Lost> {
        match &mut self.state {
            State::Down(_) => Ok(false),
            State::Opening(wire, _) => {
                wire.ready(ready.readable, ready.writable);
                self.rise(plan, desk)
            }
            State::Up(Talk::Http(talk)) => {
                talk.turn(ready.readable, ready.writable, desk)?;
                self.watch(desk).map(|()| false)
            }
            State::Up(Talk::Grpc(talk)) => {
                talk.ready(ready.readable, ready.writable);
                self.settle(plan, desk).map(|()| false)
            }
        }
    }

    /// Sends what was asked and has not been sent.
    pub(crate) fn settle(&mut self, plan: &Plan, desk: &mut Desk) -> Result<(), Lost> {
        if let (State::Up(Talk::Grpc(talk)), Requests::Grpc(calls)) = (&mut self.state, &plan.requests) {
            talk.settle(calls, desk)?;
        }
        self.watch(desk)
    }

    /// Asks a request. False where that happens only with the next `settle`.
    pub(crate) fn ask(&mut self, which: usize, due: Nanos, plan: &Plan, desk: &Desk) -> bool {
        let asked = Asked { due, sent: desk.clock.now() };
        match (&mut self.state, &plan.requests) {
            (State::Up(Talk::Http(talk)), Requests::Http { messages, .. }) => {
                talk.ask(&messages[which], asked);
                !talk.wire().is_blocked()
            }
            (State::Up(Talk::Grpc(talk)), _) => {
                talk.ask(which, asked);
                false
            }
            _ => unreachable!("a link without a place was asked; this is a bug in windlass"),
        }
    }

    /// Gives up requests that were sent by then.
    pub(crate) fn expire(&mut self, by: Nanos, desk: &mut Desk) -> Result<(), Lost> {
        match &mut self.state {
            // Its answer would be taken for the next one's.
            State::Up(Talk::Http(talk)) if talk.since().is_some_and(|sent| sent <= by) => {
                Err(Lost::Because(Failure::TimedOut))
            }
            State::Up(Talk::Grpc(talk)) => {
                talk.expire(by, desk);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn rise(&mut self, plan: &Plan, desk: &mut Desk) -> Result<bool, Lost> {
        let State::Opening(wire, until) = std::mem::replace(&mut self.state, State::Down(0)) else { return Ok(false) };
        let mut wire = wire;
        if !wire.settle().map_err(|error| Lost::Because(Failure::from(&error)))? {
            self.state = State::Opening(wire, until);
            return Ok(false);
        }
        let talk = Talk::new(wire, plan, self.places).map_err(Lost::Because)?;
        self.state = State::Up(talk);
        self.settle(plan, desk).map(|()| true)
    }

    fn watch(&mut self, desk: &Desk) -> Result<(), Lost> {
        if let State::Up(talk) = &self.state {
            let watched = talk.watch(desk, self.number, self.interest);
            self.interest = watched.map_err(|error| Lost::Because(Failure::from(&error)))?;
        }
        Ok(())
    }
}
