//! `windlass._plane.Host`: what a model's code may ask of its server. Whatever blocks lets other Python threads run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use windlass_core::error::{Error, Result};
use windlass_core::host::{Host, MetricChange, MetricFamily, MetricKind, MetricName, Replies};
use windlass_core::instance::Outputs;
use windlass_core::request::{Correlation, Request};
use windlass_core::tensor::Name;

use crate::control::control_parameters;
use crate::error::to_exception;
use crate::parameters;
use crate::tensor::{to_array, to_tensor};

/// The server that runs a model.
#[pyclass(name = "Host", module = "windlass._plane", frozen)]
pub(crate) struct PyHost(Arc<dyn Host>);

impl PyHost {
    pub(crate) fn new(host: Arc<dyn Host>) -> Self {
        Self(host)
    }

    fn ask<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&dyn Host) -> Result<T> + Send) -> PyResult<T> {
        py.detach(|| work(&*self.0)).map_err(|error| to_exception(py, &error))
    }
}

#[pymethods]
impl PyHost {
    /// Asks another model; version -1 is the latest. The answers come one by one: outputs or none, an error or none, parameters.
    #[pyo3(signature = (model, version, inputs, requested_outputs, *, request_id = String::new(), correlation_id = None, flags = 0,
        priority = 0, timeout_us = 0, parameters = None, trace_context = None, decoupled = false))]
    #[allow(clippy::too_many_arguments)] // the members of a request
    fn infer(
        &self,
        py: Python<'_>,
        model: &str,
        version: i64,
        inputs: &Bound<'_, PyDict>,
        requested_outputs: Vec<String>,
        request_id: String,
        correlation_id: Option<&Bound<'_, PyAny>>,
        flags: u32,
        priority: u64,
        timeout_us: u64,
        parameters: Option<&Bound<'_, PyDict>>,
        trace_context: Option<String>,
        decoupled: bool,
    ) -> PyResult<PyReplies> {
        let request = Request {
            id: request_id,
            parameters: parameters.map(parameters::from_dict).transpose()?.unwrap_or_default(),
            inputs: inputs
                .iter()
                .map(|(name, array)| to_tensor(&name.extract::<String>()?, &array))
                .collect::<PyResult<_>>()?,
            outputs: requested_outputs.into_iter().map(Name::from).collect(),
            priority,
            timeout: (timeout_us > 0).then(|| Duration::from_micros(timeout_us)),
            correlation: correlation_id.map(correlation).transpose()?.unwrap_or_default(),
            flags,
            trace: None,
            trace_context,
        };
        let replies = self.ask(py, |host| host.infer(model, version, request, decoupled))?;
        Ok(PyReplies { replies: Mutex::new(replies), cancelled: AtomicBool::new(false) })
    }

    /// Loads a model; `parameters` as over the network.
    fn load_model(&self, py: Python<'_>, model: &str, parameters: &Bound<'_, PyDict>) -> PyResult<()> {
        let parameters = control_parameters(parameters)?;
        self.ask(py, |host| host.load(model, parameters))
    }

    /// Unloads a model.
    fn unload_model(&self, py: Python<'_>, model: &str, unload_dependents: bool) -> PyResult<()> {
        self.ask(py, |host| host.unload(model, unload_dependents))
    }

    /// Whether a model is ready; an empty version means any.
    fn is_model_ready(&self, py: Python<'_>, model: &str, version: &str) -> PyResult<bool> {
        self.ask(py, |host| host.is_ready(model, version))
    }

    /// Declares a family of metrics: `counter`, `gauge` or `histogram`.
    fn declare_metric(&self, py: Python<'_>, name: String, description: String, kind: &str) -> PyResult<()> {
        let kind = match kind {
            "counter" => MetricKind::Counter,
            "gauge" => MetricKind::Gauge,
            "histogram" => MetricKind::Histogram,
            _ => return Err(PyValueError::new_err(format!("unknown kind `{kind}`: counter, gauge or histogram"))),
        };
        self.ask(py, |host| host.declare_metric(&MetricFamily { name, description, kind }))
    }

    /// Changes one metric (`keep`, `add`, `increment`, `set`, `observe` or `remove`); returns its value then.
    fn change_metric(
        &self,
        py: Python<'_>,
        family: String,
        labels: Vec<(String, String)>,
        buckets: Vec<f64>,
        change: &str,
        value: f64,
    ) -> PyResult<f64> {
        let change = match change {
            "keep" => MetricChange::Keep,
            "add" => MetricChange::Add,
            "increment" => MetricChange::Increment(value),
            "set" => MetricChange::Set(value),
            "observe" => MetricChange::Observe(value),
            "remove" => MetricChange::Remove,
            _ => return Err(PyValueError::new_err(format!("unknown change `{change}` of a metric"))),
        };
        self.ask(py, |host| host.change_metric(&MetricName { family, labels, buckets }, change))
    }
}

fn correlation(id: &Bound<'_, PyAny>) -> PyResult<Correlation> {
    if let Ok(text) = id.cast::<PyString>() {
        let text = text.to_str()?;
        return Ok(if text.is_empty() { Correlation::None } else { Correlation::Text(text.to_owned()) });
    }
    match id.extract::<u64>() {
        Ok(0) => Ok(Correlation::None),
        Ok(number) => Ok(Correlation::Number(number)),
        Err(_) => Err(PyTypeError::new_err("Correlation ID must be integer or string")),
    }
}

/// The answers of another model, one after the other.
#[pyclass(name = "Replies", module = "windlass._plane", frozen)]
pub(crate) struct PyReplies {
    replies: Mutex<Box<dyn Replies>>,
    cancelled: AtomicBool,
}

type Answer<'py> = (Option<Bound<'py, PyDict>>, Option<(&'static str, String)>, Bound<'py, PyDict>);

#[pymethods]
impl PyReplies {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Answer<'py>>> {
        let answer = py.detach(|| {
            let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
            if self.cancelled.load(Ordering::Acquire) {
                replies.cancel();
            }
            replies.next()
        });
        answer.map(|answer| described(py, answer)).transpose()
    }

    /// Loses interest in the rest; while an answer is being waited for, in what follows it.
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        if let Ok(mut replies) = self.replies.try_lock() {
            replies.cancel();
        }
    }
}

fn described(py: Python<'_>, answer: Option<std::result::Result<Outputs, Error>>) -> PyResult<Answer<'_>> {
    match answer {
        None => Ok((None, None, PyDict::new(py))),
        Some(Err(error)) => Ok((None, Some((error.code.name(), error.message)), PyDict::new(py))),
        Some(Ok(outputs)) => {
            let arrays = PyDict::new(py);
            for tensor in outputs.tensors {
                let name = PyString::intern(py, &tensor.name);
                arrays.set_item(name, to_array(py, tensor)?)?;
            }
            Ok((Some(arrays), None, parameters::to_dict(py, &outputs.parameters)?))
        }
    }
}
