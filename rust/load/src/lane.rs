//! One thread's part of a load: it asks when the pace says so, over the links that have room, and counts what comes of it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::asked::{Lost, Nanos};
use crate::failure::Failure;
use crate::link::Link;
use crate::outcome::Outcome;
use crate::pace::Pace;
use crate::plan::Plan;
use crate::poll::Ready;
use crate::tally::Tally;
use crate::worker::Desk;

pub(crate) struct Lane {
    plan: Arc<Plan>,
    links: Vec<Link>,
    /// Links with room, once for each request that they may still carry. They take turns, as independent clients would.
    free: VecDeque<usize>,
    /// Links that were asked and have not sent everything.
    unsettled: Vec<usize>,
    /// When requests were due that were on a connection which did not take them before it ended.
    again: VecDeque<Nanos>,
    pace: Pace,
    tally: Tally,
    /// The request to ask next.
    next: usize,
    under_way: usize,
    phase: Phase,
    /// Why the last attempt to connect failed.
    refused: Failure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Connections are made.
    Opening,
    Asking,
    /// What is under way is waited for.
    Ending,
}

impl Lane {
    /// The part of a load that belongs to one of `parts` threads; `number` is added to the numbers of its links.
    pub(crate) fn new(plan: &Arc<Plan>, part: usize, parts: usize, number: u64) -> Self {
        let places = plan.places.iter().copied().skip(part).step_by(parts);
        let links: Vec<Link> = (number..).zip(places).map(|(number, places)| Link::new(number, places)).collect();
        // Where there is nothing to ask over, nothing is due.
        let pace = if links.is_empty() { Pace::Closed } else { Pace::new(plan.mode, part, parts) };
        Self {
            links,
            free: VecDeque::new(),
            unsettled: Vec::new(),
            again: VecDeque::new(),
            pace,
            tally: Tally::new(plan.mode, plan.length),
            // Threads do not all begin with the same request.
            next: part % parts * plan.requests.count() / parts,
            under_way: 0,
            phase: Phase::Opening,
            refused: Failure::TimedOut,
            plan: Arc::clone(plan),
        }
    }

    /// Whether every link has come up, or could not.
    pub(crate) fn is_settled(&self) -> bool {
        self.links.iter().all(|link| link.is_up() || (link.is_down() && !link.wants_opening(0)))
    }

    /// Begins to ask: the clock now counts from here.
    pub(crate) fn begin(&mut self, desk: &mut Desk) {
        self.phase = Phase::Asking;
        self.look(desk, |link, _| link.is_down());
        self.pump(desk);
    }

    /// When it will ask again, unless an answer comes before.
    pub(crate) fn due(&self) -> Option<Nanos> {
        let next = self.pace.next().filter(|_| self.phase == Phase::Asking && !self.free.is_empty())?;
        Some(next.min(self.plan.length))
    }

    /// When it stops to ask.
    pub(crate) fn end(&self) -> Option<Nanos> {
        (self.phase == Phase::Asking).then_some(self.plan.length)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Ending && self.under_way == 0
    }

    pub(crate) fn finish(self) -> Outcome {
        self.tally.finish()
    }

    /// A link's socket is ready.
    pub(crate) fn turn(&mut self, index: usize, ready: Ready, desk: &mut Desk) {
        let turned = self.links[index].turn(ready, &self.plan, desk);
        if turned == Ok(true) {
            self.tally.connected();
            self.free.extend(std::iter::repeat_n(index, self.links[index].places));
        }
        self.heed(index, turned.map(|_| ()), desk);
        self.pump(desk);
    }

    /// Looks for what has taken too long, and for links that are to be made again.
    pub(crate) fn tick(&mut self, desk: &mut Desk) {
        let now = desk.clock.now();
        for index in 0..self.links.len() {
            let link = &mut self.links[index];
            let checked = match now.checked_sub(self.plan.timeout) {
                _ if link.is_late(now) => Err(Lost::Because(Failure::TimedOut)),
                Some(by) => link.expire(by, desk),
                None => Ok(()),
            };
            self.heed(index, checked, desk);
        }
        self.look(desk, Link::wants_opening);
        self.pump(desk);
    }

    /// Asks whatever is due, as far as there is room.
    pub(crate) fn pump(&mut self, desk: &mut Desk) {
        if self.phase == Phase::Asking {
            let now = desk.clock.now();
            while let Some(due) = self.due_by(now) {
                if let Some(index) = self.free.pop_front() {
                    self.ask(index, due, desk);
                } else if self.pace.next().is_some() && self.links.iter().all(Link::is_down) {
                    self.tally.fail(&self.refused.into(), now, 1);
                } else {
                    break;
                }
                self.pass_on();
            }
            if now >= self.plan.length {
                self.phase = Phase::Ending;
                self.tally.leave(self.pace.left(self.plan.length) + self.again.drain(..).count() as u64);
            }
        }
        while let Some(index) = self.unsettled.pop() {
            let settled = self.links[index].settle(&self.plan, desk);
            self.heed(index, settled, desk);
        }
    }

    /// When the next request was due, if one was by now; one that is due before the end is asked after it, if there is room.
    fn due_by(&self, now: Nanos) -> Option<Nanos> {
        let by = match self.pace.next() {
            None if now >= self.plan.length => return None,
            None => now,
            Some(_) => now.min(self.plan.length - 1),
        };
        self.again.front().copied().or_else(|| self.pace.due(by))
    }

    /// What was due has been asked, or has failed.
    fn pass_on(&mut self) {
        if self.again.pop_front().is_none() {
            self.pace.advance();
        }
    }

    fn ask(&mut self, index: usize, due: Nanos, desk: &Desk) {
        self.under_way += 1;
        if !self.links[index].ask(self.next, due, &self.plan, desk) {
            self.unsettled.push(index);
        }
        self.next += 1;
        if self.next == self.plan.requests.count() {
            self.next = 0;
        }
    }

    /// Counts what is on the desk, and sees to a link that was lost.
    fn heed(&mut self, index: usize, result: Result<(), Lost>, desk: &mut Desk) {
        if let Err(lost) = result {
            self.lose(index, lost, desk);
        }
        let link = &mut self.links[index];
        for done in desk.done.drain(..) {
            self.under_way -= 1;
            if link.is_up() {
                link.answered = true;
                self.free.push_back(index);
            }
            self.tally.count(done);
        }
    }

    /// A connection is over: what was under way fails, and it is made again.
    fn lose(&mut self, index: usize, lost: Lost, desk: &mut Desk) {
        let (link, again) = (&mut self.links[index], &mut self.again);
        let failure = if let Lost::Because(failure) = lost { failure } else { Failure::ClosedEarly };
        let was_opening = !link.is_up();
        // One that never answered is not asked again at once: the next might not either.
        let useful = link.answered || !desk.done.is_empty();
        let before = again.len();
        link.close(failure, desk, |due| again.push_back(due));
        self.under_way -= again.len() - before;
        if self.phase == Phase::Ending {
            self.tally.leave(self.again.drain(..).count() as u64);
        }
        self.free.retain(|free| *free != index);
        self.unsettled.retain(|unsettled| *unsettled != index);
        if was_opening {
            self.refuse(index, failure, desk.clock.now());
        } else if useful && self.phase == Phase::Asking {
            self.open(index, desk);
        }
    }

    fn open(&mut self, index: usize, desk: &mut Desk) {
        if let Err(failure) = self.links[index].open(&self.plan, desk) {
            self.links[index].close(failure, desk, |_| {});
            self.refuse(index, failure, desk.clock.now());
        }
    }

    /// A connection could not be made: each request that would have gone over it has failed, where it has no time of its own.
    fn refuse(&mut self, index: usize, failure: Failure, now: Nanos) {
        self.refused = failure;
        if self.phase == Phase::Asking && self.pace.next().is_none() {
            self.tally.fail(&failure.into(), now, self.links[index].places as u64);
        }
    }

    /// Opens the links that should be.
    pub(crate) fn look(&mut self, desk: &mut Desk, which: impl Fn(&Link, Nanos) -> bool) {
        if self.phase == Phase::Ending {
            return;
        }
        let now = desk.clock.now();
        for index in 0..self.links.len() {
            if which(&self.links[index], now) {
                self.open(index, desk);
            }
        }
    }
}
