//! `windlass._plane.Version`: a version that is made and not in service yet.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use windlass_core::model::Model;

/// A version whose instances have warmed up. It is gone from here once it is published.
#[pyclass(name = "Version", module = "windlass._plane", frozen)]
pub(crate) struct PyVersion(Mutex<Option<Model>>);

impl PyVersion {
    pub(crate) fn new(model: Model) -> Self {
        Self(Mutex::new(Some(model)))
    }

    /// The version, to be put into service.
    pub(crate) fn take(&self) -> PyResult<Model> {
        let mut model = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        model.take().ok_or_else(|| PyRuntimeError::new_err("the version was published or closed already"))
    }
}

#[pymethods]
impl PyVersion {
    /// Closes its instances, when it will not be served.
    fn close(&self, py: Python<'_>) {
        let model = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| model.map(|model| model.settle(Duration::ZERO)));
    }
}
