//! `windlass._plane.ModelProcess`: a model's own process, as the server sees it while its model is loaded.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use windlass_core::isolated::process::Process;

use crate::error::to_exception;

/// The process of one instance. It is gone from here once its model is published.
#[pyclass(name = "ModelProcess", module = "windlass._plane", frozen)]
pub(crate) struct PyProcess(Mutex<Option<Process>>);

impl PyProcess {
    pub(crate) fn new(process: Process) -> Self {
        Self(Mutex::new(Some(process)))
    }

    /// The process, to be put into service.
    pub(crate) fn take(&self) -> PyResult<Process> {
        let mut process = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        process.take().ok_or_else(|| PyRuntimeError::new_err("the process was taken already"))
    }
}

#[pymethods]
impl PyProcess {
    /// Asks the process for something; blocks until it answers.
    fn call<'py>(&self, py: Python<'py>, method: &str, argument: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let argument = Bytes::copy_from_slice(argument);
        let answer = py.detach(|| {
            let mut process = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            process.as_mut().map(|process| process.call(method, argument))
        });
        match answer {
            Some(Ok(value)) => Ok(PyBytes::new(py, &value)),
            Some(Err(error)) => Err(to_exception(py, &error)),
            None => Err(PyRuntimeError::new_err("the process is in service: it is not called any more")),
        }
    }

    /// Ends the process, when its model will not be served.
    fn close(&self, py: Python<'_>) {
        let process = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(process));
    }
}
