//! Requests that are wrong: each gets its own words, and the server goes on.

use crate::server::{JSON, LIMIT, Server};

/// Asks with these fields and this body; returns status and text.
fn ask(server: &Server, path: &str, fields: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let answer = server.connect().ask("POST", path, fields, body);
    assert_eq!(answer.field("Content-Type"), Some("application/json"), "{path}");
    let text = answer.text();
    let message = text.strip_prefix("{\"error\":\"").and_then(|text| text.strip_suffix("\"}"));
    (answer.status, message.unwrap_or_else(|| panic!("an error, not {text}")).to_owned())
}

#[test]
fn what_is_wrong_with_the_json_is_told() {
    let server = Server::start();
    let deep = format!("{{\"inputs\":{}", "[".repeat(200));
    for (body, message) in [
        ("", "failed to parse the request JSON buffer: The document is empty. at 0"),
        ("?", "failed to parse the request JSON buffer: Invalid value. at 0"),
        ("{\"inputs\":[}", "failed to parse the request JSON buffer: Invalid value. at 11"),
        (&deep, "JSON nesting depth exceeds maximum allowed limit (100)"),
        ("{}", "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
        ("[]", "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
        (r#"{"inputs":1}"#, "Unable to parse 'inputs': attempt to access JSON non-array as array"),
        (r#"{"inputs":[{}]}"#, "Unable to parse 'name': attempt to access non-existing object member 'name'"),
        (
            r#"{"inputs":[{"name":"INPUT0"}]}"#,
            "Unable to parse 'datatype': attempt to access non-existing object member 'datatype'",
        ),
        (
            r#"{"inputs":[{"name":"INPUT0","datatype":"FP32"}]}"#,
            "Unable to parse 'shape': attempt to access non-existing object member 'shape'",
        ),
        (
            r#"{"parameters":{"triton_x":1},"inputs":[]}"#,
            "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
        ),
    ] {
        let (status, found) = ask(&server, "/v2/models/echo/infer", &[], body.as_bytes());
        assert_eq!((status, found.as_str()), (400, message), "{body}");
    }
    server.assert_serves();
}

/// A request for `echo` with this shape, type and data.
fn input(shape: &str, datatype: &str, data: &str) -> String {
    format!(r#"{{"inputs":[{{"name":"INPUT0","shape":{shape},"datatype":"{datatype}",{data}}}]}}"#)
}

#[test]
fn what_is_wrong_with_an_input_is_told() {
    let server = Server::start();
    let two = r#""data":[1,2]"#;
    let both = r#""data":[1,2],"parameters":{"binary_data_size":8}"#;
    let none = "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in 'parameters'. ";
    for (body, message) in [
        (input("[1,2]", "FP32", r#""x":1"#), format!("{none}But no field is set")),
        (input("[1,2]", "FP32", both), format!("{none}But set 'data' 'binary_data_size'")),
        (input("[1,2]", "FP32", r#""data":3"#), "Unable to parse 'data': attempt to access JSON non-array as array".into()),
        (input("[1,2]", "FP32", r#""data":[1]"#), "Failed to parse 'data' field: shape does not match true shape".into()),
        (input("[1,2]", "FP32", r#""data":[1,2,3]"#), "Unable to parse 'data': Shape does not match true shape of 'data' field".into()),
        (input("[1,-2]", "FP32", two), "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer".into()),
        (input("[1,2.0]", "FP32", two), "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer".into()),
        (input("[1,2]", "NONE", two), "invalid datatype for input INPUT0".into()),
        (input("[1,2]", "FP16", two), "receiving FP16 data via JSON is not supported. Please use the binary data format for input INPUT0".into()),
        (input("[9,2]", "FP32", &format!("\"data\":[{}1]", "1,".repeat(17))), "[request id: <id_unknown>] inference request batch-size must be <= 8 for 'echo'".into()),
        (input("[1,2]", "INT32", two), "[request id: <id_unknown>] inference input 'INPUT0' data-type is 'INT32', but model 'echo' expects 'FP32'".into()),
        (input("[]", "FP32", r#""data":[1]"#), "[request id: <id_unknown>] input 'INPUT0' has no shape but model requires batch dimension for 'echo'".into()),
        (input("[1,1,2]", "FP32", two), "[request id: <id_unknown>] unexpected shape for input 'INPUT0' for model 'echo'. Expected [-1,-1], got [1,1,2]. NOTE: ".into()),
        (input("[1,9223372036854775807]", "FP32", two), "byte size overflow for input 'INPUT0': ".into()),
        (input("[4294967296,4294967296]", "FP32", two), "invalid shape for input 'INPUT0': shape [4294967296,4294967296] causes total element count to exceed maximum size of 9223372036854775807".into()),
        (input("[1,999999]", "FP32", two), format!("JSON input 'INPUT0' has a byte_size (3999996 bytes) that exceeds the maximum allowed value of {LIMIT} bytes. Use --http-max-input-size to increase the limit.")),
        (JSON.replace("INPUT0", "INPUT9"), "unexpected inference input 'INPUT9' for model 'echo'".into()),
        (r#"{"id":"7","inputs":[]}"#.into(), "[request id: 7] expected 1 inputs but got 0 inputs for model 'echo'. Got input(s) [], but missing required input(s) ['INPUT0']. Please provide all required input(s).".into()),
        (JSON.replace("]}]}", "]}],\"outputs\":[{\"name\":\"O\"}]}"), "unexpected inference output 'O' for model 'echo'".into()),
    ] {
        let (status, found) = ask(&server, "/v2/models/echo/infer", &[], body.as_bytes());
        assert!(found.starts_with(&message), "{body}: {found}, not {message}");
        assert_eq!(status, 400, "{body}");
    }
    server.assert_serves();
}

#[test]
fn what_is_wrong_with_the_tensors_behind_the_json_is_told() {
    let server = Server::start();
    let json = r#"{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}"#;
    let wrong_size = json.replace("8}", "4}");
    let huge_size = json.replace("8}", "18446744073709551615}");
    let words =
        r#"{"inputs":[{"name":"INPUT0","shape":[1,1],"datatype":"BYTES","parameters":{"binary_data_size":6}}]}"#;
    let eight = [0; 8];
    for (path, json, tail, message) in [
        (
            "echo",
            json,
            &eight[..7],
            "unexpected size for input 'INPUT0', expecting 1 additional bytes for model 'echo'",
        ),
        ("echo", json, b"", "unexpected size for input 'INPUT0', expecting 8 additional bytes for model 'echo'"),
        ("echo", json, &[0; 9], "unexpected additional input data for model 'echo'"),
        (
            "echo",
            &wrong_size,
            &[0; 4],
            "[request id: <id_unknown>] input byte size mismatch for input 'INPUT0' for model 'echo'. Expected 8, got 4",
        ),
        (
            "echo",
            &huge_size,
            &eight,
            "unexpected size for input 'INPUT0', expecting 18446744073709551607 additional bytes for model 'echo'",
        ),
        (
            "words",
            words,
            b"\xff\0\0\0hi",
            "incomplete string data for inference input 'INPUT0', expecting string of length 255",
        ),
        (
            "words",
            words,
            b"\x01\0\0\0hi",
            "[request id: <id_unknown>] unexpected number of string elements 2 for inference input 'INPUT0' for model 'words', expecting 1",
        ),
    ] {
        let length = json.len().to_string();
        let fields = [("Inference-Header-Content-Length", length.as_str())];
        let body = [json.as_bytes(), tail].concat();
        let (status, found) = ask(&server, &format!("/v2/models/{path}/infer"), &fields, &body);
        assert!(status == 400 && found.starts_with(message), "{status} {found}, not {message}");
    }
    let without = ask(&server, "/v2/models/echo/infer", &[], json.as_bytes());
    assert_eq!(without.0, 400);
    for (length, message) in [
        ("x", "Unable to parse Inference-Header-Content-Length, got: x"),
        ("-1", &format!("inference header size should be in range (0, {}), got: -1", JSON.len())),
        ("9999", &format!("inference header size should be in range (0, {}), got: 9999", JSON.len())),
        (
            "9223372036854775807",
            &format!("inference header size should be in range (0, {}), got: 9223372036854775807", JSON.len()),
        ),
        ("18446744073709551615", "Unable to parse Inference-Header-Content-Length, got: 18446744073709551615"),
    ] {
        let fields = [("Inference-Header-Content-Length", length)];
        assert_eq!(ask(&server, "/v2/models/echo/infer", &fields, JSON.as_bytes()), (400, message.to_owned()));
    }
    server.assert_serves();
}

#[test]
fn what_the_server_does_not_offer_is_told() {
    let server = Server::start();
    let decoupled = "HTTP end point doesn't support models with decoupled transaction policy";
    for (path, body, message) in [("/v2/models/stream/infer", JSON, decoupled), ("/predict/stream", "{}", decoupled)] {
        assert_eq!(ask(&server, path, &[], body.as_bytes()), (501, message.to_owned()));
    }
}

#[test]
fn what_cannot_be_unpacked_is_told() {
    let server = Server::start();
    let answer = server.connect().ask("POST", "/v2/models/echo/infer", &[("Content-Encoding", "br")], b"x");
    assert_eq!((answer.status, answer.text()), (501, r#"{"error":"Unsupported compression type"}"#));
    assert_eq!(answer.field("Accept-Encoding"), Some("gzip, deflate"));
    // A model that is not there is told first.
    let answer = server.connect().ask("POST", "/v2/models/x/infer", &[("Content-Encoding", "br")], b"x");
    assert_eq!(answer.status, 404);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut bomb, &vec![b' '; LIMIT + 1]).expect("memory");
    for (body, message) in [
        (Vec::new(), "nothing to be decompressed".to_owned()),
        (b"no gzip at all".to_vec(), "the request body cannot be decompressed: ".to_owned()),
        (b"\x1f\x8b\x08".to_vec(), "the request body cannot be decompressed: ".to_owned()),
        (
            bomb.finish().expect("memory"),
            format!("Decompressed data size exceeds the maximum allowed value of {LIMIT} bytes. "),
        ),
    ] {
        let (status, found) = ask(&server, "/v2/models/echo/infer", &[("Content-Encoding", "gzip")], &body);
        assert!(status == 400 && found.starts_with(&message), "{status} {found}");
    }
    server.assert_serves();
}

#[test]
fn what_is_wrong_with_a_plain_prediction_is_told() {
    let server = Server::start();
    for (path, body, message) in [
        ("echo", "[1]", "expected an object with the inputs of model 'echo' by name: 'INPUT0'"),
        ("echo", r#"{"X":[1]}"#, "unexpected inference input 'X' for model 'echo', which has 'INPUT0'"),
        ("echo", r#"{"INPUT0":[[1,2],[3]]}"#, "input 'INPUT0': the arrays differ in length"),
        ("echo", "{", "failed to parse the request JSON buffer: "),
        ("echo", r#"{"INPUT0":["a"]}"#, "Unable to parse 'data': attempt to access JSON non-number as double"),
        (
            "plain",
            r#"{"INPUT0":[1,2,3]}"#,
            "[request id: <id_unknown>] unexpected shape for input 'INPUT0' for model 'plain'. Expected [2], got [3]. ",
        ),
        (
            "pair",
            r#"{"INPUT0":[1,2]}"#,
            "[request id: <id_unknown>] expected 2 inputs but got 1 inputs for model 'pair'.",
        ),
    ] {
        let (status, found) = ask(&server, &format!("/predict/{path}"), &[], body.as_bytes());
        assert!(status == 400 && found.starts_with(message), "{body}: {status} {found}, not {message}");
    }
}
