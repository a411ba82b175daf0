//! What the GPUs of the machine do, as their driver tells when the page is asked for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::gpu::{Gpus, Reading};
use crate::metrics::head;

/// Reads the GPUs, no more often than it is told to.
#[derive(Debug)]
pub(crate) struct Meters {
    gpus: Arc<dyn Gpus>,
    interval: Duration,
    last: Mutex<Last>,
}

/// What was read last.
#[derive(Debug, Default)]
struct Last {
    at: Option<Instant>,
    readings: Vec<Reading>,
    energy: BTreeMap<String, Energy>,
}

/// What a GPU has used since the server started, and what it told last: it counts from another time.
#[derive(Clone, Copy, Debug)]
struct Energy {
    told: f64,
    used: f64,
}

/// A metric read off a GPU.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: &'static str,
    value: fn(&Reading) -> Option<f64>,
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "nv_gpu_utilization",
        help: "GPU utilization rate [0.0 - 1.0)",
        kind: "gauge",
        value: |reading| reading.utilization,
    },
    Row {
        name: "nv_gpu_memory_total_bytes",
        help: "GPU total memory, in bytes",
        kind: "gauge",
        value: |reading| reading.memory_total_bytes.map(|bytes| bytes as f64),
    },
    Row {
        name: "nv_gpu_memory_used_bytes",
        help: "GPU used memory, in bytes",
        kind: "gauge",
        value: |reading| reading.memory_used_bytes.map(|bytes| bytes as f64),
    },
    Row {
        name: "nv_gpu_power_usage",
        help: "GPU power usage in watts",
        kind: "gauge",
        value: |reading| reading.power_watts,
    },
    Row {
        name: "nv_gpu_power_limit",
        help: "GPU power management limit in watts",
        kind: "gauge",
        value: |reading| reading.power_limit_watts,
    },
    Row {
        name: "nv_energy_consumption",
        help: "GPU energy consumption in joules since the server started",
        kind: "counter",
        value: |reading| reading.energy_joules,
    },
];

impl Meters {
    pub(crate) fn new(gpus: Arc<dyn Gpus>, interval: Duration) -> Self {
        Self { gpus, interval, last: Mutex::default() }
    }

    /// What they do, with the energy that they used since this was first asked.
    pub(crate) fn readings(&self) -> Vec<Reading> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.is_none_or(|at| at.elapsed() >= self.interval) {
            let Last { at, readings, energy } = &mut *last;
            *readings = self.gpus.readings();
            for reading in readings {
                reading.energy_joules = reading.energy_joules.map(|told| used(energy, &reading.uuid, told));
            }
            *at = Some(Instant::now());
        }
        last.readings.clone()
    }

    pub(super) fn write(&self, page: &mut String) {
        let readings = self.readings();
        for Row { name, help, kind, value } in ROWS {
            let told: Vec<_> = readings.iter().filter_map(|one| Some((&one.uuid, value(one)?))).collect();
            if !told.is_empty() {
                head(page, name, help, kind);
            }
            for (uuid, value) in told {
                let _ = writeln!(page, "{name}{{gpu_uuid=\"{uuid}\"}} {value}");
            }
        }
    }
}

/// Adds up what a GPU used. One that counts less than before began anew: its driver was loaded again.
fn used(energy: &mut BTreeMap<String, Energy>, uuid: &str, told: f64) -> f64 {
    let known = energy.entry(uuid.to_owned()).or_insert(Energy { told, used: 0.0 });
    known.used += if told < known.told { told } else { told - known.told };
    known.told = told;
    known.used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_counts_from_the_start_and_never_falls() {
        let mut energy = BTreeMap::new();
        let found = [7000.0, 7010.5, 7010.5, 2.0, 5.0].map(|told| used(&mut energy, "GPU-1", told));
        let other = used(&mut energy, "GPU-2", 1.0);
        assert_eq!(format!("{found:?} {other}"), "[0.0, 10.5, 10.5, 12.5, 15.5] 0");
    }
}
