//! The value of a parameter, in JSON.

use bytes::BytesMut;

use crate::error::{Error, Result};
use crate::frontend::json::reader::Number;
use crate::frontend::json::value::Value;
use crate::frontend::json::writer;
use crate::request::Parameter;

/// What a value means as a parameter.
///
/// # Errors
/// `INVALID_ARG` for what is no single value.
pub(super) fn read(key: &str, value: Value) -> Result<Parameter> {
    Ok(match value {
        Value::Bool(value) => Parameter::Bool(value),
        Value::Text(value) => Parameter::Text(value),
        Value::Number(Number::Signed(value)) => Parameter::Int(value),
        Value::Number(Number::Unsigned(value)) if i64::try_from(value).is_ok() => Parameter::Int(value as i64),
        Value::Number(value) => Parameter::Double(value.as_f64()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(Error::invalid(format!(
                "parameter '{key}' has invalid type. It should be either 'int', 'bool', or 'string'."
            )));
        }
    })
}

/// Writes a value.
pub(super) fn write(out: &mut BytesMut, value: &Parameter) {
    match value {
        Parameter::Bool(value) => writer::display(out, value),
        Parameter::Int(value) => writer::integer(out, *value),
        Parameter::Double(value) => writer::double(out, *value),
        Parameter::Text(value) => writer::string(out, value),
    }
}
