//! Conversations over an in-memory stream, with the clock in hand.

use bytes::BufMut;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;

/// Answers with the target and the body it was asked with; `/wait` is never answered.
struct Mirror;

impl Service for Mirror {
    async fn answer(&self, head: &Head, body: BytesMut) -> Response {
        if &head.target[..] == b"/wait" {
            std::future::pending::<()>().await;
        }
        let mut echo = BytesMut::from(&head.target[..]);
        echo.put_u8(b' ');
        echo.extend_from_slice(&body);
        Response::json(echo)
    }

    fn max_body_bytes(&self) -> usize {
        1000
    }
}

fn open() -> (DuplexStream, tokio::task::JoinHandle<io::Result<()>>) {
    let (client, server) = duplex(1 << 16);
    (client, tokio::spawn(Connection::new(server, Mirror, Arc::default()).serve()))
}

/// Sends something, hangs up the sending side, and returns all that came back.
async fn converse(text: &[u8]) -> String {
    let (mut client, served) = open();
    client.write_all(text).await.expect("there is room");
    client.shutdown().await.expect("it is open");
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).await.expect("it is readable");
    let _ = served.await.expect("no panic");
    String::from_utf8_lossy(&answers).into_owned()
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let answers =
        converse(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.0\r\n\r\n")
            .await;
    let bodies: Vec<&str> =
        answers.split("\r\n\r\n").skip(1).map(|part| part.split("HTTP").next().unwrap_or("")).collect();
    assert_eq!(bodies, ["/a hi", "/b ", "/c "]);
    assert_eq!(answers.matches("Connection: close").count(), 1);
}

#[tokio::test]
async fn a_chunked_body_and_an_expectation_are_understood() {
    let request = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let answers = converse(request).await;
    assert!(answers.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "{answers}");
    assert!(answers.ends_with("/a hi"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let (mut client, _served) = open();
    client.write_all(b"POST /a HTTP/1.1\r\nContent-Length: 1001\r\n\r\n").await.expect("there is room");
    let mut answer = vec![0; 4096];
    let count = client.read(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("exceeds the maximum allowed input size"),
        "{answer}"
    );
    assert!(answer.contains("Connection: close"));
}

#[tokio::test]
async fn a_body_may_arrive_in_parts() {
    let (mut client, _served) = open();
    let head = b"POST /a HTTP/1.1\r\nContent-Length: 12\r\nInference-Header-Content-Length: 5\r\n\r\n";
    client.write_all(head).await.expect("there is room");
    tokio::task::yield_now().await;
    client.write_all(b"12345").await.expect("there is room");
    tokio::task::yield_now().await;
    client.write_all(b"tensors").await.expect("there is room");
    let mut answer = vec![0; 4096];
    let count = client.read(&mut answer).await.expect("an answer");
    assert!(answer[..count].ends_with(b"/a 12345tensors"));
}

#[tokio::test(start_paused = true)]
async fn a_head_or_a_body_that_does_not_arrive_in_time_ends_the_connection() {
    for start in ["POST /a HTT", "POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"] {
        let (mut client, served) = open();
        client.write_all(start.as_bytes()).await.expect("there is room");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("readable");
        assert!(answer.starts_with("HTTP/1.1 408"), "{start}: {answer}");
        drop(client);
        served.await.expect("no panic").expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_without_a_word() {
    let (mut client, _served) = open();
    let start = Instant::now();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("readable");
    assert_eq!((answer.as_str(), start.elapsed()), ("", IDLE_PATIENCE));
}

#[tokio::test]
async fn a_client_that_hangs_up_is_not_waited_for() {
    let (mut client, served) = open();
    client.write_all(b"GET /wait HTTP/1.1\r\n\r\n").await.expect("there is room");
    tokio::task::yield_now().await;
    drop(client);
    let _ = served.await.expect("it ends");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_hang(bytes in prop::collection::vec(any::<u8>(), 0..300), plausible in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let mut text = if plausible { b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec() } else { Vec::new() };
        text.extend(bytes);
        let answers = runtime.block_on(converse(&text));
        prop_assert!(answers.is_empty() || answers.starts_with("HTTP/1.1 "));
        prop_assert!(!answers.contains("HTTP/1.1 500"));
    }
}
