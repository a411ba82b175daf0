//! The threads of one reactor: one leads its event loop, one stands by.
//!
//! A quick model is executed by the leading thread itself, outside the event loop. While it does so it leaves the seat on offer. Should the
//! model turn out to hang, the thread standing by takes the seat and the network goes on; the former leader brings its answers when it
//! returns, and stands by in its turn. So a model can be slow, but it cannot make the server deaf.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::reactor::{Reactor, Seat, deliver};

/// How long a seat may be on offer before it is taken.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long the thread standing by watches after the last offer before it sleeps until it is called.
const ATTENTION: Duration = Duration::from_secs(1);

/// A reactor with its runtime and threads.
pub(crate) struct Crew {
    pub(crate) reactor: Arc<Reactor>,
    inner: Arc<Inner>,
    threads: Vec<JoinHandle<()>>,
}

struct Inner {
    name: String,
    reactor: Arc<Reactor>,
    /// There until this is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
    offer: Mutex<Offer>,
}

/// Whatever still blocks a thread of the runtime, such as a model that is being loaded, is not waited for.
impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Default)]
struct Offer {
    seat: Option<Seat>,
    since: Option<Instant>,
    /// The thread standing by, when it sleeps and wants to be called at the next offer.
    sleeper: Option<Thread>,
    /// Whether any thread stands by.
    attended: bool,
    closed: bool,
}

impl Crew {
    /// Starts the threads of a reactor. The one that leads looks for `vigil` before it sleeps.
    pub(crate) fn start(reactor: Arc<Reactor>, name: &str, vigil: Duration) -> io::Result<Self> {
        // The event loop looks at the network after so many tasks at the latest; until then, what arrived together is queued together.
        let runtime = Builder::new_current_thread().enable_all().event_interval(256).build()?;
        let inner = Arc::new(Inner {
            name: name.to_owned(),
            reactor: Arc::clone(&reactor),
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
            offer: Mutex::default(),
        });
        let leader = inner.spawn(move |inner| inner.lead(Seat::watching(vigil)))?;
        let standby = inner.spawn(Inner::stand_by)?;
        Ok(Self { reactor, inner, threads: vec![leader, standby] })
    }

    /// The runtime, to start tasks on.
    pub(crate) fn handle(&self) -> &Handle {
        &self.inner.handle
    }

    /// Ends the event loop and its tasks. A thread that hangs in a model is left behind.
    pub(crate) fn close(self) {
        self.reactor.close();
        let sleeper = {
            let mut offer = self.inner.lock();
            offer.closed = true;
            offer.sleeper.take()
        };
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }
        let patience = Instant::now() + Duration::from_secs(1);
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < patience {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
    }
}

impl Inner {
    fn spawn(self: &Arc<Self>, role: impl FnOnce(&Arc<Self>) + Send + 'static) -> io::Result<JoinHandle<()>> {
        let inner = Arc::clone(self);
        thread::Builder::new().name(self.name.clone()).spawn(move || role(&inner))
    }

    fn lead(self: &Arc<Self>, mut seat: Seat) {
        let Some(runtime) = &self.runtime else { return };
        while let Some(run) = runtime.block_on(self.reactor.next(&mut seat)) {
            let scheduler = Arc::clone(&run.scheduler);
            self.put_on_offer(mem::take(&mut seat));
            let (deliveries, turn) = run.execute();
            if let Some(mine) = self.take_back() {
                seat = mine;
                seat.deliveries = deliveries;
                seat.obey(scheduler, turn);
            } else {
                deliver(deliveries);
                self.reactor.follow(&scheduler, turn);
                return self.stand_by();
            }
        }
    }

    /// Watches the seat, and leads when it is left on offer for too long. One thread stands by at a time.
    fn stand_by(self: &Arc<Self>) {
        if mem::replace(&mut self.lock().attended, true) {
            return;
        }
        let mut last_offer = Instant::now();
        loop {
            let mut offer = self.lock();
            if offer.closed {
                return;
            }
            match offer.since {
                Some(since) if offer.seat.is_some() => {
                    last_offer = Instant::now();
                    if since.elapsed() >= PATIENCE {
                        let Some(seat) = offer.seat.take() else { continue };
                        offer.attended = false;
                        drop(offer);
                        // Whoever leads is watched. Without a further thread the network goes on all the same, only unwatched.
                        let _ = self.spawn(Inner::stand_by);
                        return self.lead(seat);
                    }
                }
                Some(since) => last_offer = last_offer.max(since),
                None => {}
            }
            if last_offer.elapsed() < ATTENTION {
                drop(offer);
                thread::park_timeout(PATIENCE / 2);
            } else {
                offer.sleeper = Some(thread::current());
                drop(offer);
                thread::park();
            }
        }
    }

    fn put_on_offer(&self, seat: Seat) {
        let mut offer = self.lock();
        offer.seat = Some(seat);
        offer.since = Some(Instant::now());
        if let Some(sleeper) = offer.sleeper.take() {
            sleeper.unpark();
        }
    }

    fn take_back(&self) -> Option<Seat> {
        self.lock().seat.take()
    }

    fn lock(&self) -> MutexGuard<'_, Offer> {
        self.offer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
