//! Clients that go away, and a server that does.

use std::time::Duration;

use prost::Message;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_blocking};
use tonic::Code;
use windlass_core::proto::inference::{ServerLiveRequest, ServerLiveResponse};

use crate::client::{Client, RawClient, framed, row};
use crate::server::Server;

fn drain(server: &Server) -> JoinHandle<bool> {
    let plane = server.plane.clone();
    spawn_blocking(move || plane.drain(Duration::from_secs(20)))
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_abandoned() {
    let server = Server::start();
    server.gate.shut();
    let mut client = Client::new(&server).await;
    let mut waiting = client.clone();
    let call = tokio::spawn(async move { waiting.infer(row(&[1.0])).await });
    server.gate.reached().await;

    call.abort();

    server.gate.cancelled().await;
    server.gate.open();
    client.infer(row(&[1.0])).await.expect("the connection still serves");
}

#[tokio::test]
async fn a_connection_that_breaks_abandons_its_calls() {
    let server = Server::start();
    server.gate.shut();
    let address = server.address;
    let call = tokio::spawn(async move {
        let socket = TcpStream::connect(address).await.expect("a connection");
        let (mut client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
        let (response, mut stream) =
            client.send_request(crate::client::request(crate::client::INFER), false).expect("a stream");
        stream.send_data(framed(0, &row(&[1.0]).encode_to_vec()), true).expect("a stream");
        // The socket goes with the connection when the task is aborted.
        let _ = connection.await;
        drop(response);
    });
    server.gate.reached().await;

    call.abort();

    server.gate.cancelled().await;
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_takes_nothing_new() {
    let server = Server::start();
    server.gate.shut();
    let mut client = Client::new(&server).await;
    let mut waiting = client.clone();
    let call = tokio::spawn(async move { waiting.infer(row(&[1.0])).await });
    server.gate.reached().await;

    let drained = drain(&server);
    while !server.plane.stopping() {
        tokio::task::yield_now().await;
    }
    let late = client.infer(row(&[2.0])).await.expect_err("too late");
    // Told by the server, or by the client itself once it has heard the goodbye.
    assert!(matches!(late.code(), Code::Unavailable | Code::Cancelled), "{late}");
    server.gate.open();

    assert_eq!(call.await.expect("no panic").expect("an answer").raw_output_contents.concat(), 1.0_f32.to_le_bytes());
    assert!(drained.await.expect("no panic"));
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_a_drain() {
    let server = Server::start();
    let mut used = Client::new(&server).await;
    let _: ServerLiveResponse = used.call("ServerLive", ServerLiveRequest {}).await.expect("an answer");
    let _raw = RawClient::new(server.address).await;
    let _silent = TcpStream::connect(server.address).await.expect("a connection");

    assert!(drain(&server).await.expect("no panic"));
}

#[tokio::test]
async fn a_port_is_free_again_when_its_server_has_drained() {
    let server = Server::start();

    assert!(drain(&server).await.expect("no panic"));

    assert!(TcpStream::connect(server.address).await.is_err());
}
