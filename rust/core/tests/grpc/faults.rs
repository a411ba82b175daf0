//! Clients that break the rules of the wire.

use bytes::Bytes;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, INFER, RawClient, framed, request, row};
use crate::server::Server;

#[tokio::test]
async fn messages_that_are_none_are_the_clients_fault() {
    let server = Server::start();
    let mut client = RawClient::new(server.address).await;
    let good = framed(0, &row(&[1.0]).encode_to_vec());
    for (body, status, text) in [
        (Bytes::new(), 3, "the request ended before its message was complete"),
        (good.slice(..3), 3, "the request ended before its message was complete"),
        (good.slice(..good.len() - 1), 3, "the request ended before its message was complete"),
        (framed(7, b""), 3, "the message has compression flag 7, expected 0 or 1"),
        (framed(1, b""), 13, "the message is flagged as compressed, but no 'grpc-encoding' tells how"),
        (
            Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]),
            8,
            "Received message larger than max (4294967295 vs. 2147483647)",
        ),
    ] {
        assert_eq!(client.infer(body).await.expect("an answer").status(), (status, text));
    }
    let garbage = client.infer(framed(0, &[0xff; 40])).await.expect("an answer");
    assert_eq!(garbage.status().0, 3, "{garbage:?}");
    assert_eq!(client.infer(good).await.expect("it still serves").status(), (0, ""));
}

#[tokio::test]
async fn an_encoding_that_is_not_known_is_refused_with_those_that_are() {
    let server = Server::start();
    let mut head = request(INFER);
    head.headers_mut().insert("grpc-encoding", "snappy".parse().expect("a value"));

    let answer = RawClient::new(server.address).await.send(head, framed(1, b"x")).await.expect("an answer");

    assert_eq!(answer.status().0, 12);
    assert_eq!(answer.headers["grpc-accept-encoding"], "identity,deflate,gzip");
}

#[tokio::test]
async fn bytes_that_only_claim_to_be_compressed_are_the_clients_fault() {
    let server = Server::start();
    for encoding in ["gzip", "deflate"] {
        let mut head = request(INFER);
        head.headers_mut().insert("grpc-encoding", encoding.parse().expect("a value"));

        let answer = RawClient::new(server.address).await.send(head, framed(1, &[7; 200])).await.expect("an answer");

        assert_eq!(answer.status().0, 3, "{answer:?}");
    }
}

#[tokio::test]
async fn a_deadline_that_is_none_is_refused() {
    let server = Server::start();
    let mut head = request(INFER);
    head.headers_mut().insert("grpc-timeout", "soon".parse().expect("a value"));

    let answer = RawClient::new(server.address).await.send(head, framed(0, b"")).await.expect("an answer");

    let expected = "'grpc-timeout' is 'soon', expected up to eight digits and one of H, M, S, m, u, n";
    assert_eq!(answer.status(), (3, expected));
}

#[tokio::test]
async fn other_protocols_over_http2_are_turned_away() {
    let server = Server::start();
    let mut client = RawClient::new(server.address).await;
    let mut json = request(INFER);
    json.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
    let mut get = request(INFER);
    *get.method_mut() = http::Method::GET;

    assert_eq!(client.send(json, Bytes::new()).await.expect("an answer").http, 415);
    assert_eq!(client.send(get, Bytes::new()).await.expect("an answer").http, 405);
}

#[tokio::test]
async fn a_name_too_long_for_a_header_still_gets_its_status() {
    let server = Server::start();
    let mut message = row(&[1.0]);
    message.model_name = "é".repeat(100_000);

    let answer = Client::new(&server).await.infer(message).await.expect_err("a failure");

    assert_eq!(answer.code(), tonic::Code::NotFound);
    assert!(answer.message().starts_with("Request for unknown model: 'éé"), "{}", answer.message());
    assert!(answer.message().ends_with("..."), "{}", answer.message());
}

#[tokio::test]
async fn what_is_not_http2_is_hung_up_on() {
    let server = Server::start();
    let mut socket = TcpStream::connect(server.address).await.expect("a connection");
    socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("a connection");

    let mut answer = Vec::new();
    // Hung up on is what either end of this can look like.
    let _ = socket.read_to_end(&mut answer).await;

    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{answer:?}");
    Client::new(&server).await.infer(row(&[1.0])).await.expect("it still serves");
}
