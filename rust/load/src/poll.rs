//! Waits for the network and for the clock. Sockets are told of as long as there is something to do, so that nothing has to be remembered.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use crate::asked::Nanos;

/// What is told of at one stroke, at most.
const EVENTS: usize = 1024;
/// The clock's own number.
const CLOCK: u64 = u64::MAX;
/// Who has so little time does not sleep.
const SHORT: Nanos = 5_000;

/// What a socket waits for besides something to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    ReadAndWrite,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::ReadAndWrite => EventFlags::IN | EventFlags::OUT,
        }
    }
}

/// What a socket is ready for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// The number it was added with.
    pub(crate) number: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// The kernel's list of sockets.
#[derive(Debug)]
pub(crate) struct Poll {
    epoll: OwnedFd,
    /// Where a millisecond is too coarse.
    clock: OwnedFd,
    /// When that rings.
    set: Option<Nanos>,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let clock = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // Told of once each time it rings: it need not be read.
        epoll::add(&epoll, &clock, EventData::new_u64(CLOCK), EventFlags::IN | EventFlags::ET)?;
        Ok(Self { epoll, clock, set: None })
    }

    pub(crate) fn add(&self, socket: &impl AsFd, number: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(number), interest.flags())?)
    }

    pub(crate) fn change(&self, socket: &impl AsFd, number: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(number), interest.flags())?)
    }

    /// Waits until a socket is ready, `due` comes, to the microsecond, or `latest`, to the millisecond.
    pub(crate) fn wait(
        &mut self,
        now: Nanos,
        due: Option<Nanos>,
        latest: Nanos,
        found: &mut Vec<Event>,
    ) -> io::Result<()> {
        let mut left = latest.saturating_sub(now);
        if let Some(due) = due.filter(|due| *due < latest) {
            if due <= now + SHORT {
                left = 0;
            } else if self.set != Some(due) {
                self.ring(due - now)?;
                self.set = Some(due);
            }
        }
        found.clear();
        found.reserve(EVENTS);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(found), Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn ring(&self, after: Nanos) -> io::Result<()> {
        let times = Itimerspec { it_interval: timespec(0), it_value: timespec(after.max(1)) };
        rustix::time::timerfd_settime(&self.clock, TimerfdTimerFlags::empty(), &times)?;
        Ok(())
    }
}

/// What an event says, unless it is the clock's.
pub(crate) fn ready(event: &Event) -> Option<Ready> {
    let (number, flags) = (event.data.u64(), event.flags);
    // An end or an error is found by whoever reads.
    let readable = flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR);
    (number != CLOCK).then_some(Ready { number, readable, writable: flags.contains(EventFlags::OUT) })
}

fn timespec(nanos: Nanos) -> Timespec {
    Timespec { tv_sec: (nanos / 1_000_000_000) as i64, tv_nsec: (nanos % 1_000_000_000) as i64 }
}
