//! The GPUs of this machine, driven through the libraries of their driver. These are looked for when they are first needed, so the same
//! program serves where there are none.
//!
//! `driver` is what the data plane sees; `cuda` calls the CUDA driver: memory that other processes lend; `meter` calls
//! NVML: what GPUs do.
#![deny(unsafe_code)] // allowed in `cuda`, where foreign functions are called, and nowhere else

mod cuda;
mod driver;
mod meter;

pub use driver::{Driver, Tell};
