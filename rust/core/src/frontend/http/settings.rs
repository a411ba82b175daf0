//! Settings that clients read and change while the server runs: what is traced, and how the log is written.

use bytes::{BufMut, BytesMut};

use crate::error::{Code, Error, Result};
use crate::frontend::http::response::Response;
use crate::frontend::json::reader::Number;
use crate::frontend::json::value::Value;
use crate::frontend::json::writer;
use crate::log::LogSettings;
use crate::plane::Plane;
use crate::trace::settings::Changes;

/// The trace settings of the server or of a model.
pub(super) fn trace(plane: &Plane, model: Option<&str>) -> Result<Response> {
    plane.refuse_unknown_to_trace(model)?;
    let mut out = BytesMut::new();
    for (name, values) in plane.tracing().answer(model) {
        out.put_u8(if out.is_empty() { b'{' } else { b',' });
        writer::string(&mut out, &name);
        out.put_u8(b':');
        match values.as_slice() {
            [value] if name != "trace_level" => writer::string(&mut out, value),
            values => writer::list(&mut out, values, |out, value| writer::string(out, value)),
        }
    }
    out.put_u8(b'}');
    Ok(Response::json(out))
}

/// Changes them, and answers with what is then in force.
pub(super) fn change_trace(plane: &Plane, model: Option<&str>, body: &[u8]) -> Result<Response> {
    plane.refuse_unknown_to_trace(model)?;
    let wanted = Value::parse(body)?;
    if wanted.member("trace_file").is_some() {
        return Err(Error::new(Code::Unsupported, "trace file location can not be updated through network protocol"));
    }
    let mut changes = Changes::default();
    for key in Changes::KEYS {
        let texts = match wanted.member(key) {
            None => continue,
            Some(Value::Null) => Vec::new(),
            Some(Value::Array(names)) if key == "trace_level" && names.is_empty() => continue,
            Some(Value::Array(names)) if key == "trace_level" => names.iter().map(text).collect::<Result<_>>()?,
            Some(_) if key == "trace_level" => {
                return Err(Error::invalid("attempt to access JSON non-array as array"));
            }
            Some(value) => vec![text(value)?],
        };
        changes.add(key, &texts, "")?;
    }
    plane.tracing().change(model, &changes)?;
    trace(plane, model)
}

fn text(value: &Value) -> Result<&str> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(Error::invalid("attempt to access JSON non-string as string")),
    }
}

/// How the log is written.
pub(super) fn log(plane: &Plane) -> Response {
    let settings = plane.log().settings();
    let mut out = BytesMut::new();
    out.put_slice(b"{\"log_file\":");
    writer::string(&mut out, &settings.file);
    writer::display(
        &mut out,
        format_args!(
            ",\"log_info\":{},\"log_warning\":{},\"log_error\":{},\"log_verbose_level\":{},\"log_format\":",
            settings.info, settings.warning, settings.error, settings.verbose_level
        ),
    );
    writer::string(&mut out, &settings.format);
    out.put_u8(b'}');
    Response::json(out)
}

/// The log's settings as a client wants them: those of `before`, and what its text changes.
///
/// # Errors
/// In the protocol's words for values of the wrong kind.
pub(super) fn log_wanted(before: LogSettings, body: &[u8]) -> Result<LogSettings> {
    let wanted = Value::parse(body)?;
    let mut settings = before;
    if wanted.member("log_file").is_some() {
        return Err(LogSettings::refuse_file());
    }
    for (key, switch) in
        [("log_info", &mut settings.info), ("log_warning", &mut settings.warning), ("log_error", &mut settings.error)]
    {
        match wanted.member(key) {
            None | Some(Value::Null) => {}
            Some(Value::Bool(value)) => *switch = *value,
            Some(_) => return Err(Error::invalid("attempt to access JSON non-boolean as boolean")),
        }
    }
    match wanted.member("log_verbose_level") {
        None | Some(Value::Null) => {}
        Some(&Value::Number(Number::Unsigned(level))) => {
            settings.verbose_level = u32::try_from(level).unwrap_or(u32::MAX);
        }
        Some(_) => {
            return Err(Error::invalid("attempt to access JSON non-unsigned-integer as unsigned-integer"));
        }
    }
    match wanted.member("log_format") {
        None | Some(Value::Null) => {}
        Some(value) => settings.set_format(text(value)?.to_owned(), "--log_format")?,
    }
    Ok(settings)
}
