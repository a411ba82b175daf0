//! `generate` and `generate_stream`, which speak flat JSON.

use crate::client::{Answer, Client, request};
use crate::server::Server;

const STREAM: &str = "/v2/models/stream/generate_stream";
const ONE: &str = "/v2/models/stream/generate";
const NOT_ONE: &str = r#"{"error":"generate expects model to produce exactly 1 response, use generate stream for model that generates various number of responses"}"#;

fn words(words: &[&str]) -> String {
    format!(r#"{{"INPUT0":{words:?}}}"#)
}

fn said(word: &str) -> String {
    format!(r#"{{"OUTPUT0":"{word}","model_name":"stream","model_version":"1"}}"#)
}

fn event(json: &str) -> String {
    format!("data: {json}\n\n")
}

fn short(answer: &Answer) -> (u16, &str, Option<&str>) {
    (answer.status, answer.text(), answer.field("Content-Type"))
}

/// Asks `stream` and leaves the answer to be read.
fn open(server: &Server, body: &str) -> Client {
    let mut client = server.connect();
    client.send(&request("POST", STREAM, &[], body.as_bytes()));
    client
}

#[test]
fn an_ordinary_model_generates_one_object() {
    let server = Server::start();
    for (path, body, expected) in [
        (
            "echo",
            r#"{"INPUT0":[1,2.5],"id":"7"}"#,
            r#"{"OUTPUT0":[1.0,2.5],"id":"7","model_name":"echo","model_version":"3"}"#,
        ),
        ("echo/versions/1", r#"{"INPUT0":1}"#, r#"{"OUTPUT0":1.0,"model_name":"echo","model_version":"1"}"#),
        ("words", r#"{"INPUT0":"hi \"you\""}"#, r#"{"OUTPUT0":"hi \"you\"","model_name":"words","model_version":"1"}"#),
        (
            "plain",
            r#"{"parameters":{"INPUT0":[1,2]}}"#,
            r#"{"OUTPUT0":[1.0,2.0],"model_name":"plain","model_version":"1"}"#,
        ),
    ] {
        let answer = server.post(&format!("/v2/models/{path}/generate"), body);
        assert_eq!(short(&answer), (200, expected, Some("application/json")));
        let answer = server.post(&format!("/v2/models/{path}/generate_stream"), body);
        assert_eq!(short(&answer), (200, &*event(expected), Some("text/event-stream; charset=utf-8")));
    }
}

#[test]
fn a_decoupled_model_has_to_generate_exactly_one_object() {
    let server = Server::start();
    for (asked, status, expected) in [
        (&["a"][..], 200, &*said("a")),
        (&["here", "last:a"], 200, &said("a")),
        (&["say:a"], 200, r#"{"OUTPUT0":"a","model_name":"stream","model_version":"1","said":"a"}"#),
        (&["a", "b"], 200, NOT_ONE),
        (&[], 200, NOT_ONE),
        (&["fail:no"], 500, r#"{"error":"no"}"#),
        (&["fail:no", "a"], 500, NOT_ONE),
        (&["a", "fail:no"], 200, NOT_ONE),
        (&["leave"], 500, r#"{"error":"the model let go of a request before its last answer"}"#),
    ] {
        let answer = server.post(ONE, &words(asked));
        assert_eq!((answer.status, answer.text()), (status, expected), "{asked:?}");
    }
}

#[test]
fn a_decoupled_model_generates_as_many_events_as_it_likes() {
    let server = Server::start();
    let error = event(r#"{"error":"no"}"#);
    for (asked, status, expected) in [
        (&["a", "b"][..], 200, event(&said("a")) + &event(&said("b"))),
        (&["here", "a", "last:b"], 200, event(&said("a")) + &event(&said("b"))),
        (&[], 200, String::new()),
        (&["here"], 200, String::new()),
        (&["fail:no", "b"], 500, error.clone() + &event(&said("b"))),
        (&["a", "fail:no", "b"], 200, event(&said("a")) + &error + &event(&said("b"))),
        (&["last:fail:no"], 500, error.clone()),
    ] {
        let answer = server.post(STREAM, &words(asked));
        assert_eq!(short(&answer), (status, &*expected, Some("text/event-stream; charset=utf-8")), "{asked:?}");
    }
}

#[test]
fn answers_are_counted_by_their_place() {
    let server = Server::start();
    server.post(STREAM, &words(&["a", "b"]));
    server.post(STREAM, &words(&["fail:no", "b"]));

    let told = server.get("/v2/models/stream/stats");

    let text: String =
        told.text().split("\"ns\":").map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit())).collect();
    let place = |count: [usize; 6]| {
        let names = ["compute_infer", "compute_output", "success", "fail", "empty_response", "cancel"];
        let counts: Vec<_> =
            names.iter().zip(count).map(|(name, count)| format!(r#""{name}":{{"count":{count},}}"#)).collect();
        format!("{{{}}}", counts.join(","))
    };
    let [first, second, third] = [place([1, 1, 1, 1, 0, 0]), place([2, 2, 2, 0, 0, 0]), place([0, 0, 0, 0, 2, 0])];
    let expected = format!(r#""response_stats":{{"0":{first},"1":{second},"2":{third}}},"batch_stats":"#);
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn events_come_as_the_model_tells_them_each_in_a_chunk_of_its_own() {
    let server = Server::start();
    server.gate.shut();
    let mut client = open(&server, &words(&["a", "b", "gate", "c"]));
    assert_eq!(client.head().expect("an answer").status, 200);
    for word in ["a", "b"] {
        assert_eq!(client.part(), Some(event(&said(word)).into_bytes()));
    }

    server.gate.open();

    assert_eq!(client.part(), Some(event(&said("c")).into_bytes()));
    assert_eq!(client.part(), None);
    // The connection goes on.
    assert_eq!(client.ask("GET", "/v2/health/live", &[], b"").status, 200);
}

#[test]
fn many_events_come_complete_and_in_their_order() {
    let server = Server::start();

    let answer = server.post(STREAM, &words(&["count:20000"]));

    let expected: String = (0..20_000).map(|number| event(&said(&number.to_string()))).collect();
    assert!(answer.text() == expected);
}

#[test]
fn a_reader_that_leaves_ends_the_models_work() {
    let server = Server::start();
    server.gate.shut();
    let mut client = open(&server, &words(&["a", "gate", "b"]));
    client.head().expect("an answer");
    server.gate.until_reached_by(1);

    drop(client);

    server.gate.until_cancelled();
}

#[test]
fn a_reader_that_leaves_before_the_first_event_ends_the_models_work_too() {
    for path in [STREAM, ONE] {
        let server = Server::start();
        server.gate.shut();
        let mut client = server.connect();
        client.send(&request("POST", path, &[], words(&["gate", "b"]).as_bytes()));
        server.gate.until_reached_by(1);

        drop(client);

        server.gate.until_cancelled();
    }
}

#[test]
fn who_speaks_http_1_0_reads_to_the_end_of_the_connection() {
    let server = Server::start();
    let mut client = server.connect();
    let body = words(&["a", "b"]);
    let length = body.len();
    let head = format!("POST {STREAM} HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {length}\r\n\r\n");
    client.send((head + &body).as_bytes());

    let answer = client.head().expect("an answer");

    assert_eq!((answer.field("Transfer-Encoding"), answer.closes()), (None, true));
    assert_eq!(client.rest(), (event(&said("a")) + &event(&said("b"))).into_bytes());
}

#[test]
fn a_drain_lets_a_stream_end() {
    let server = Server::start();
    server.gate.shut();
    let mut client = open(&server, &words(&["a", "gate", "b"]));
    client.head().expect("an answer");
    server.gate.until_reached_by(1);

    let plane = server.plane.clone();
    let drained = std::thread::spawn(move || plane.drain(std::time::Duration::from_secs(20)));
    while !server.plane.stopping() {
        std::thread::yield_now();
    }
    server.gate.open();

    assert_eq!(client.part(), Some(event(&said("a")).into_bytes()));
    assert_eq!(client.part(), Some(event(&said("b")).into_bytes()));
    assert_eq!(client.part(), None);
    assert!(client.is_hung_up());
    assert!(drained.join().expect("no panic"));
}

#[test]
fn what_cannot_be_generated_is_told_before_any_event() {
    let server = Server::start();
    for (path, fields, body, status, text) in [
        (STREAM, &[][..], "{", 400, "failed to parse the request JSON buffer: Missing a name for object member. at 1"),
        (
            STREAM,
            &[],
            r#"{"INPUT0":5}"#,
            400,
            "Unable to parse JSON bytes array: attempt to access JSON non-string as string",
        ),
        (
            STREAM,
            &[],
            "{}",
            400,
            "[request id: <id_unknown>] expected 1 inputs but got 0 inputs for model 'stream'. Got input(s) [], but missing required input(s) ['INPUT0']. Please provide all required input(s).",
        ),
        (
            STREAM,
            &[("Content-Encoding", "gzip")],
            r#"{"INPUT0":"a"}"#,
            400,
            "Unsupported content-encoding, only 'identity' is supported.",
        ),
        ("/v2/models/x/generate", &[], "{}", 404, "Request for unknown model: 'x' is not found"),
        (
            "/v2/models/plain/generate",
            &[],
            r#"{"INPUT0":[1,2,3]}"#,
            400,
            "The schema can not convert input 'INPUT0' to tensor with proper shape",
        ),
    ] {
        let answer = server.connect().ask("POST", path, fields, body.as_bytes());
        assert_eq!((answer.status, answer.text()), (status, &*format!(r#"{{"error":"{text}"}}"#)));
        assert_eq!(answer.field("Content-Type"), Some("application/json"));
    }
    let identity = [("Content-Encoding", "identity")];
    assert_eq!(server.connect().ask("POST", ONE, &identity, words(&["a"]).as_bytes()).status, 200);
    assert_eq!(server.get(ONE).status, 405);
    server.assert_serves();
}
