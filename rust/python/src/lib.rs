//! Binds the data plane to Python. Nothing is decided here: `plane` hands calls through, `instance` lets Python objects execute
//! batches of `request`s on threads with a place in the `interpreter`, answered at once (`answers`) or through a `responder`; `host` lets them ask the server. `tensor` turns tensors
//! into numpy arrays and back, `parameters` parameters into dictionaries, `error` exceptions into errors, `observe` texts of the
//! command line into settings. `version` is a version before it is served, `process` a model's own process as its server sees it, `worker`
//! as it sees itself. `load` is the load generator, which has nothing to do with the rest.

mod answers;
mod control;
mod error;
mod grpc;
mod host;
mod instance;
mod interpreter;
mod load;
mod observe;
mod parameters;
mod plane;
mod process;
mod request;
mod responder;
mod tensor;
mod version;
mod worker;

use pyo3::prelude::*;

/// Keeps big buffers mapped between requests: fresh pages for every image cost as much as copying it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
mod _plane {
    #[pymodule_export]
    use super::host::{PyHost, PyReplies};
    #[pymodule_export]
    use super::load::PyLoadGenerator;
    #[pymodule_export]
    use super::plane::{PyPlane, metric_catalogue};
    #[pymodule_export]
    use super::process::PyProcess;
    #[pymodule_export]
    use super::request::PyRequest;
    #[pymodule_export]
    use super::responder::PyResponder;
    #[pymodule_export]
    use super::version::PyVersion;
    #[pymodule_export]
    use super::worker::PyChannel;
}
