//! Requests that are right, in every form.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::client::{Answer, request};
use crate::server::{JSON, JSON_ANSWER, Server};
use crate::site::Declared;

const ECHO: &str = "/v2/models/echo/infer";

/// JSON with tensors behind it.
fn binary(server: &Server, path: &str, json: &str, tail: &[u8]) -> Answer {
    let length = json.len().to_string();
    let fields = [("Inference-Header-Content-Length", length.as_str())];
    server.connect().ask("POST", path, &fields, &[json.as_bytes(), tail].concat())
}

/// Takes an answer apart into its JSON and what follows.
fn parts(answer: &Answer) -> (&str, &[u8]) {
    let length = answer.field("Inference-Header-Content-Length").expect("a length").parse().expect("a number");
    let (json, tail) = answer.body.split_at(length);
    (std::str::from_utf8(json).expect("a text"), tail)
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn json_is_answered_with_json() {
    let server = Server::start();
    let answer = server.post(ECHO, JSON);
    assert_eq!((answer.status, answer.text()), (200, JSON_ANSWER));
    assert_eq!(answer.field("Content-Type"), Some("application/json"));
    assert_eq!(answer.field("Inference-Header-Content-Length"), None);
    let older = server.post("/v2/models/echo/versions/1/infer", JSON);
    assert_eq!(older.text(), JSON_ANSWER.replace(r#""3""#, r#""1""#));
}

#[test]
fn an_id_nested_arrays_several_rows_and_a_choice_of_outputs_are_understood() {
    let server = Server::start();
    let body = r#"{"id":"a \"b\"","parameters":{"mine":1},"inputs":[{"name":"INPUT0","shape":[2,2],"datatype":"FP32",
        "data":[[1,2],[3,4e0]]}],"outputs":[{"name":"OUTPUT0"}]}"#;
    let expected = r#"{"id":"a \"b\"","model_name":"echo","model_version":"3","outputs":[{"name":"OUTPUT0","datatype":"FP32","shape":[2,2],"data":[1.0,2.0,3.0,4.0]}]}"#;
    assert_eq!(server.post(ECHO, body).text(), expected);
    let pair = r#"{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"INT32","data":[7,-8]},
        {"name":"INPUT1","shape":[1,1],"datatype":"FP16","parameters":{"binary_data_size":2}}],"outputs":[{"name":"OUTPUT0"}]}"#;
    let answer = binary(&server, "/v2/models/pair/infer", pair, &[0, 60]);
    assert!(
        answer.text().ends_with(r#""outputs":[{"name":"OUTPUT0","datatype":"INT32","shape":[1,2],"data":[7,-8]}]}"#),
        "{}",
        answer.text()
    );
}

#[test]
fn tensors_travel_behind_the_json_in_both_directions() {
    let server = Server::start();
    for width in [2, 2_000, 200_000] {
        let values: Vec<f32> = (0..width).map(|index| index as f32 / 2.0).collect();
        let tail = bytes(&values);
        let json = format!(
            r#"{{"parameters":{{"binary_data_output":true}},"inputs":[{{"name":"INPUT0","shape":[1,{width}],"datatype":"FP32","parameters":{{"binary_data_size":{}}}}}]}}"#,
            tail.len()
        );
        let answer = binary(&server, ECHO, &json, &tail);
        assert_eq!((answer.status, answer.field("Content-Type")), (200, Some("application/octet-stream")));
        let (json, outputs) = parts(&answer);
        assert!(
            json.ends_with(&format!(r#""shape":[1,{width}],"parameters":{{"binary_data_size":{}}}}}]}}"#, tail.len())),
            "{json}"
        );
        assert!(outputs == tail, "{width}");
    }
}

#[test]
fn inputs_and_outputs_may_each_be_json_or_binary() {
    let server = Server::start();
    let json = r#"{"inputs":[{"name":"INPUT1","shape":[1,1],"datatype":"FP16","parameters":{"binary_data_size":2}},
        {"name":"INPUT0","shape":[1,2],"datatype":"INT32","data":[7,-8]}],
        "outputs":[{"name":"OUTPUT1","parameters":{"binary_data":true}},{"name":"OUTPUT0","parameters":{"binary_data":false}}]}"#;
    let answer = binary(&server, "/v2/models/pair/infer", json, &[1, 60]);
    let (json, tail) = parts(&answer);
    assert!(json.contains(r#"{"name":"OUTPUT0","datatype":"INT32","shape":[1,2],"data":[7,-8]}"#), "{json}");
    assert_eq!(tail, [1, 60]);
}

#[test]
fn a_body_may_be_nothing_but_the_bytes_of_the_only_input() {
    let server = Server::start();
    let answer = binary(&server, ECHO, "", &bytes(&[1.5, 2.5, 3.5]));
    let (json, tail) = parts(&answer);
    assert!(json.contains(r#""shape":[1,3]"#), "{json}");
    assert_eq!(tail, bytes(&[1.5, 2.5, 3.5]));
    let answer = binary(&server, "/v2/models/words/infer", "", b"a whole text");
    assert_eq!(parts(&answer).1, b"\x0c\0\0\0a whole text");
}

#[test]
fn texts_travel_as_json_and_as_bytes() {
    let server = Server::start();
    let answer = server.post(
        "/v2/models/words/infer",
        r#"{"inputs":[{"name":"INPUT0","shape":[2,1],"datatype":"BYTES","data":["\u00e4\n",""]}]}"#,
    );
    assert!(answer.text().ends_with("\"data\":[\"ä\\n\",\"\"]}]}"), "{}", answer.text());
    let json = r#"{"inputs":[{"name":"INPUT0","shape":[1,1],"datatype":"BYTES","parameters":{"binary_data_size":6}}]}"#;
    let answer = binary(&server, "/v2/models/words/infer", json, b"\x02\0\0\0hi");
    assert!(answer.text().ends_with("\"data\":[\"hi\"]}]}"), "{}", answer.text());
}

#[test]
fn a_model_without_a_batch_dimension_takes_its_shape_as_it_is() {
    let server = Server::start();
    let body = r#"{"inputs":[{"name":"INPUT0","shape":[2],"datatype":"FP32","data":[0.1,1e10]}]}"#;
    let answer = server.post("/v2/models/plain/infer", body);
    assert!(
        answer.text().ends_with(r#""shape":[2],"data":[0.10000000149011612,10000000000.0]}]}"#),
        "{}",
        answer.text()
    );
}

#[test]
fn people_who_know_no_protocol_are_answered_in_kind() {
    let server = Server::start();
    for (path, body, expected) in [
        ("/predict/echo", r#"{"INPUT0": [[1, 2], [3, 4]]}"#, r#"{"OUTPUT0":[[1.0,2.0],[3.0,4.0]]}"#),
        ("/predict/echo", r#"{"INPUT0": [1, 2]}"#, r#"{"OUTPUT0":[1.0,2.0]}"#),
        ("/predict/words", r#"{"INPUT0": "hi"}"#, r#"{"OUTPUT0":["hi"]}"#),
        ("/predict/odd%20name%2Fx", r#"{"INPUT0": [[5]]}"#, r#"{"OUTPUT0":[[5.0]]}"#),
    ] {
        let answer = server.post(path, body);
        assert_eq!((answer.status, answer.text()), (200, expected), "{path} {body}");
    }
    let several = server.post("/predict", "{}");
    assert_eq!(several.status, 400);
    assert!(
        several.text().contains("several models are served") && several.text().contains("/predict/echo"),
        "{}",
        several.text()
    );
    assert_eq!(Server::bare().post("/predict", "{}").status, 404);
    let (alone, gate) = Server::with_gate();
    gate.open();
    assert_eq!(alone.post("/predict", r#"{"INPUT0": [[5]]}"#).text(), r#"{"OUTPUT0":[[5.0]]}"#);
}

#[test]
fn bodies_may_come_in_chunks() {
    let server = Server::start();
    let mut client = server.connect();
    for step in [1, 7, JSON.len()] {
        let mut body = Vec::new();
        for chunk in JSON.as_bytes().chunks(step) {
            body.extend(format!("{:X};ext=1\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
        }
        body.extend(b"0\r\nTrailer: x\r\n\r\n");
        let answer = client.ask("POST", ECHO, &[("Transfer-Encoding", "chunked")], &body);
        assert_eq!((answer.status, answer.text()), (200, JSON_ANSWER), "{step}");
    }
}

#[test]
fn bodies_are_unpacked_and_answers_packed_as_the_client_wishes() {
    let server = Server::start();
    let gzip = |plain: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory")
    };
    let deflate = |plain: &[u8]| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory")
    };
    let body = JSON.as_bytes();
    for (encoding, packed) in
        [("gzip", gzip(body)), ("deflate", deflate(body)), ("identity", body.to_vec()), ("", body.to_vec())]
    {
        for (accepted, expected) in [
            ("gzip", Some("gzip")),
            ("br, deflate;q=0.7, gzip;q=0.2", Some("deflate")),
            ("identity", None),
            ("br", None),
        ] {
            let fields = [("Content-Encoding", encoding), ("Accept-Encoding", accepted)];
            let answer = server.connect().ask("POST", ECHO, &fields, &packed);
            assert_eq!((answer.status, answer.field("Content-Encoding")), (200, expected), "{encoding} {accepted}");
            let mut plain = String::new();
            let _ = match expected {
                Some("gzip") => GzDecoder::new(&answer.body[..]).read_to_string(&mut plain),
                Some(_) => ZlibDecoder::new(&answer.body[..]).read_to_string(&mut plain),
                None => (&answer.body[..]).read_to_string(&mut plain),
            }
            .expect("it can be unpacked");
            assert_eq!(plain, JSON_ANSWER);
        }
    }
    // Lengths of JSON and tensors are those of what is unpacked; long bodies are unpacked on a thread of their own.
    let values: Vec<f32> = (0..50_000).map(|index| (index * 7919 % 1009) as f32).collect();
    let json = r#"{"parameters":{"binary_data_output":true},"inputs":[{"name":"INPUT0","shape":[1,50000],"datatype":"FP32","parameters":{"binary_data_size":200000}}]}"#;
    let length = json.len().to_string();
    let fields = [
        ("Inference-Header-Content-Length", length.as_str()),
        ("Content-Encoding", "gzip"),
        ("Accept-Encoding", "gzip"),
    ];
    let packed = gzip(&[json.as_bytes(), &bytes(&values)].concat());
    let mut answer = server.connect().ask("POST", ECHO, &fields, &packed);
    let mut plain = Vec::new();
    GzDecoder::new(&answer.body[..]).read_to_end(&mut plain).expect("it can be unpacked");
    answer.body = plain;
    assert!(parts(&answer).1 == bytes(&values));
}

#[test]
fn long_json_is_read_and_written() {
    let server = Server::start();
    let numbers = vec!["1.25"; 100_000].join(",");
    let body = format!(r#"{{"inputs":[{{"name":"INPUT0","shape":[1,100000],"datatype":"FP32","data":[{numbers}]}}]}}"#);
    let answer = server.post(ECHO, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().ends_with(&format!("\"data\":[{numbers}]}}]}}")));
    let answer = server.post("/predict/echo", &format!(r#"{{"INPUT0":[[{numbers}]]}}"#));
    assert!(answer.text() == format!(r#"{{"OUTPUT0":[[{numbers}]]}}"#));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start();
    let mut client = server.connect();
    let ask = |value: usize| request("POST", ECHO, &[], JSON.replace("2.5", &format!("{value}.5")).as_bytes());
    client.send(&(0..100).flat_map(ask).collect::<Vec<u8>>());
    for value in 0..100 {
        assert_eq!(client.receive().text(), JSON_ANSWER.replace("2.5", &format!("{value}.5")));
    }
}

#[test]
fn the_largest_elements_of_an_output_come_with_their_labels() {
    let server = Server::start();
    server.publish(&Declared::labelled());
    let ask = |outputs: &str| {
        let body = format!(
            r#"{{"inputs":[{{"name":"INPUT0","shape":[2,3],"datatype":"FP32","data":[1,3,2,6,5,-4]}}],"outputs":[{{"name":"OUTPUT0","parameters":{outputs}}}]}}"#
        );
        server.post("/v2/models/labelled/infer", &body)
    };
    let expected = r#""outputs":[{"name":"OUTPUT0","datatype":"BYTES","shape":[2,2],"data":["3.000000:1:dog","2.000000:2","6.000000:0:cat","5.000000:1:dog"]}]}"#;
    let answer = ask(r#"{"classification":2}"#);
    assert_eq!(answer.status, 200);
    assert!(answer.text().ends_with(expected), "{}", answer.text());
    let answer = ask(r#"{"classification":1,"binary_data":true}"#);
    let (json, tail) = parts(&answer);
    assert!(json.ends_with(r#""datatype":"BYTES","shape":[2,1],"parameters":{"binary_data_size":36}}]}"#), "{json}");
    assert_eq!(&tail[..18], b"\x0e\x00\x00\x003.000000:1:dog");
    // None is as good as no wish.
    assert!(ask(r#"{"classification":0}"#).text().contains(r#""datatype":"FP32""#));
}
