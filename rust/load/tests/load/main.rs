//! Loads on real servers that do what servers should not.

mod calls;
mod failures;
mod grpc_server;
mod http_server;
mod loops;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use windlass_load::{Load, Mode, Outcome, Request, run};

/// A load of one request for so many milliseconds.
fn load(url: &str, mode: Mode, millis: u64) -> Load {
    let request = Request { body: Bytes::from_static(b"question"), headers: Vec::new() };
    Load::new(url, vec![request], mode, Duration::from_millis(millis))
}

fn closed(concurrency: usize) -> Mode {
    Mode::Closed { concurrency }
}

/// What came of a load.
fn outcome(load: Load) -> Outcome {
    outcomes(&[load], 1).remove(0)
}

fn outcomes(loads: &[Load], threads: usize) -> Vec<Outcome> {
    run(loads, threads, &AtomicBool::new(false)).expect("loads that make sense")
}

/// Failures as a user reads them.
fn reasons(outcome: &Outcome) -> Vec<String> {
    outcome.failures.keys().map(ToString::to_string).collect()
}
