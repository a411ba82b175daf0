//! Binds the data plane to Python. Nothing is decided here: `plane` hands calls through, `instance` lets Python objects execute
//! batches, `tensor` turns tensors into numpy arrays and back, `error` turns exceptions into errors.

mod control;
mod error;
mod instance;
mod plane;
mod request;
mod tensor;

use pyo3::prelude::*;

/// Keeps big buffers mapped between requests: fresh pages for every image cost as much as copying it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
mod _plane {
    #[pymodule_export]
    use super::plane::{PyPlane, metric_catalogue};
    #[pymodule_export]
    use super::request::PyRequest;
}
