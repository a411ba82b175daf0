//! The owner of the model repository is a Python object.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt};
use windlass_core::control::{Control, ControlParameter, Level};
use windlass_core::error::{Error, Result};
use windlass_core::log::LogSettings;

use crate::error::from_exception;

/// Calls `load`, `unload` and `log` of a Python object.
pub(crate) struct PythonControl(pub(crate) Py<PyAny>);

impl Control for PythonControl {
    fn load(&self, model: &str, parameters: Vec<(String, ControlParameter)>) -> Result<()> {
        self.call(|py, control| {
            let given = PyDict::new(py);
            for (name, value) in parameters {
                match value {
                    ControlParameter::Bool(value) => given.set_item(name, value)?,
                    ControlParameter::Int(value) => given.set_item(name, value)?,
                    ControlParameter::Text(value) => given.set_item(name, value)?,
                    ControlParameter::Bytes(value) => given.set_item(name, PyBytes::new(py, &value))?,
                }
            }
            control.call_method1("load", (model, given))
        })
    }

    fn unload(&self, model: &str, unload_dependents: bool) -> Result<()> {
        self.call(|_, control| control.call_method1("unload", (model, unload_dependents)))
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Verbose => "verbose",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        // A log that fails must not fail what it tells of.
        let _ = self.call(|_, control| control.call_method1("log", (level, message)));
    }

    fn set_log(&self, settings: &LogSettings) {
        let LogSettings { info, warning, error, verbose_level, format, .. } = settings;
        // The same goes for a log that cannot be set.
        let _ =
            self.call(|_, control| control.call_method1("set_log", (*info, *warning, *error, *verbose_level, format)));
    }
}

impl PythonControl {
    fn call<'a, F>(&'a self, work: F) -> std::result::Result<(), Error>
    where
        F: for<'py> FnOnce(Python<'py>, &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> + 'a,
    {
        Python::attach(|py| match work(py, self.0.bind(py)) {
            Ok(_) => Ok(()),
            Err(exception) => Err(from_exception(py, &exception)),
        })
    }
}

/// The parameters of a load request, as a model gives them.
pub(crate) fn control_parameters(given: &Bound<'_, PyDict>) -> PyResult<Vec<(String, ControlParameter)>> {
    let read = |value: Bound<'_, PyAny>| -> PyResult<ControlParameter> {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            Ok(ControlParameter::Bytes(bytes.as_bytes().to_vec()))
        } else if value.is_instance_of::<PyBool>() {
            Ok(ControlParameter::Bool(value.extract()?))
        } else if value.is_instance_of::<PyInt>() {
            Ok(ControlParameter::Int(value.extract()?))
        } else {
            Ok(ControlParameter::Text(value.extract()?))
        }
    };
    given.iter().map(|(name, value)| Ok((name.extract()?, read(value)?))).collect()
}
