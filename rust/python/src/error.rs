//! Exceptions become errors: an exception that carries a `code` keeps it, anything else is the model's failure.

use pyo3::prelude::*;
use windlass_core::error::{Code, Error};

/// What a client is told of an exception: its text, under the code it carries.
pub(crate) fn from_exception(py: Python<'_>, exception: &PyErr) -> Error {
    from_value(exception.value(py).as_any())
}

/// The same for an exception that was returned instead of raised.
pub(crate) fn from_value(value: &Bound<'_, PyAny>) -> Error {
    let code = value.getattr("code").and_then(|code| code.extract::<String>());
    let code = code.map_or(Code::Internal, |name| Code::from_name(&name));
    let text = value.str().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    let text = if text.is_empty() { value.get_type().to_string() } else { text };
    Error::new(code, text)
}

/// An error as an exception that carries its code.
pub(crate) fn to_exception(py: Python<'_>, error: &Error) -> PyErr {
    let made = || {
        let exception = py.import("windlass.errors")?.getattr("WindlassError")?.call1((&error.message,))?;
        exception.setattr("code", error.code.name())?;
        Ok(exception)
    };
    made().map_or_else(|failed| failed, PyErr::from_value)
}
