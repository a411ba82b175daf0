//! What GPUs do, as NVML (`libnvidia-ml.so.1`) tells.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use windlass_core::control::Level;
use windlass_core::gpu::Reading;

use crate::driver::Tell;

/// The library, and what it did not tell.
pub(crate) struct Meter {
    nvml: Nvml,
    /// What the log knows already: the GPU and the question.
    silent: Mutex<BTreeSet<(u32, &'static str)>>,
}

impl Meter {
    /// Finds the library.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn open() -> Result<Self, NvmlError> {
        Ok(Self { nvml: Nvml::init()?, silent: Mutex::default() })
    }

    /// Asks all GPUs. What one does not tell is missing, and told once.
    pub(crate) fn readings(&self, tell: &Tell) -> Vec<Reading> {
        let count = self.nvml.device_count().unwrap_or(0);
        (0..count).filter_map(|index| self.reading(index, tell)).collect()
    }

    fn reading(&self, index: u32, tell: &Tell) -> Option<Reading> {
        let known = |what, error: NvmlError| self.note(index, what, &error, tell);
        let device = self.nvml.device_by_index(index).map_err(|error| known("anything", error)).ok()?;
        let uuid = device.uuid().map_err(|error| known("its name", error)).ok()?;
        let memory = device.memory_info().map_err(|error| known("its memory", error)).ok();
        let utilization = device.utilization_rates().map_err(|error| known("its utilization", error)).ok();
        let power = device.power_usage().map_err(|error| known("its power", error)).ok();
        let limit = device.power_management_limit().map_err(|error| known("its power limit", error)).ok();
        let energy = device.total_energy_consumption().map_err(|error| known("its energy", error)).ok();
        Some(Reading {
            uuid,
            utilization: utilization.map(|rates| f64::from(rates.gpu) / 100.0),
            memory_total_bytes: memory.as_ref().map(|memory| memory.total),
            memory_used_bytes: memory.as_ref().map(|memory| memory.used),
            power_watts: power.map(|milliwatts| f64::from(milliwatts) / 1000.0),
            power_limit_watts: limit.map(|milliwatts| f64::from(milliwatts) / 1000.0),
            energy_joules: energy.map(|millijoules| millijoules as f64 / 1000.0),
        })
    }

    /// A question that a GPU is not made to answer is worth knowing; one that it fails is worth a look.
    fn note(&self, index: u32, what: &'static str, error: &NvmlError, tell: &Tell) {
        if self.silent.lock().unwrap_or_else(PoisonError::into_inner).insert((index, what)) {
            let level = if matches!(error, NvmlError::NotSupported) { Level::Info } else { Level::Warning };
            tell(level, &format!("GPU {index} does not tell {what}: {error}"));
        }
    }
}
