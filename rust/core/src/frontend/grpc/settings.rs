//! Settings that clients read and change while the server runs: what is traced, and how the log is written.

use crate::error::{Code, Error, Result};
use crate::log::LogSettings;
use crate::plane::Plane;
use crate::proto::inference as proto;
use crate::proto::inference::log_settings_request::setting_value::ParameterChoice;
use crate::proto::inference::log_settings_response::SettingValue as LogValue;
use crate::proto::inference::log_settings_response::setting_value::ParameterChoice as Answer;
use crate::proto::inference::trace_setting_response::SettingValue as TraceValue;
use crate::trace::settings::Changes;

/// Changes the trace settings of the server or of a model, where any are given, and answers with what is then in force.
pub(super) fn trace(plane: &Plane, request: &proto::TraceSettingRequest) -> Result<proto::TraceSettingResponse> {
    let model = Some(request.model_name.as_str()).filter(|name| !name.is_empty());
    // As its clients have come to know it, this rpc tells of no model by telling nothing.
    if plane.refuse_unknown_to_trace(model).is_err() {
        return Ok(proto::TraceSettingResponse::default());
    }
    if request.settings.contains_key("trace_file") {
        return Err(Error::new(Code::Unsupported, "trace file location can not be updated through network protocol"));
    }
    let mut changes = Changes::default();
    for key in Changes::KEYS {
        let Some(setting) = request.settings.get(key) else { continue };
        let values: Vec<&str> = setting.value.iter().map(String::as_str).collect();
        if values.len() > 1 && key != "trace_level" {
            return Err(Error::invalid(format!("expect only 1 value for '{key}'")));
        }
        changes.add(key, &values, " ")?;
    }
    plane.tracing().change(model, &changes)?;
    let settings = plane.tracing().answer(model).into_iter().map(|(name, value)| (name, TraceValue { value }));
    Ok(proto::TraceSettingResponse { settings: settings.collect() })
}

/// The log's settings as a client wants them; nothing when it only asks.
///
/// # Errors
/// In the protocol's words for values of the wrong kind.
pub(super) fn log_wanted(before: LogSettings, request: proto::LogSettingsRequest) -> Result<Option<LogSettings>> {
    if request.settings.is_empty() {
        return Ok(None);
    }
    if request.settings.contains_key("log_file") {
        return Err(LogSettings::refuse_file());
    }
    let mut settings = before;
    for (key, value) in request.settings {
        match (key.as_str(), value.parameter_choice) {
            ("log_info", Some(ParameterChoice::BoolParam(value))) => settings.info = value,
            ("log_warning", Some(ParameterChoice::BoolParam(value))) => settings.warning = value,
            ("log_error", Some(ParameterChoice::BoolParam(value))) => settings.error = value,
            ("log_verbose_level", Some(ParameterChoice::Uint32Param(value))) => settings.verbose_level = value,
            ("log_format", Some(ParameterChoice::StringParam(value))) => settings.set_format(value, "log_format")?,
            ("log_info" | "log_warning" | "log_error", _) => {
                return Err(Error::invalid(format!("expect boolean for '{key}'")));
            }
            ("log_verbose_level", _) => return Err(Error::invalid("expect int32 for 'log_verbose_level'")),
            ("log_format", _) => return Err(Error::invalid("expect string for 'log_format'")),
            _ => {}
        }
    }
    Ok(Some(settings))
}

/// How the log is written.
pub(super) fn log(plane: &Plane) -> proto::LogSettingsResponse {
    let settings = plane.log().settings();
    let rows = [
        ("log_file", Answer::StringParam(settings.file)),
        ("log_info", Answer::BoolParam(settings.info)),
        ("log_warning", Answer::BoolParam(settings.warning)),
        ("log_error", Answer::BoolParam(settings.error)),
        ("log_verbose_level", Answer::Uint32Param(settings.verbose_level)),
        ("log_format", Answer::StringParam(settings.format)),
    ];
    let value = |choice| LogValue { parameter_choice: Some(choice) };
    proto::LogSettingsResponse {
        settings: rows.into_iter().map(|(name, choice)| (name.to_owned(), value(choice))).collect(),
    }
}
