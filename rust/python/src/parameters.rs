//! Parameters of requests and answers as dictionaries, and back.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};
use windlass_core::request::{Parameter, Parameters};

pub(crate) fn to_dict<'py>(py: Python<'py>, parameters: &Parameters) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in parameters {
        match value {
            Parameter::Bool(value) => dict.set_item(name, value)?,
            Parameter::Int(value) => dict.set_item(name, value)?,
            Parameter::Double(value) => dict.set_item(name, value)?,
            Parameter::Text(value) => dict.set_item(name, value)?,
        }
    }
    Ok(dict)
}

/// # Errors
/// `TypeError` for a value of another type.
pub(crate) fn from_dict(dict: &Bound<'_, PyDict>) -> PyResult<Parameters> {
    dict.iter().map(|(name, value)| Ok((name.extract()?, from_value(&value)?))).collect()
}

fn from_value(value: &Bound<'_, PyAny>) -> PyResult<Parameter> {
    // A truth value is an integer too, for Python.
    if value.is_instance_of::<PyBool>() {
        Ok(Parameter::Bool(value.extract()?))
    } else if value.is_instance_of::<PyInt>() {
        Ok(Parameter::Int(value.extract()?))
    } else if value.is_instance_of::<PyFloat>() {
        Ok(Parameter::Double(value.extract()?))
    } else if value.is_instance_of::<PyString>() {
        Ok(Parameter::Text(value.extract()?))
    } else {
        let found = value.get_type().name()?;
        Err(PyTypeError::new_err(format!("expected a parameter of type bool, int, float or str, got `{found}`")))
    }
}
