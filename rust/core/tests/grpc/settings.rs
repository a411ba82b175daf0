//! Settings that clients change while the server runs.

use std::collections::HashMap;

use tonic::Code;
use windlass_core::proto::inference::log_settings_request::{SettingValue as LogValue, setting_value::ParameterChoice};
use windlass_core::proto::inference::log_settings_response::setting_value::ParameterChoice as Told;
use windlass_core::proto::inference::trace_setting_request::SettingValue;
use windlass_core::proto::inference::{
    LogSettingsRequest, LogSettingsResponse, TraceSettingRequest, TraceSettingResponse,
};

use windlass_core::plane::Settings;
use windlass_core::trace::settings::Setup;

use crate::client::{Client, failure};
use crate::server::Server;

pub(crate) fn trace(model: &str, settings: &[(&str, &[&str])]) -> TraceSettingRequest {
    let value = |values: &[&str]| SettingValue { value: values.iter().map(|&value| value.to_owned()).collect() };
    TraceSettingRequest {
        settings: settings.iter().map(|(name, values)| ((*name).to_owned(), value(values))).collect(),
        model_name: model.to_owned(),
    }
}

pub(crate) fn log(settings: &[(&str, ParameterChoice)]) -> LogSettingsRequest {
    let value = |choice: &ParameterChoice| LogValue { parameter_choice: Some(choice.clone()) };
    LogSettingsRequest { settings: settings.iter().map(|(name, choice)| ((*name).to_owned(), value(choice))).collect() }
}

#[tokio::test]
async fn trace_settings_are_changed_and_reset() {
    let trace_to = Setup::parse(["triton,file=/dev/null"]).expect("a good setup");
    let server = Server::start_with(Settings { trace: trace_to, ..Settings::default() });
    let mut client = Client::new(&server).await;
    let wanted = trace("", &[("trace_rate", &["7"]), ("trace_level", &["TIMESTAMPS", "TENSORS"])]);

    let changed = client.call::<_, TraceSettingResponse>("TraceSetting", wanted).await.expect("an answer");
    let reset = trace("", &[("trace_rate", &[])]);
    let after = client.call::<_, TraceSettingResponse>("TraceSetting", reset).await.expect("an answer");

    let told = |answer: &TraceSettingResponse, name: &str| answer.settings[name].value.join("+");
    assert_eq!(
        (told(&changed, "trace_rate"), told(&changed, "trace_level")),
        ("7".into(), "TIMESTAMPS+TENSORS".into())
    );
    assert_eq!((told(&after, "trace_rate"), told(&after, "trace_mode")), ("1000".into(), "triton".into()));
    let unknown = client.call::<_, TraceSettingResponse>("TraceSetting", trace("nope", &[])).await;
    assert!(unknown.expect("an answer").settings.is_empty());
}

#[tokio::test]
async fn trace_settings_that_make_no_sense_are_refused() {
    let server = Server::start();
    let mut client = Client::new(&server).await;

    for (name, values, code, expected) in [
        ("trace_rate", &["x"][..], Code::InvalidArgument, "Unable to parse 'trace_rate', got: x"),
        ("trace_rate", &["1", "2"], Code::InvalidArgument, "expect only 1 value for 'trace_rate'"),
        (
            "trace_count",
            &["-2"],
            Code::InvalidArgument,
            "Unable to parse 'trace_count'. Expecting value >= -1, got: -2",
        ),
        ("trace_level", &["OFF", "TENSORS"], Code::InvalidArgument, "Expect only one trace level 'OFF' is specified"),
        ("trace_file", &[], Code::Unimplemented, "trace file location can not be updated through network protocol"),
    ] {
        let answer = client.call::<_, TraceSettingResponse>("TraceSetting", trace("", &[(name, values)])).await;
        assert_eq!(failure(answer), (code, expected.to_owned()), "{name} {values:?}");
    }
}

#[tokio::test]
async fn the_log_is_set() {
    let server = Server::start();
    let mut client = Client::new(&server).await;
    let wanted =
        log(&[("log_verbose_level", ParameterChoice::Uint32Param(2)), ("log_info", ParameterChoice::BoolParam(false))]);

    let changed = client.call::<_, LogSettingsResponse>("LogSettings", wanted).await.expect("an answer");
    let asked = client.call::<_, LogSettingsResponse>("LogSettings", log(&[])).await.expect("an answer");

    assert_eq!(changed, asked);
    let told: HashMap<_, _> =
        asked.settings.into_iter().filter_map(|(name, value)| Some((name, value.parameter_choice?))).collect();
    assert_eq!((&told["log_verbose_level"], &told["log_info"]), (&Told::Uint32Param(2), &Told::BoolParam(false)));
}

#[tokio::test]
async fn log_settings_of_another_kind_are_refused() {
    let server = Server::start();
    let mut client = Client::new(&server).await;
    let text = || ParameterChoice::StringParam("x".into());

    for (name, choice, code, expected) in [
        ("log_info", text(), Code::InvalidArgument, "expect boolean for 'log_info'"),
        ("log_verbose_level", text(), Code::InvalidArgument, "expect int32 for 'log_verbose_level'"),
        ("log_format", text(), Code::InvalidArgument, "invalid argument for log_format, got: x"),
        ("log_format", ParameterChoice::BoolParam(true), Code::InvalidArgument, "expect string for 'log_format'"),
        ("log_file", text(), Code::Unimplemented, "log file location can not be updated through network protocol"),
    ] {
        let answer = client.call::<_, LogSettingsResponse>("LogSettings", log(&[(name, choice)])).await;
        assert_eq!(failure(answer), (code, expected.to_owned()), "{name}");
    }
}
