//! Several loads at once, on one thread or more.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Barrier};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::load::Load;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::worker::work;

/// Asks as all the loads say, at the same time; returns what came of each, in their order. Ends within a hundredth of a second once `stop` is
/// set, with what came until then.
///
/// # Errors
/// A load that makes no sense, a name that is not known, or a machine that has no more threads or files.
pub fn run(loads: &[Load], threads: usize, stop: &AtomicBool) -> Result<Vec<Outcome>> {
    if loads.is_empty() || threads == 0 {
        return Err(Error::new("at least one load and one thread are needed"));
    }
    let plans = loads.iter().map(|load| Plan::new(load).map(Arc::new)).collect::<Result<Vec<_>>>()?;
    let most = plans.iter().map(|plan| plan.places.len()).max().unwrap_or(1);
    let parts = on_threads(&plans, threads.min(most), stop).map_err(|error| Error::new(format!("no load: {error}")))?;
    Ok(joined(loads, parts))
}

type Part = (Vec<Outcome>, Duration);

fn on_threads(plans: &[Arc<Plan>], count: usize, stop: &AtomicBool) -> io::Result<Vec<Part>> {
    let start = Barrier::new(count);
    thread::scope(|scope| {
        let spawned: Vec<ScopedJoinHandle<'_, _>> = (0..count)
            .map(|index| {
                scope.spawn({
                    let start = &start;
                    move || work(plans, index, count, start, stop)
                })
            })
            .collect();
        spawned
            .into_iter()
            .map(|thread| thread.join().expect("a thread that makes load panicked; this is a bug in windlass"))
            .collect()
    })
}

fn joined(loads: &[Load], parts: Vec<Part>) -> Vec<Outcome> {
    let mut whole: Vec<Outcome> =
        loads.iter().map(|load| Outcome { length: load.length, ..Outcome::default() }).collect();
    let mut cpu = Duration::ZERO;
    for (outcomes, spent) in parts {
        cpu += spent;
        whole.iter_mut().zip(outcomes).for_each(|(sum, part)| sum.add(part));
    }
    for outcome in &mut whole {
        outcome.cpu = cpu;
    }
    whole
}
