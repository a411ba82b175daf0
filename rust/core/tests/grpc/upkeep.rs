//! Connections that are old, and connections whose client has gone without a word.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use windlass_core::frontend::grpc::Upkeep;
use windlass_core::plane::{Plane, Settings};

use crate::client::{INFER, request};
use crate::site::Ledger;

const MOMENT: Duration = Duration::from_millis(30);
const PATIENCE: Duration = Duration::from_secs(20);
const PING: u8 = 6;
const GOAWAY: u8 = 7;

fn serve(upkeep: Upkeep) -> (Arc<Plane>, SocketAddr) {
    let settings =
        Settings { grpc: Some("127.0.0.1:0".into()), reactors: 1, grpc_upkeep: upkeep, ..Settings::default() };
    let plane = Arc::new(Plane::new(settings, Arc::<Ledger>::default()));
    let address = plane.listen().expect("a free port").grpc.expect("it is served");
    (plane, address)
}

/// A client that introduces itself and is silent from then on.
async fn silent(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("it listens");
    socket
}

/// The type of the next frame; `None` at the end.
async fn frame(socket: &mut TcpStream) -> Option<u8> {
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    socket.read_exact(&mut vec![0; length]).await.ok()?;
    Some(head[3])
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_given_up() {
    let (_plane, address) = serve(Upkeep { keepalive_time: MOMENT, keepalive_timeout: MOMENT, ..Upkeep::default() });
    let mut socket = silent(address).await;
    let mut seen = Vec::new();

    while let Some(kind) = timeout(PATIENCE, frame(&mut socket)).await.expect("an end") {
        seen.push(kind);
    }

    assert!(seen.contains(&PING), "{seen:?}");
}

#[tokio::test]
async fn a_client_without_calls_is_left_in_peace_where_that_is_asked() {
    let upkeep = Upkeep {
        keepalive_time: MOMENT,
        keepalive_timeout: MOMENT,
        keepalive_without_calls: false,
        ..Upkeep::default()
    };
    let (_plane, address) = serve(upkeep);
    let mut socket = silent(address).await;
    let mut seen = Vec::new();

    while let Ok(kind) = timeout(5 * MOMENT, frame(&mut socket)).await {
        seen.push(kind.expect("the connection stays"));
    }
    assert!(!seen.contains(&PING), "{seen:?}");

    // With a call in flight it is asked, and answers, since a real client does.
    let (mut client, connection) =
        h2::client::handshake(TcpStream::connect(address).await.expect("a connection")).await.expect("HTTP/2");
    let living = tokio::spawn(connection);
    let (_response, _stream) = client.send_request(request(INFER), false).expect("a stream");
    assert!(timeout(5 * MOMENT, living).await.is_err(), "a client that answers is kept");
}

#[tokio::test]
async fn an_old_connection_is_told_to_go() {
    let (_plane, address) = serve(Upkeep { max_age: Some(MOMENT), ..Upkeep::default() });
    let mut socket = silent(address).await;
    let mut seen = Vec::new();

    while !seen.contains(&GOAWAY) {
        seen.extend(timeout(PATIENCE, frame(&mut socket)).await.expect("a word"));
    }
}

#[tokio::test]
async fn an_old_connection_whose_call_does_not_end_is_cut_off() {
    let upkeep = Upkeep { max_age: Some(MOMENT), max_age_grace: Some(MOMENT), ..Upkeep::default() };
    let (_plane, address) = serve(upkeep);
    let socket = TcpStream::connect(address).await.expect("a connection");
    let (mut client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    let living = tokio::spawn(connection);
    let (response, _unfinished) = client.send_request(request(INFER), false).expect("a stream");

    timeout(PATIENCE, response).await.expect("an end").expect_err("nobody answered");
    let _ = timeout(PATIENCE, living).await.expect("an end").expect("no panic");
}
