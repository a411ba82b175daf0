//! Where requests lead, and what is answered besides inference.

use crate::client::Client;
use crate::server::{JSON, Server};

#[test]
fn every_route_answers_with_its_status_its_type_and_its_body() {
    let server = Server::start();
    let json = Some("application/json");
    let echo = r#"{"name":"echo","versions":["1","3"],"platform":"mirror","inputs":[{"name":"INPUT0","datatype":"FP32","shape":[-1,-1]}],"outputs":[{"name":"OUTPUT0","datatype":"FP32","shape":[-1,-1]}]}"#;
    let plain = r#"{"name":"plain","versions":["1"],"platform":"mirror","inputs":[{"name":"INPUT0","datatype":"FP32","shape":[2]}],"outputs":[{"name":"OUTPUT0","datatype":"FP32","shape":[2]}]}"#;
    let metadata = r#"{"name":"windlass","version":"1.2.3","extensions":["classification","sequence","model_repository","schedule_policy","model_configuration","system_shared_memory","binary_tensor_data","parameters","statistics","trace","logging"]}"#;
    for (path, content_type, body) in [
        ("/v2/health/live", None, ""),
        ("/v2/health/ready", None, ""),
        ("/v2/models/echo/ready", None, ""),
        ("/v2/models/echo/versions/1/ready", None, ""),
        ("/v2", json, metadata),
        ("/v2?a=b", json, metadata),
        ("http://somewhere:1/v2", json, metadata),
        ("/v2/models/echo", json, echo),
        ("/v2/models/echo/versions/3", json, &echo.replace(r#""1","3""#, r#""3""#)),
        ("/v2/models/plain", json, plain),
        ("/v2/models/%65cho/config", json, r#"{"name":"echo"}"#),
        ("/v2/models/odd%20name%2fx/versions/1/config", json, r#"{"name":"odd name/x"}"#),
        ("/health", json, r#"{"live":true}"#),
        ("/ready", json, r#"{"ready":true}"#),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.text()), (200, body), "{path}");
        assert_eq!(answer.field("Content-Type"), content_type, "{path}");
    }
}

#[test]
fn an_unknown_path_is_not_found_and_a_known_one_wants_its_method() {
    let server = Server::start();
    for path in [
        "/",
        "/v1",
        "/v2/",
        "/v2/health",
        "/v2/models",
        "/v2/models/echo/",
        "/v2/models/echo/infer/",
        "/v2/models/echo/versions",
        "/v2/models/echo/versions/x",
        "/v2/models/echo/versions/-1/infer",
        "/v2/models/echo/generated",
        "/v2/repository/models/echo",
        "/predict/echo/x",
        "/a/b/c/d/e/f/g/h/i/j/k",
        "/v2/%zz",
        "*",
        "/v2/models//infer",
    ] {
        for method in ["GET", "POST"] {
            let answer = server.connect().ask(method, path, &[], b"");
            assert_eq!((answer.status, answer.text()), (404, r#"{"error":"Not Found"}"#), "{method} {path}");
            assert_eq!(answer.field("Content-Type"), None, "{path}");
        }
    }
    for (method, path) in [
        ("POST", "/v2/health/live"),
        ("POST", "/v2"),
        ("POST", "/v2/models/stats"),
        ("PUT", "/v2/models/echo"),
        ("GET", "/v2/models/echo/infer"),
        ("DELETE", "/v2/models/echo/versions/1/infer"),
        ("GET", "/v2/repository/index"),
        ("GET", "/v2/repository/models/echo/load"),
        ("GET", "/predict"),
    ] {
        let answer = server.connect().ask(method, path, &[], b"");
        assert_eq!((answer.status, answer.text()), (405, r#"{"error":"Method Not Allowed"}"#), "{method} {path}");
        assert_eq!(answer.field("Content-Type"), Some("application/json"), "{method} {path}");
    }
}

#[test]
fn a_server_that_is_not_ready_says_so() {
    let server = Server::bare();
    for (path, status, body) in [
        ("/v2/health/live", 200, ""),
        ("/v2/health/ready", 400, ""),
        ("/health", 200, r#"{"live":true}"#),
        ("/ready", 503, r#"{"ready":false}"#),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.text()), (status, body), "{path}");
    }
    server.plane.start();
    assert_eq!(server.get("/v2/health/ready").status, 200);
}

#[test]
fn a_model_that_is_not_there_is_told_in_the_words_of_the_protocol() {
    let server = Server::start();
    let unknown = "Request for unknown model: 'x' is not found";
    let version = "Request for unknown model: 'echo' version 2 is not found";
    for (path, status, message) in [
        ("/v2/models/x", 404, unknown),
        ("/v2/models/x/ready", 404, unknown),
        ("/v2/models/x/config", 404, unknown),
        ("/v2/models/x/stats", 400, "requested model 'x' is not available"),
        ("/v2/models/echo/versions/2", 404, version),
        ("/v2/models/echo/versions/2/ready", 404, version),
        ("/v2/models/echo/versions/2/config", 404, version),
        ("/v2/models/echo/versions/2/stats", 400, "requested model version is not available for model 'echo'"),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.text()), (status, format!("{{\"error\":\"{message}\"}}").as_str()), "{path}");
        assert_eq!(answer.field("Content-Type"), Some("application/json"), "{path}");
    }
    for path in ["/v2/models/x/infer", "/v2/models/x/versions/7/infer", "/predict/x"] {
        let answer = server.post(path, JSON);
        assert!(answer.status == 404 && answer.text().contains("Request for unknown model: 'x'"), "{}", answer.text());
    }
    let answer = server.post("/v2/models/echo/versions/99999999999999999999/infer", JSON);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("version should be an integral value > 0"), "{}", answer.text());
}

#[test]
fn statistics_count_what_was_asked() {
    let server = Server::start();
    server.assert_serves();
    server.assert_serves();
    let answer = server.get("/v2/models/echo/versions/3/stats");
    let text = answer.text();
    assert!(text.starts_with(r#"{"model_stats":[{"name":"echo","version":"3","last_inference":1"#), "{text}");
    assert!(
        text.contains(r#""inference_count":2,"execution_count":2,"inference_stats":{"success":{"count":2,"ns":"#),
        "{text}"
    );
    for member in ["fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"] {
        assert!(text.contains(&format!(r#""{member}":{{"count":"#)), "{member}: {text}");
    }
    assert!(text.contains(r#""batch_stats":[{"batch_size":1,"compute_input":{"count":2,"#), "{text}");
    assert_eq!(server.get("/v2/models/echo/stats").text().matches("\"name\"").count(), 2);
    assert_eq!(server.get("/v2/models/stats").text().matches("\"name\"").count(), 7);
}

#[test]
fn the_metrics_page_has_a_listener_of_its_own() {
    let server = Server::start();
    server.assert_serves();
    let ask = |method: &str, path: &str| Client::connect(server.metrics).ask(method, path, &[], b"");
    let page = ask("GET", "/metrics");
    assert_eq!((page.status, page.field("Content-Type")), (200, Some("text/plain; charset=utf-8")));
    assert!(page.text().contains("nv_inference_request_success{model=\"echo\",version=\"3\"} 1\n"), "{}", page.text());
    assert_eq!((ask("POST", "/metrics").status, ask("GET", "/v2").status), (405, 404));
    assert_eq!(server.get("/metrics").status, 404);
}
