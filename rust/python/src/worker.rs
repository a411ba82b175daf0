//! `windlass._plane.serve_instance`: the life of a model's own process, from its start to the end of the conversation with its server.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use windlass_core::error::Result;
use windlass_core::isolated::channel::{Channel, Work};
use windlass_core::isolated::server::Server;
use windlass_core::spec::Spec;

use crate::error::from_exception;
use crate::host::PyHost;
use crate::instance::PythonInstance;

/// The way to the server, for what a process has to say unasked.
#[pyclass(name = "Channel", module = "windlass._plane", frozen)]
pub(crate) struct PyChannel(Arc<Channel>);

#[pymethods]
impl PyChannel {
    /// Takes up the conversation over standard input, which the process must not read any more.
    #[new]
    fn new() -> PyResult<Self> {
        let socket: OwnedFd = std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned()?;
        Channel::open(socket).map(Self).map_err(|error| PyOSError::new_err(error.to_string()))
    }

    /// The server, as the model's code sees it.
    fn host(&self) -> PyHost {
        PyHost::new(Arc::new(Server(Arc::clone(&self.0))))
    }

    /// Writes a line into the server's log.
    fn log(&self, py: Python<'_>, level: &str, text: &str) {
        py.detach(|| self.0.log(level, text));
    }

    /// Serves until the server ends the conversation. `worker.call(method, argument)` does what the server asks for and returns bytes; once
    /// `worker.started` is a tuple of an instance, a version, and a configuration as bytes and as JSON, batches are given to that instance.
    fn serve(&self, py: Python<'_>, worker: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut instance = None;
        while let Some(work) = py.detach(|| self.0.next()) {
            match work {
                Work::Call { key, method, argument } => {
                    let answer = call(worker, &method, &argument).map_err(|error| from_exception(py, &error));
                    if answer.is_ok() && instance.is_none() {
                        instance = started(worker)?;
                    }
                    py.detach(|| self.0.return_value(key, answer));
                }
                Work::Batch(mut errands) => {
                    let Some(instance) = &instance else { continue };
                    py.detach(|| {
                        let execution = PythonInstance::run(instance, &mut errands);
                        self.0.done(&errands, &execution);
                        drop(errands);
                    });
                }
            }
        }
        worker.call_method0("close").map(drop)
    }
}

fn call(worker: &Bound<'_, PyAny>, method: &str, argument: &[u8]) -> PyResult<Bytes> {
    let argument = PyBytes::new(worker.py(), argument);
    let answer = worker.call_method1("call", (method, argument))?;
    Ok(Bytes::copy_from_slice(answer.cast::<PyBytes>()?.as_bytes()))
}

fn started(worker: &Bound<'_, PyAny>) -> PyResult<Option<PythonInstance>> {
    let started = worker.getattr("started")?;
    if started.is_none() {
        return Ok(None);
    }
    let (instance, version, config, config_json): (Bound<'_, PyAny>, i64, Vec<u8>, String) = started.extract()?;
    let spec: Result<Spec> = Spec::decode(version, &config, &config_json);
    let spec = spec.map_err(|error| PyOSError::new_err(error.message))?;
    PythonInstance::wrap(&instance, &Arc::new(spec), Vec::new()).map(Some)
}
