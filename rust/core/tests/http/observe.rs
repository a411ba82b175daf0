//! What is told of requests, and to whom: traces, the log, and who may ask for what.

use std::fs;
use std::time::Duration;

use windlass_core::frontend::access::Restrictions;
use windlass_core::plane::Settings;
use windlass_core::trace::settings::Setup;

use crate::server::{JSON, Server};

fn tracing(texts: &[&str]) -> Settings {
    Settings { trace: Setup::parse(texts.iter().copied()).expect("a good setup"), ..Settings::default() }
}

/// A file of its own for a test; it is gone with the value.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("windlass-{}-{name}", std::process::id())))
    }

    fn text(&self) -> &str {
        self.0.to_str().expect("a path of letters")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for suffix in ["", ".0", ".1"] {
            let _ = fs::remove_file(format!("{}{suffix}", self.text()));
        }
    }
}

#[test]
fn a_trace_holds_every_station_of_a_request() {
    let file = Scratch::new("stations.json");
    let server = Server::start_with(tracing(&[
        "level=TIMESTAMPS",
        "level=TENSORS",
        "rate=1",
        &format!("triton,file={}", file.text()),
    ]));

    let answer = server.post("/v2/models/echo/infer", &JSON.replacen('{', r#"{"id":"seven","#, 1));
    assert_eq!(answer.status, 200);
    // Ends when all is written.
    server.plane.close(Duration::from_secs(1));

    let text = fs::read_to_string(&file.0).expect("a trace");
    assert!(
        text.starts_with(r#"[{"id":1,"model_name":"echo","model_version":3,"request_id":"seven"},{"id":1,"#),
        "{text}"
    );
    let order = [
        "HTTP_RECV_START",
        "HTTP_RECV_END",
        "REQUEST_START",
        "QUEUE_START",
        "TENSOR_QUEUE_INPUT",
        "TENSOR_BACKEND_INPUT",
        "COMPUTE_START",
        "COMPUTE_INPUT_END",
        "COMPUTE_OUTPUT_START",
        "COMPUTE_END",
        "TENSOR_BACKEND_OUTPUT",
        "INFER_RESPONSE_COMPLETE",
        "REQUEST_END",
        "HTTP_SEND_START",
        "HTTP_SEND_END",
    ];
    let places: Vec<_> = order.iter().map(|name| text.find(&format!("\"{name}\"")).expect(name)).collect();
    assert!(places.is_sorted(), "{text}");
    assert!(text.contains(r#""tensor":{"name":"OUTPUT0","data":"1,2.5","shape":"1,2","dtype":"FP32"}"#), "{text}");
    assert!(text.ends_with("}]"), "{text}");
}

#[test]
fn so_many_traces_go_into_each_file() {
    let file = Scratch::new("numbered.json");
    let server = Server::start_with(tracing(&[
        "level=TIMESTAMPS",
        "rate=1",
        "count=3",
        "triton,log-frequency=2",
        &format!("triton,file={}", file.text()),
    ]));

    (0..5).for_each(|_| server.assert_serves());
    let left = server.get("/v2/trace/setting");
    assert!(left.text().contains(r#""trace_count":"0""#), "{}", left.text());
    server.plane.close(Duration::from_secs(1));

    let count = |suffix: &str| {
        let text = fs::read_to_string(format!("{}{suffix}", file.text())).expect("a trace");
        text.matches("model_name").count()
    };
    assert_eq!((count(".0"), count(".1")), (2, 1));
}

#[test]
fn trace_settings_are_read_and_changed() {
    let server = Server::start_with(tracing(&["level=TIMESTAMPS", "rate=2", "triton,file=/dev/null"]));
    let start = r#"{"trace_level":["TIMESTAMPS"],"trace_rate":"2","trace_count":"-1","log_frequency":"0","trace_file":"/dev/null","trace_mode":"triton"}"#;
    for (path, body, status, expected) in [
        ("/v2/trace/setting", "", 200, start),
        ("/v2/models/echo/trace/setting", "", 200, start),
        ("/v2/models/nope/trace/setting", "", 400, r#"{"error":"Request for unknown model : nope"}"#),
        ("/v2/trace/setting", r#"{"trace_rate":"x"}"#, 400, r#"{"error":"Unable to parse 'trace_rate', got: x"}"#),
        ("/v2/trace/setting", r#"{"trace_rate":7}"#, 400, r#"{"error":"attempt to access JSON non-string as string"}"#),
        (
            "/v2/trace/setting",
            r#"{"trace_level":"OFF"}"#,
            400,
            r#"{"error":"attempt to access JSON non-array as array"}"#,
        ),
        (
            "/v2/trace/setting",
            r#"{"trace_level":["OFF","TENSORS"]}"#,
            400,
            r#"{"error":"Expect only one trace level 'OFF' is specified"}"#,
        ),
        (
            "/v2/trace/setting",
            r#"{"trace_file":"x"}"#,
            501,
            r#"{"error":"trace file location can not be updated through network protocol"}"#,
        ),
        (
            "/v2/models/echo/trace/setting",
            r#"{"trace_rate":"9","trace_level":["TENSORS"],"trace_mode":"x","other":1}"#,
            200,
            r#"{"trace_level":["TENSORS"],"trace_rate":"9","trace_count":"-1","log_frequency":"0","trace_file":"/dev/null","trace_mode":"triton"}"#,
        ),
        ("/v2/trace/setting", "", 200, start),
        ("/v2/models/echo/trace/setting", r#"{"trace_rate":null,"trace_level":null}"#, 200, start),
        ("/v2/trace/setting", "", 200, start),
    ] {
        let answer = if body.is_empty() { server.get(path) } else { server.post(path, body) };
        assert_eq!((answer.status, answer.text()), (status, expected), "{path} {body}");
    }
    assert_eq!(server.connect().ask("DELETE", "/v2/trace/setting", &[], b"").status, 405);
}

#[test]
fn the_log_is_read_and_changed() {
    let server = Server::start();
    let start = r#"{"log_file":"","log_info":true,"log_warning":true,"log_error":true,"log_verbose_level":0,"log_format":"default"}"#;
    let changed = r#"{"log_file":"","log_info":false,"log_warning":true,"log_error":true,"log_verbose_level":1,"log_format":"ISO8601"}"#;
    for (body, status, expected) in [
        ("{}", 200, start),
        (r#"{"log_info":1}"#, 400, r#"{"error":"attempt to access JSON non-boolean as boolean"}"#),
        (
            r#"{"log_verbose_level":-1}"#,
            400,
            r#"{"error":"attempt to access JSON non-unsigned-integer as unsigned-integer"}"#,
        ),
        (r#"{"log_format":"x"}"#, 400, r#"{"error":"invalid argument for --log_format, got: x"}"#),
        (r#"{"log_file":"x"}"#, 501, r#"{"error":"log file location can not be updated through network protocol"}"#),
        (r#"{"log_warning":null}"#, 200, start),
        (r#"{"log_info":false,"log_verbose_level":1,"log_format":"ISO8601"}"#, 200, changed),
    ] {
        let answer = server.post("/v2/logging", body);
        assert_eq!((answer.status, answer.text()), (status, expected), "{body}");
    }
    assert_eq!(server.get("/v2/logging").text(), changed);
    assert!(server.ledger.has("log 1 ISO8601"));
}

#[test]
fn every_request_is_told_when_somebody_wants_to_see_it() {
    let server = Server::start();
    server.assert_serves();
    server.post("/v2/logging", r#"{"log_verbose_level":1}"#);

    server.assert_serves();

    server.ledger.until("Verbose HTTP Post /v2/models/echo/infer -> 200 in ");
    assert_eq!(server.ledger.count("/v2/models/echo/infer"), 1);
}

#[test]
fn what_is_restricted_wants_its_header() {
    let rules = ["model-repository,health:key=secret", "inference:admin=x"];
    let http_restrictions = Restrictions::parse(rules, "").expect("good rules");
    let server = Server::start_with(Settings { http_restrictions, ..Settings::default() });
    let ask = |method: &str, path: &str, fields: &[(&str, &str)], body: &str| {
        let answer = server.connect().ask(method, path, fields, body.as_bytes());
        (answer.status, answer.text().to_owned())
    };

    let refused = |key: &str| (403, format!(r#"{{"error":"This API is restricted, expecting header '{key}'"}}"#));
    assert_eq!(ask("POST", "/v2/repository/index", &[], ""), refused("key"));
    assert_eq!(ask("GET", "/v2/health/live", &[("key", "secre")], ""), refused("key"));
    assert_eq!(ask("POST", "/v2/models/echo/infer", &[("key", "secret")], JSON), refused("admin"));
    assert_eq!(ask("GET", "/v2/health/live", &[("KEY", "secret")], "").0, 200);
    assert_eq!(ask("POST", "/v2/models/echo/infer", &[("admin", "x")], JSON).0, 200);
    assert_eq!(ask("GET", "/v2", &[], "").0, 200);
}
