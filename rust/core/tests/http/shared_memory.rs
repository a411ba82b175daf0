//! Tensors that stay in the client's memory.

use crate::segment::Segment;
use crate::server::{JSON, JSON_ANSWER, Server};

const SYSTEM: &str = "/v2/systemsharedmemory";
const CUDA: &str = "/v2/cudasharedmemory";
const ECHO: &str = "/v2/models/echo/infer";

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn register(server: &Server, name: &str, segment: &Segment, byte_size: usize) {
    let body = format!(r#"{{"key":"{}","byte_size":{byte_size}}}"#, segment.key);
    let answer = server.post(&format!("{SYSTEM}/region/{name}/register"), &body);
    assert_eq!((answer.status, answer.text()), (200, ""));
}

fn ask(server: &Server, input: &str, output: &str) -> (u16, String) {
    let body = format!(
        r#"{{"inputs":[{{"name":"INPUT0","shape":[1,2],"datatype":"FP32","parameters":{input}}}],"outputs":[{{"name":"OUTPUT0","parameters":{output}}}]}}"#
    );
    let answer = server.post(ECHO, &body);
    (answer.status, answer.text().to_owned())
}

fn error(text: &str) -> String {
    format!(r#"{{"error":"{text}"}}"#)
}

#[test]
fn inputs_are_read_from_a_region_and_outputs_written_to_one() {
    let server = Server::start();
    let segment = Segment::new("http_infer", &floats(&[0.0, 1.0, 2.5, 0.0, 0.0, 0.0]));
    register(&server, "r", &segment, 24);

    let input = r#"{"shared_memory_region":"r","shared_memory_offset":4,"shared_memory_byte_size":8}"#;
    let shown = ask(&server, input, "{}");
    assert_eq!(shown, (200, JSON_ANSWER.to_owned()));

    let output = r#"{"shared_memory_region":"r","shared_memory_offset":12,"shared_memory_byte_size":12}"#;
    let elsewhere = JSON_ANSWER.replace(r#","data":[1.0,2.5]"#, "");
    assert_eq!(ask(&server, input, output), (200, elsewhere));
    assert_eq!(segment.floats(), [0.0, 1.0, 2.5, 1.0, 2.5, 0.0]);
}

#[test]
fn regions_are_shown_and_forgotten() {
    let server = Server::start();
    let segment = Segment::new("http_status", &floats(&[1.0, 2.0]));
    register(&server, "a%20b", &segment, 8);
    let row = format!(r#"[{{"name":"a b","key":"{}","offset":0,"byte_size":8}}]"#, segment.key);

    for path in ["/status", "/region/a%20b/status"] {
        assert_eq!(server.get(&format!("{SYSTEM}{path}")).text(), row);
    }
    let again = server
        .post(&format!("{SYSTEM}/region/a%20b/register"), &format!(r#"{{"key":"{}","byte_size":8}}"#, segment.key));
    assert_eq!((again.status, again.text()), (400, &*error("shared memory region 'a b' already in manager")));
    for path in ["/region/a%20b/unregister", "/region/a%20b/unregister", "/unregister"] {
        let answer = server.post(&format!("{SYSTEM}{path}"), "");
        assert_eq!((answer.status, answer.text()), (200, ""));
    }
    assert_eq!(server.get(&format!("{SYSTEM}/status")).text(), "[]");
    let gone = server.get(&format!("{SYSTEM}/region/a%20b/status"));
    assert_eq!((gone.status, gone.text()), (404, &*error("Unable to find system shared memory region: 'a b'")));
}

#[test]
fn a_registration_has_to_be_complete() {
    let server = Server::start();
    let segment = Segment::new("http_register", &floats(&[1.0, 2.0]));
    let key = &segment.key;
    for (path, body, text) in [
        ("/region/r/register", "{}".to_owned(), "Shared memory register request has no 'key' field"),
        ("/region/r/register", "[]".to_owned(), "Shared memory register request has no 'key' field"),
        (
            "/region/r/register",
            format!(r#"{{"key":"{key}"}}"#),
            "Shared memory register request has no 'byte_size' field",
        ),
        ("/region/r/register", r#"{"key":7,"byte_size":8}"#.to_owned(), "attempt to access JSON non-string as string"),
        (
            "/region/r/register",
            format!(r#"{{"key":"{key}","byte_size":-8}}"#),
            "attempt to access JSON non-unsigned-integer as unsigned-integer",
        ),
        (
            "/region/r/register",
            format!(r#"{{"key":"{key}","offset":1,"byte_size":8}}"#),
            "failed to register shared memory region 'r': invalid args",
        ),
        (
            "/register",
            format!(r#"{{"key":"{key}","byte_size":8}}"#),
            "'region name' is necessary to register system shared memory region",
        ),
        ("/region/r/register", String::new(), "failed to parse the request JSON buffer: The document is empty. at 0"),
    ] {
        let answer = server.post(&format!("{SYSTEM}{path}"), &body);
        assert_eq!((answer.status, answer.text()), (400, &*error(text)), "{body}");
    }
}

#[test]
fn a_place_in_a_region_has_to_be_right() {
    let server = Server::start();
    let segment = Segment::new("http_place", &floats(&[1.0, 2.5]));
    register(&server, "r", &segment, 8);
    let good = r#"{"shared_memory_region":"r","shared_memory_byte_size":8}"#;
    let bounds = "Invalid offset + byte size for shared memory region: 'r'";
    let mismatch =
        "[request id: <id_unknown>] input byte size mismatch for input 'INPUT0' for model 'echo'. Expected 8, got 4";
    let small = "shared memory size specified with the request for output 'OUTPUT0' (4 bytes) should be at least 8 bytes to hold the results";
    for (input, output, status, text) in [
        (r#"{"shared_memory_region":"r"}"#, "{}", 400, bounds),
        (
            r#"{"shared_memory_region":"x","shared_memory_byte_size":8}"#,
            "{}",
            404,
            "Unable to find shared memory region: 'x'",
        ),
        (
            r#"{"shared_memory_region":"r","shared_memory_byte_size":8,"shared_memory_offset":8}"#,
            "{}",
            400,
            "Invalid offset for shared memory region: 'r'",
        ),
        (r#"{"shared_memory_region":"r","shared_memory_byte_size":4}"#, "{}", 400, mismatch),
        (
            r#"{"shared_memory_region":7,"shared_memory_byte_size":4}"#,
            "{}",
            400,
            "Unable to parse 'shared_memory_region': attempt to access JSON non-string as string",
        ),
        (
            r#"{"shared_memory_region":"r","shared_memory_byte_size":"x"}"#,
            "{}",
            400,
            "Unable to parse 'shared_memory_byte_size': attempt to access JSON non-unsigned-integer as unsigned-integer",
        ),
        (good, r#"{"shared_memory_region":"r","shared_memory_byte_size":4}"#, 400, small),
        (good, r#"{"shared_memory_region":"r","shared_memory_byte_size":9}"#, 400, bounds),
        (
            good,
            r#"{"shared_memory_region":"r","shared_memory_byte_size":8,"classification":1}"#,
            400,
            "Output can't set both 'shared_memory_region' and 'classification'",
        ),
        (
            good,
            r#"{"shared_memory_region":"r","shared_memory_byte_size":8,"binary_data":true}"#,
            400,
            "Output can't set both 'shared_memory_region' and 'binary_data'",
        ),
    ] {
        assert_eq!(ask(&server, input, output), (status, error(text)), "{input} {output}");
    }
}

#[test]
fn a_client_that_shrinks_its_segment_harms_only_itself() {
    let server = Server::start();
    let segment = Segment::new("http_shrunk", &floats(&[1.0, 2.5]));
    register(&server, "r", &segment, 8);
    segment.shrink(4);

    let (status, text) = ask(&server, r#"{"shared_memory_region":"r","shared_memory_byte_size":8}"#, "{}");

    assert_eq!(status, 400);
    assert!(text.contains("has become smaller"), "{text}");
    assert_eq!(server.post(ECHO, JSON).text(), JSON_ANSWER);
}

#[test]
fn memory_of_gpus_is_refused() {
    let server = Server::start();
    let handle = "A".repeat(86);
    let valid = "'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t";
    for (path, body, status, text) in [
        ("/region/c/register", "{}".to_owned(), 400, "Shared memory register request has no 'raw_handle' field"),
        ("/region/c/register", r#"{"raw_handle":{"b64":"A"},"device_id":0,"byte_size":8}"#.to_owned(), 400, valid),
        (
            "/region/c/register",
            format!(r#"{{"raw_handle":{{"b64":"{handle}"}},"device_id":0}}"#),
            400,
            "attempt to access non-existing object member 'byte_size'",
        ),
        (
            "/region/c/register",
            format!(r#"{{"raw_handle":{{"b64":"{handle}"}},"device_id":0,"byte_size":8}}"#),
            501,
            "failed to register CUDA shared memory region: 'c', GPUs not supported",
        ),
        ("/register", "{}".to_owned(), 400, "'region name' is necessary to register cuda shared memory region"),
    ] {
        let answer = server.post(&format!("{CUDA}{path}"), &body);
        assert_eq!((answer.status, answer.text()), (status, &*error(text)), "{body}");
    }
    assert_eq!(server.get(&format!("{CUDA}/status")).text(), "[]");
    let unknown = server.get(&format!("{CUDA}/region/c/status"));
    assert_eq!((unknown.status, unknown.text()), (404, &*error("Unable to find cuda shared memory region: 'c'")));
    assert_eq!(server.post(&format!("{CUDA}/region/c/unregister"), "").status, 200);
}
