//! One network thread's share of the work: connections live on it, quick models are executed on it.
//!
//! `Reactor` is what others hold: a mailbox and a bell. `Seat` is what the thread that leads it owns. Whoever has the seat runs the event
//! loop; `crew` tells how the seat changes hands when a model takes longer than anybody expected.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as WallClock};

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use crate::error::Result;
use crate::reply::Reply;
use crate::request::Response;
use crate::scheduler::{Scheduler, Turn};
use crate::vigil::{Labour, Vigil};
use crate::worker::Run;

/// How long quick batches may follow one another before the network is looked at. Work that never ends, such as a model that asks to be
/// called again and again, would else keep everybody waiting, those among them to whom it answers.
const AT_A_STRETCH: Duration = Duration::from_micros(500);

/// The handle of one network thread.
#[derive(Default)]
pub struct Reactor {
    mailbox: Mutex<Mailbox>,
    bell: Notify,
    /// What the instances of its server are busy with.
    pub(crate) labour: Labour,
}

#[derive(Default)]
struct Mailbox {
    /// Schedulers to call at the end of this tick.
    noted: Vec<Arc<Scheduler>>,
    /// Schedulers to call later.
    alarms: Vec<Alarm>,
    /// Answers from instances' threads.
    deliveries: Vec<Delivery>,
    /// How many were answered without an execution.
    answered: usize,
    closing: bool,
}

/// An answer on its way to the connection that waits for it.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Where the connection lives.
    pub(crate) reactor: Arc<Reactor>,
    pub(crate) reply: Reply,
    pub(crate) answer: Result<Response>,
}

/// What the leading thread owns.
#[derive(Default)]
pub(crate) struct Seat {
    alarms: BinaryHeap<Reverse<Alarm>>,
    /// Quick batches to execute on this thread.
    runs: VecDeque<Box<Run>>,
    /// Answers of the batch just executed.
    pub(crate) deliveries: Vec<Delivery>,
    /// When the network was last looked at, since when batches have followed one another.
    looked: Option<WallClock>,
    vigil: Vigil,
    /// Whether slow batches stay here as well.
    keeps_all: bool,
}

struct Alarm {
    at: Instant,
    scheduler: Arc<Scheduler>,
}

impl Reactor {
    /// Another one of the same server.
    pub(crate) fn beside(&self) -> Self {
        Self { labour: self.labour.clone(), ..Self::default() }
    }

    /// Has the scheduler called at the end of this tick, when everything that arrived together is in its queue.
    pub(crate) fn note(&self, scheduler: &Arc<Scheduler>) {
        if scheduler.note() {
            self.lock().noted.push(Arc::clone(scheduler));
            self.bell.notify_one();
        }
    }

    /// Counts an answer that needed no execution, so that the next request may be looked for as after any other.
    pub(crate) fn answered(&self) {
        self.lock().answered += 1;
        self.bell.notify_one();
    }

    /// Does what an execution asks for next, on another thread than the leading one.
    pub(crate) fn follow(&self, scheduler: &Arc<Scheduler>, turn: Turn) {
        match turn {
            Turn::Rest => {}
            Turn::Run(run) => run.hand_over(),
            Turn::Wait(at) => {
                self.lock().alarms.push(Alarm { at, scheduler: Arc::clone(scheduler) });
                self.bell.notify_one();
            }
        }
    }

    /// Ends `next` for good.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.bell.notify_one();
    }

    /// Sees to answers, schedulers and alarms until there is a quick batch to execute; `None` when the reactor is closed.
    pub(crate) async fn next(&self, seat: &mut Seat) -> Option<Box<Run>> {
        loop {
            let mail = mem::take(&mut *self.lock());
            if mail.closing {
                self.lock().closing = true;
                return None;
            }
            seat.vigil.answered(seat.deliveries.len() + mail.deliveries.len() + mail.answered);
            for delivery in seat.deliveries.drain(..).chain(mail.deliveries) {
                delivery.reply.send(delivery.answer);
            }
            seat.alarms.extend(mail.alarms.into_iter().map(Reverse));
            let now = Instant::now();
            for scheduler in mail.noted {
                seat.call(scheduler, now);
            }
            while seat.alarms.peek().is_some_and(|alarm| alarm.0.at <= now) {
                if let Some(Reverse(alarm)) = seat.alarms.pop() {
                    seat.call(alarm.scheduler, now);
                }
            }
            if seat.looked.is_some_and(|looked| looked.elapsed() >= AT_A_STRETCH) {
                seat.looked = None;
                yield_now().await;
                continue;
            }
            if let Some(run) = seat.runs.pop_front() {
                seat.looked.get_or_insert_with(WallClock::now);
                return Some(run);
            }
            seat.looked = None;
            self.rest(seat).await;
        }
    }

    /// Waits until there may be something to see to.
    async fn rest(&self, seat: &mut Seat) {
        if let Some(look) = seat.vigil.begin(&self.labour) {
            let until = WallClock::now() + look.length;
            while WallClock::now() < until {
                // The event loop looks at the network, and comes back at once.
                yield_now().await;
                if self.has_mail() || seat.alarms.peek().is_some_and(|alarm| alarm.0.at <= Instant::now()) {
                    return seat.vigil.found();
                }
            }
            seat.vigil.missed();
        }
        let began = seat.vigil.is_kept().then(WallClock::now);
        match seat.alarms.peek() {
            None => self.bell.notified().await,
            Some(Reverse(alarm)) => tokio::select! {
                () = self.bell.notified() => {}
                () = sleep_until(alarm.at) => {}
            },
        }
        if let Some(began) = began {
            seat.vigil.slept(began.elapsed());
        }
    }

    fn has_mail(&self) -> bool {
        let mail = self.lock();
        let is_empty = mail.noted.is_empty() && mail.deliveries.is_empty() && mail.alarms.is_empty();
        mail.closing || mail.answered > 0 || !is_empty
    }

    /// Leads the reactor inside the runtime of the caller and executes every batch of this process there: for warming up, and for tests
    /// that own the clock.
    pub async fn drive(&self) {
        let mut seat = Seat { keeps_all: true, ..Seat::default() };
        while let Some(run) = self.next(&mut seat).await {
            let scheduler = Arc::clone(&run.scheduler);
            let (deliveries, turn) = run.execute();
            seat.deliveries.extend(deliveries);
            seat.obey(scheduler, turn);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings answers to their connections from another thread: one wake-up for each reactor, not for each answer.
pub(crate) fn deliver(deliveries: Vec<Delivery>) {
    let mut rest = deliveries.into_iter().peekable();
    while let Some(first) = rest.next() {
        let reactor = Arc::clone(&first.reactor);
        {
            let mut mailbox = reactor.lock();
            mailbox.deliveries.push(first);
            while let Some(delivery) = rest.next_if(|delivery| Arc::ptr_eq(&delivery.reactor, &reactor)) {
                mailbox.deliveries.push(delivery);
            }
        }
        reactor.bell.notify_one();
    }
}

impl Seat {
    /// That of a thread which keeps looking for so long before it sleeps.
    pub(crate) fn watching(length: Duration) -> Self {
        Self { vigil: Vigil::new(length), ..Self::default() }
    }

    fn call(&mut self, scheduler: Arc<Scheduler>, now: Instant) {
        // An idle instance beside the one just given work may take a batch too: ask until there is nothing to give.
        loop {
            match scheduler.turn(now) {
                Turn::Run(run) => self.start(run),
                Turn::Wait(at) => return self.alarms.push(Reverse(Alarm { at, scheduler })),
                Turn::Rest => return,
            }
        }
    }

    /// Does what an execution on this thread asks for next.
    pub(crate) fn obey(&mut self, scheduler: Arc<Scheduler>, turn: Turn) {
        match turn {
            Turn::Run(run) => self.start(run),
            Turn::Wait(at) => self.alarms.push(Reverse(Alarm { at, scheduler })),
            Turn::Rest => {}
        }
    }

    fn start(&mut self, run: Box<Run>) {
        if run.is_quick() || (self.keeps_all && run.is_local()) { self.runs.push_back(run) } else { run.hand_over() }
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reactor")
    }
}
