//! What the machine is doing: processors and memory, read off the kernel when the page is asked for.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Reads the machine, no more often than it is told to.
#[derive(Debug)]
pub(crate) struct Machine {
    interval: Duration,
    last: Mutex<Reading>,
}

/// What was read last.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    ticks: Ticks,
    load: Load,
}

/// How busy the machine is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Load {
    /// Between the last two readings, of all processors: 0 to 1.
    pub(crate) utilization: f64,
    pub(crate) memory_total_bytes: f64,
    pub(crate) memory_used_bytes: f64,
}

/// Time since the machine started, in ticks of all processors together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks {
    all: u64,
    idle: u64,
}

impl Machine {
    pub(crate) fn new(interval: Duration) -> Self {
        let reading = Reading { at: Instant::now(), ticks: ticks(), load: memory() };
        Self { interval, last: Mutex::new(reading) }
    }

    pub(crate) fn load(&self) -> Load {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.elapsed() >= self.interval {
            let ticks = ticks();
            let utilization = ticks.busy_since(last.ticks);
            *last = Reading { at: Instant::now(), ticks, load: Load { utilization, ..memory() } };
        }
        last.load
    }
}

impl Ticks {
    fn busy_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        let idle = self.idle.saturating_sub(before.idle).min(all);
        if all == 0 { 0.0 } else { (all - idle) as f64 / all as f64 }
    }
}

fn ticks() -> Ticks {
    parse_ticks(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

/// The first line: user, nice, system, idle, waiting for disks, ..., of which guests are counted twice.
fn parse_ticks(text: &str) -> Ticks {
    let line = text.lines().next().unwrap_or_default();
    let columns: Vec<u64> = line.split_whitespace().skip(1).filter_map(|column| column.parse().ok()).take(8).collect();
    let idle = columns.get(3).copied().unwrap_or_default() + columns.get(4).copied().unwrap_or_default();
    Ticks { all: columns.iter().sum(), idle }
}

fn memory() -> Load {
    parse_memory(&fs::read_to_string("/proc/meminfo").unwrap_or_default())
}

fn parse_memory(text: &str) -> Load {
    let row = |name: &str| {
        let row = text.lines().find_map(|line| line.strip_prefix(name))?;
        row.split_whitespace().next()?.parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
    };
    let total = row("MemTotal:").unwrap_or_default();
    let available = row("MemAvailable:").unwrap_or_default();
    Load { utilization: 0.0, memory_total_bytes: total, memory_used_bytes: (total - available).max(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_busy_when_they_are_not_idle() {
        let before = parse_ticks("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3");
        assert_eq!(before, Ticks { all: 1000, idle: 800 });
        let after = parse_ticks("cpu  175 0 100 725 100 0 0 0 0 0");
        assert!((after.busy_since(before) - 0.75).abs() < 1e-9);
        assert!(after.busy_since(after).abs() < 1e-9);
        assert_eq!(parse_ticks(""), Ticks::default());
    }

    #[test]
    fn memory_that_is_not_available_is_used() {
        let load = parse_memory("MemTotal:       4 kB\nMemFree: 0 kB\nMemAvailable:   1 kB\n");
        assert_eq!((load.memory_total_bytes, load.memory_used_bytes), (4096.0, 3072.0));
        assert_eq!(parse_memory(""), Load::default());
    }
}
