//! Connections that begin, break and end in every way.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::client::{Client, request};
use crate::server::{JSON, JSON_ANSWER, LIMIT, Server};

const ECHO: &str = "/v2/models/echo/infer";
const HELD: &str = r#"{"inputs":[{"name":"INPUT0","shape":[1,1],"datatype":"FP32","data":[5]}]}"#;

fn ask_held(server: &Server) -> Client {
    let mut client = server.connect();
    client.send(&request("POST", "/v2/models/held/infer", &[], HELD.as_bytes()));
    client
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let server = Server::start();
    let mut client = server.connect();
    let length = format!("{}", 1_u64 << 62);
    client.send(format!("POST {ECHO} HTTP/1.1\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n").as_bytes());
    let answer = client.receive();
    let expected =
        format!("request JSON size of {length} bytes exceeds the maximum allowed input size of {LIMIT} bytes.");
    assert!(answer.status == 400 && answer.text().contains(&expected), "{}", answer.text());
    assert!(answer.closes());

    // A client that sends everything before it looks for an answer finds one all the same.
    let mut client = server.connect();
    client.send(&request("POST", ECHO, &[], &vec![b' '; 20 * LIMIT]));
    assert_eq!(client.receive().status, 400);
    client.finish();
    assert!(client.is_hung_up());

    let at_limit = format!("{JSON}{}", " ".repeat(LIMIT - JSON.len()));
    assert_eq!(server.post(ECHO, &at_limit).text(), JSON_ANSWER);
}

#[test]
fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let server = Server::start();
    let mut client = server.connect();
    let head = format!("POST {ECHO} HTTP/1.1\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n", JSON.len());
    client.send(head.as_bytes());
    assert_eq!(client.receive().status, 100);
    client.send(JSON.as_bytes());
    assert_eq!(client.receive().text(), JSON_ANSWER);
}

#[test]
fn a_request_that_is_cut_off_is_told_so() {
    let server = Server::start();
    for (text, message) in [
        (format!("POST {ECHO} HTT"), "the connection ended within the request head"),
        (
            format!("POST {ECHO} HTTP/1.1\r\nContent-Length: 99\r\n\r\n{{"),
            "the connection ended after 1 of 99 bytes of the request body",
        ),
        (
            format!("POST {ECHO} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
            "the connection ended before the last chunk of the request body",
        ),
    ] {
        let mut client = server.connect();
        client.send(text.as_bytes());
        client.finish();
        let answer = client.receive();
        assert_eq!((answer.status, answer.text()), (400, format!("{{\"error\":\"{message}\"}}").as_str()));
        assert!(answer.closes() && client.is_hung_up());
    }
    server.assert_serves();
}

#[test]
fn what_is_no_http_is_refused_and_the_connection_closed() {
    let server = Server::start();
    let many = format!("GET /v2 HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101));
    let long = format!("GET /v2 HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(70_000));
    for (text, status) in [
        ("\u{1}\u{2}\u{3}\r\n\r\n", 400),
        ("GET\r\n\r\n", 400),
        ("GET /v2 HTTP/3.0\r\n\r\n", 505),
        ("GET /v2 HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("POST /v2 HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST /v2 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ("POST /v2 HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST /v2 HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (&many, 431),
        (&long, 431),
    ] {
        let mut client = server.connect();
        client.send(text.as_bytes());
        client.finish();
        let answer = client.receive();
        assert!(answer.status == status && answer.closes(), "{text}: {answer:?}");
        assert!(client.is_hung_up(), "{text}");
    }
    server.assert_serves();
}

#[test]
fn too_many_chunks_are_too_many() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(format!("POST {ECHO} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes());
    client.send(&b"1\r\n \r\n".repeat(65_537));
    let answer = client.receive();
    let message = "Chunked request body exceeds maximum of 65536 non-empty chunks. Send fewer or larger HTTP chunks.";
    assert_eq!((answer.status, answer.text()), (400, format!("{{\"error\":\"{message}\"}}").as_str()));
    assert!(answer.closes());
}

#[test]
fn a_request_may_come_in_any_pieces() {
    let server = Server::start();
    let text = request("POST", ECHO, &[], JSON.as_bytes());
    for step in [1, 2, 50] {
        let mut client = server.connect();
        for piece in text.chunks(step) {
            client.send(piece);
        }
        assert_eq!(client.receive().text(), JSON_ANSWER, "{step}");
    }
}

#[test]
fn a_model_learns_that_its_client_went_away() {
    let (server, gate) = Server::with_gate();
    let client = ask_held(&server);
    gate.until_reached_by(1);
    drop(client);
    gate.until_cancelled();
}

#[test]
fn what_arrives_during_a_request_is_answered_after_it() {
    let (server, gate) = Server::with_gate();
    let mut client = ask_held(&server);
    gate.until_reached_by(1);
    client.send(b"GET /health HTTP/1.1\r\n\r\n");
    gate.open();
    assert!(client.receive().text().ends_with("\"data\":[5.0]}]}"));
    assert_eq!(client.receive().text(), r#"{"live":true}"#);
}

#[test]
fn a_client_that_goes_away_in_the_middle_of_anything_leaves_the_server_serving() {
    let server = Server::start();
    let body = vec![b' '; 300_000];
    let text = request("POST", ECHO, &[], &body);
    for length in [0, 1, 20, 100, 5_000, 299_000, text.len()] {
        let mut client = server.connect();
        client.send(&text[..length]);
    }
    let mut unread = server.connect();
    for _ in 0..200 {
        // Answers that nobody reads; the server stops reading rather than keep them all.
        if unread.try_send(&request("GET", "/v2/models/stats", &[], b"")).is_err() {
            break;
        }
    }
    drop(unread);
    server.assert_serves();
}

#[test]
fn many_connections_are_served_side_by_side() {
    let server = Server::start();
    let idle: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(server.http).expect("it listens")).collect();
    let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&request("POST", ECHO, &[], JSON.as_bytes()));
    }
    for client in &mut clients {
        assert_eq!(client.receive().text(), JSON_ANSWER);
    }
    drop(idle);
    server.assert_serves();
}

#[test]
fn a_server_on_its_way_out_finishes_what_it_has_and_takes_nothing_new() {
    let (server, gate) = Server::with_gate();
    let mut busy = ask_held(&server);
    gate.until_reached_by(1);
    let mut idle = server.connect();
    assert_eq!(idle.ask("GET", "/v2/health/ready", &[], b"").status, 200);
    let mut late = server.connect();
    late.send(b"POST /v2/models/held/infer HTTP/1.1\r\n");
    assert_eq!(idle.ask("GET", "/v2/health/live", &[], b"").status, 200);

    let plane = server.plane.clone();
    let drained = thread::spawn(move || plane.drain(Duration::from_secs(20)));
    assert!(idle.is_hung_up(), "an idle connection is closed at once");
    late.send(format!("Content-Length: {}\r\n\r\n{HELD}", HELD.len()).as_bytes());
    let refused = late.receive();
    assert_eq!((refused.status, refused.text()), (503, r#"{"error":"Server exiting"}"#));
    assert!(refused.closes());
    assert!(TcpStream::connect(server.http).is_err(), "nobody listens any more");

    gate.open();
    let answer = busy.receive();
    assert!(answer.status == 200 && answer.closes(), "{answer:?}");
    drop((busy, late));
    assert!(drained.join().expect("no panic"), "everything is finished in time");
}

#[test]
fn a_server_that_is_closed_drops_everything() {
    let (server, gate) = Server::with_gate();
    let mut busy = ask_held(&server);
    gate.until_reached_by(1);
    assert!(!server.plane.drain(Duration::ZERO));
    gate.open();
    server.plane.close(Duration::from_secs(1));
    // The answer may just have made it.
    while busy.try_receive().is_some() {}
}
