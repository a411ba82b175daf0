//! The repository: its index, loading and unloading.

use windlass_core::catalog::State;

use crate::server::Server;

#[test]
fn the_index_tells_what_is_known_and_leaves_out_what_is_empty() {
    let server = Server::start();
    server.plane.announce("broken", Some(1), State::Unavailable, "Internal: no such file");
    server.plane.announce("coming", Some(2), State::Loading, "");
    server.plane.announce("twice", None, State::Unavailable, "model appears in two or more repositories");
    let answer = server.post("/v2/repository/index", "");
    let text = answer.text();
    for row in [
        r#"{"name":"echo","version":"1","state":"READY"},{"name":"echo","version":"3","state":"READY"}"#,
        r#"{"name":"broken","version":"1","state":"UNAVAILABLE","reason":"Internal: no such file"}"#,
        r#"{"name":"coming","version":"2","state":"LOADING"}"#,
        r#"{"name":"twice","state":"UNAVAILABLE","reason":"model appears in two or more repositories"}"#,
    ] {
        assert!(text.contains(row), "{row} in {text}");
    }
    let ready = server.post("/v2/repository/index", r#"{"ready":true}"#);
    assert_eq!((ready.text().matches("READY").count(), ready.text().matches("name").count()), (7, 8));
    assert_eq!(server.get("/v2/health/ready").status, 400);
    for (path, message) in [
        ("/v2/models/coming/versions/2/infer", "Request for unknown model: 'coming' version 2 is not at ready state"),
        ("/v2/models/coming/infer", "Request for unknown model: 'coming' has no available versions"),
    ] {
        let answer = server.post(path, "{}");
        assert!(answer.text().contains(message), "{}", answer.text());
    }
    assert_eq!(server.get("/v2/models/coming/ready").text(), r#"{"error":"Model version not ready"}"#);
    assert_eq!(server.get("/v2/models/coming/ready").status, 400);
}

#[test]
fn loading_and_unloading_is_left_to_the_owner_of_the_repository() {
    let server = Server::start();
    for (path, body, asked) in [
        ("load", "", "load a b []"),
        ("load", "{}", "load a b []"),
        ("load", r#"{"parameters":{}}"#, "load a b []"),
        ("load", r#"{"parameters":{"config":"{}"}}"#, r#"load a b [("config", Text("{}"))]"#),
        (
            "load",
            r#"{"parameters":{"file:1/model.onnx":"aGk="}}"#,
            r#"load a b [("file:1/model.onnx", Bytes([104, 105]))]"#,
        ),
        ("unload", "", "unload a b false"),
        ("unload", r#"{"parameters":{"unload_dependents":true}}"#, "unload a b true"),
    ] {
        let answer = server.post(&format!("/v2/repository/models/a%20b/{path}"), body);
        assert_eq!((answer.status, answer.text(), answer.field("Content-Type")), (200, "", None), "{path} {body}");
        assert_eq!(server.ledger.last(), asked);
    }
    let file = "A".repeat(800_000);
    let answer = server.post("/v2/repository/models/m/load", &format!(r#"{{"parameters":{{"file:x":"{file}"}}}}"#));
    assert_eq!(answer.status, 200);
    assert!(server.ledger.last().len() > 600_000);
}

#[test]
fn what_cannot_be_loaded_is_told() {
    let server = Server::start();
    for (path, body, status, message) in [
        ("/v2/repository/models/broken/load", "", 500, "failed to load 'broken', failed to poll from model repository"),
        ("/v2/repository/models/m/load", "{", 400, "failed to parse the request JSON buffer: "),
        ("/v2/repository/models/m/load", r#"{"parameters":[]}"#, 400, "attempt to get members for non-object"),
        (
            "/v2/repository/models/m/load",
            r#"{"parameters":{"colour":"red"}}"#,
            400,
            "unexpected error on creating Triton parameter",
        ),
        (
            "/v2/repository/models/m/load",
            r#"{"parameters":{"config":1.5}}"#,
            400,
            "attempt to access JSON non-string as string",
        ),
        (
            "/v2/repository/models/m/load",
            r#"{"parameters":{"file:a":"no base64"}}"#,
            400,
            "'file:a' is not valid base64",
        ),
        ("/v2/repository/models/m/unload", r#"{"parameters":{"unload_dependents":1}}"#, 400, "non-boolean as boolean"),
        ("/v2/repository/mine/models/m/load", "", 501, "'repository_name' specification is not supported"),
        ("/v2/repository/mine/models/m/unload", "", 501, "'repository_name' specification is not supported"),
        ("/v2/repository/index", r#"{"ready":1}"#, 400, "Invalid value for 'ready': expected a boolean"),
        ("/v2/repository/index", "[", 400, "failed to parse the request JSON buffer: "),
    ] {
        let answer = server.post(path, body);
        assert!(answer.text().contains(message), "{path} {body}: {}", answer.text());
        assert_eq!(answer.status, status, "{path} {body}");
    }
}
