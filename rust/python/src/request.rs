//! `windlass._plane.Request`: one request of a batch, for models that look at each by itself.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList};
use windlass_core::host::Task;
use windlass_core::request::{Correlation, Parameters};
use windlass_core::tensor::Tensor;

use crate::answers::Answers;
use crate::parameters;
use crate::responder::{PyResponder, WayBack};
use crate::tensor::{to_array, to_tensor};

/// A request as a model sees it. Python objects are made when they are looked at.
#[pyclass(name = "Request", module = "windlass._plane", frozen)]
pub(crate) struct PyRequest {
    id: String,
    parameters: Parameters,
    correlation: Correlation,
    flags: AtomicU32,
    #[pyo3(get)]
    priority: u64,
    #[pyo3(get)]
    timeout_us: u64,
    trace_context: Option<String>,
    requested: Py<PyList>,
    waiting: Mutex<Vec<Tensor>>,
    inputs: PyOnceLock<Py<PyDict>>,
    answers: Arc<Answers>,
    pub(crate) way_back: WayBack,
}

impl PyRequest {
    /// Takes what is asked out of a task, and leaves behind what is needed to answer it.
    pub(crate) fn take<T: Task>(py: Python<'_>, task: &mut T, answers: &Arc<Answers>) -> PyResult<Py<Self>> {
        let request = task.request_mut();
        let requested = if request.outputs.is_empty() {
            answers.all.clone_ref(py)
        } else {
            PyList::new(py, request.outputs.iter().map(|name| &**name))?.unbind()
        };
        Py::new(
            py,
            Self {
                id: request.id.clone(),
                parameters: std::mem::take(&mut request.parameters),
                correlation: std::mem::take(&mut request.correlation),
                flags: AtomicU32::new(request.flags),
                priority: request.priority,
                timeout_us: request.timeout.map_or(0, |timeout| timeout.as_micros() as u64),
                trace_context: request.context(),
                requested,
                waiting: Mutex::new(std::mem::take(&mut request.inputs)),
                inputs: PyOnceLock::new(),
                answers: Arc::clone(answers),
                way_back: WayBack::default(),
            },
        )
    }

    /// Puts all of it back, since the request is to be executed once more.
    pub(crate) fn put_back<T: Task>(&self, py: Python<'_>, task: &mut T) -> PyResult<()> {
        let inputs = match self.inputs.get(py) {
            None => std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner)),
            Some(inputs) => {
                let inputs = inputs.bind(py).iter();
                inputs.map(|(name, array)| to_tensor(&name.extract::<String>()?, &array)).collect::<PyResult<_>>()?
            }
        };
        let request = task.request_mut();
        request.inputs = inputs;
        request.parameters.clone_from(&self.parameters);
        request.correlation.clone_from(&self.correlation);
        request.flags = self.flags.load(Ordering::Relaxed);
        Ok(())
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
                let name = self.answers.input_name(py, &tensor.name);
                inputs.set_item(name, to_array(py, tensor)?)?;
            }
            Ok::<_, PyErr>(inputs.unbind())
        })?;
        Ok(inputs.bind(py).clone())
    }

    /// What the client sent besides.
    #[getter]
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        parameters::to_dict(py, &self.parameters)
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

    /// Its place in its sequence.
    #[getter]
    fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_flags(&self, flags: u32) {
        self.flags.store(flags, Ordering::Relaxed);
    }

    /// The trace it belongs to.
    #[getter]
    fn trace_context(&self) -> Option<&str> {
        self.trace_context.as_deref()
    }

    /// The way back to the client. Whoever takes it answers through it, and returns `None` for the request.
    #[getter]
    fn responder(&self) -> PyResult<PyResponder> {
        PyResponder::take(&self.way_back, &self.answers).ok_or_else(|| {
            PyRuntimeError::new_err("the request was answered already: take its response sender while `execute` runs")
        })
    }

    /// Whether the client went away.
    fn is_cancelled(&self) -> bool {
        self.way_back.is_cancelled()
    }
}
