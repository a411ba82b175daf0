//! A thread that makes load: its event loop.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use rustix::event::epoll::Event;
use rustix::time::ClockId;

use crate::asked::{Done, Nanos};
use crate::lane::Lane;
use crate::link::Link;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::poll::{Poll, ready};

/// How often it looks for what has taken too long, and whether it should stop.
const TICK: Nanos = 10_000_000;
/// How long connections are waited for before the first request.
const OPENING_TIME: Nanos = 5_000_000_000;
const BUFFER_BYTES: usize = 64 * 1024;

/// What the links of a thread share.
pub(crate) struct Desk {
    pub(crate) poll: Poll,
    pub(crate) clock: Clock,
    /// What is read goes here first.
    pub(crate) buffer: Box<[u8]>,
    /// Requests that are no longer under way, until they are counted.
    pub(crate) done: Vec<Done>,
}

/// Nanoseconds from a moment on.
#[derive(Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn now(&self) -> Nanos {
        self.0.elapsed().as_nanos() as Nanos
    }
}

/// Its part of every load.
struct Worker<'a> {
    lanes: Vec<Lane>,
    desk: Desk,
    stop: &'a AtomicBool,
}

/// Connects, waits for the others, asks until all is over; returns what came of each load, and the processor time it took.
pub(crate) fn work(
    plans: &[Arc<Plan>],
    index: usize,
    count: usize,
    start: &Barrier,
    stop: &AtomicBool,
) -> io::Result<(Vec<Outcome>, Duration)> {
    let opened = Worker::open(plans, index, count, stop);
    // One that has failed is waited for all the same.
    start.wait();
    let mut worker = opened?;
    let before = cpu_time();
    worker.desk.clock = Clock(Instant::now());
    worker.ask()?;
    Ok((worker.lanes.into_iter().map(Lane::finish).collect(), cpu_time().saturating_sub(before)))
}

impl<'a> Worker<'a> {
    fn open(plans: &[Arc<Plan>], index: usize, count: usize, stop: &'a AtomicBool) -> io::Result<Self> {
        let desk = Desk {
            poll: Poll::new()?,
            clock: Clock(Instant::now()),
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            done: Vec::new(),
        };
        let lane = |(number, plan): (u64, &Arc<Plan>)| {
            // A load with fewer connections than threads is not everybody's.
            Lane::new(plan, index, count.min(plan.places.len()), number << 32)
        };
        let mut worker = Self { lanes: (0..).zip(plans).map(lane).collect(), desk, stop };
        worker.connect()?;
        Ok(worker)
    }

    fn connect(&mut self) -> io::Result<()> {
        let mut events = Vec::new();
        for lane in &mut self.lanes {
            lane.look(&mut self.desk, Link::wants_opening);
        }
        while !self.lanes.iter().all(Lane::is_settled) && !self.is_stopped() {
            let now = self.desk.clock.now();
            if now >= OPENING_TIME {
                break;
            }
            self.wait(now, None, now + TICK, &mut events)?;
        }
        Ok(())
    }

    fn ask(&mut self) -> io::Result<()> {
        let (mut events, mut tick) = (Vec::new(), TICK);
        for lane in &mut self.lanes {
            lane.begin(&mut self.desk);
        }
        while !self.lanes.iter().all(Lane::is_over) && !self.is_stopped() {
            let now = self.desk.clock.now();
            if now >= tick {
                tick = now + TICK;
                for lane in &mut self.lanes {
                    lane.tick(&mut self.desk);
                }
            }
            let due = self.lanes.iter().filter_map(Lane::due).min();
            let end = self.lanes.iter().filter_map(Lane::end).min();
            self.wait(now, due, end.map_or(tick, |end| end.min(tick)), &mut events)?;
            for lane in &mut self.lanes {
                lane.pump(&mut self.desk);
            }
        }
        Ok(())
    }

    /// Waits, and has the links go on that can.
    fn wait(&mut self, now: Nanos, due: Option<Nanos>, latest: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        self.desk.poll.wait(now, due, latest, events)?;
        for ready in events.iter().filter_map(ready) {
            let lane = &mut self.lanes[(ready.number >> 32) as usize];
            lane.turn(ready.number as u32 as usize, ready, &mut self.desk);
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Of the calling thread.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
