//! `windlass._plane.Request`: one request of a batch, for models that look at each by itself.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString};
use windlass_core::instance::Job;
use windlass_core::reply::Cancellation;
use windlass_core::request::{Correlation, Parameter, Parameters};
use windlass_core::tensor::Tensor;

use crate::tensor::to_array;

/// A request as a model sees it. Python objects are made when they are looked at.
#[pyclass(name = "Request", module = "windlass._plane", frozen)]
pub(crate) struct PyRequest {
    id: String,
    parameters: Parameters,
    correlation: Correlation,
    #[pyo3(get)]
    flags: u32,
    #[pyo3(get)]
    priority: u64,
    #[pyo3(get)]
    timeout_us: u64,
    requested: Py<PyList>,
    cancellation: Option<Cancellation>,
    waiting: Mutex<Vec<Tensor>>,
    inputs: PyOnceLock<Py<PyDict>>,
}

impl PyRequest {
    /// Takes the tensors out of a job. `all_outputs` is what a client that names no outputs asks for.
    pub(crate) fn take(py: Python<'_>, job: &mut Job, all_outputs: &Py<PyList>) -> PyResult<Py<Self>> {
        let request = &mut job.request;
        let requested = if request.outputs.is_empty() {
            all_outputs.clone_ref(py)
        } else {
            PyList::new(py, request.outputs.iter().map(|name| &**name))?.unbind()
        };
        Py::new(
            py,
            Self {
                id: request.id.clone(),
                parameters: std::mem::take(&mut request.parameters),
                correlation: std::mem::take(&mut request.correlation),
                flags: request.flags,
                priority: request.priority,
                timeout_us: request.timeout.map_or(0, |timeout| timeout.as_micros() as u64),
                requested,
                waiting: Mutex::new(std::mem::take(&mut request.inputs)),
                inputs: PyOnceLock::new(),
                cancellation: job.cancellation(),
            },
        )
    }
}

#[pymethods]
impl PyRequest {
    /// The client's name for it; empty when it gave none.
    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    /// Names of the outputs that are wanted.
    #[getter]
    fn requested_outputs<'py>(&self, py: Python<'py>) -> Bound<'py, PyList> {
        self.requested.bind(py).clone()
    }

    /// The input arrays by name.
    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let inputs = self.inputs.get_or_try_init(py, || {
            let tensors = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            let inputs = PyDict::new(py);
            for tensor in tensors {
                let name = PyString::intern(py, &tensor.name);
                inputs.set_item(name, to_array(py, tensor)?)?;
            }
            Ok::<_, PyErr>(inputs.unbind())
        })?;
        Ok(inputs.bind(py).clone())
    }

    /// What the client sent besides.
    #[getter]
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let parameters = PyDict::new(py);
        for (name, value) in &self.parameters {
            match value {
                Parameter::Bool(value) => parameters.set_item(name, value)?,
                Parameter::Int(value) => parameters.set_item(name, value)?,
                Parameter::Double(value) => parameters.set_item(name, value)?,
                Parameter::Text(value) => parameters.set_item(name, value)?,
            }
        }
        Ok(parameters)
    }

    /// Which sequence it belongs to: a number or a text; 0 for none.
    #[getter]
    fn correlation_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.correlation {
            Correlation::None => Ok(0_u64.into_pyobject(py)?.into_any()),
            Correlation::Number(number) => Ok(number.into_pyobject(py)?.into_any()),
            Correlation::Text(text) => Ok(text.into_pyobject(py)?.into_any()),
        }
    }

    /// Whether the client went away.
    fn is_cancelled(&self) -> bool {
        self.cancellation.as_ref().is_some_and(Cancellation::is_cancelled)
    }
}
