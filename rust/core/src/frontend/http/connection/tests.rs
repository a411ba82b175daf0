//! Conversations over an in-memory stream, with the clock in hand.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: usize = 4 << 20;

/// Answers with the target and the body it was asked with. `/wait` is never answered, `/slow` after a second, `/big` with many parts, and
/// `/place` with how far the tensors are from an aligned address.
struct Mirror;

impl Service for Mirror {
    async fn answer(&self, head: &Head, body: BytesMut) -> Response {
        let mut echo = BytesMut::from(&head.target[..]);
        match &head.target[..] {
            b"/wait" => std::future::pending().await,
            b"/slow" => tokio::time::sleep(SECOND).await,
            b"/big" => {
                return Response { tail: vec![Bytes::from(vec![b'x'; 40_000]); 100], ..Response::json(echo) };
            }
            b"/place" => {
                let json = head.json_length.as_deref().and_then(|text| std::str::from_utf8(text).ok());
                let json: usize = json.and_then(|text| text.parse().ok()).expect("a length");
                echo.put_slice(format!(" {}", (body.as_ptr() as usize + json) % 64).as_bytes());
                return Response::json(echo);
            }
            _ => {}
        }
        echo.put_u8(b' ');
        echo.extend_from_slice(&body);
        Response::json(echo)
    }

    fn max_body_bytes(&self) -> usize {
        LIMIT
    }
}

type Served = tokio::task::JoinHandle<io::Result<()>>;

fn open() -> (DuplexStream, Served) {
    let (client, served, _) = open_with_signals();
    (client, served)
}

fn open_with_signals() -> (DuplexStream, Served, Arc<Signals>) {
    let (client, server) = duplex(1 << 16);
    let signals: Arc<Signals> = Arc::default();
    (client, tokio::spawn(Connection::new(server, Mirror, Arc::clone(&signals)).serve()), signals)
}

/// Sends something, hangs up the sending side, and returns all that came back.
async fn converse(text: &[u8]) -> String {
    let (mut client, served) = open();
    client.write_all(text).await.expect("there is room");
    client.shutdown().await.expect("it is open");
    let answers = rest(&mut client).await;
    let _ = served.await.expect("no panic");
    answers
}

/// All that comes until the server hangs up.
async fn rest(client: &mut DuplexStream) -> String {
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).await.expect("it is readable");
    String::from_utf8_lossy(&answers).into_owned()
}

/// What comes next.
async fn next(client: &mut DuplexStream) -> String {
    let mut answer = vec![0; 4096];
    let count = client.read(&mut answer).await.expect("it is readable");
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

fn bodies(answers: &str) -> Vec<&str> {
    answers.split("\r\n\r\n").skip(1).map(|part| part.split("HTTP").next().unwrap_or("")).collect()
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let answers =
        converse(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.0\r\n\r\n")
            .await;
    assert_eq!(bodies(&answers), ["/a hi", "/b ", "/c "]);
    assert_eq!(answers.matches("Connection: close").count(), 1);
}

#[tokio::test]
async fn pipelined_answers_leave_together() {
    let (mut client, _served) = open();
    client.write_all(&b"GET /a HTTP/1.1\r\n\r\n".repeat(20)).await.expect("there is room");
    assert_eq!(bodies(&next(&mut client).await).len(), 20);
}

#[tokio::test(start_paused = true)]
async fn what_arrives_while_a_request_is_answered_is_kept_and_what_is_answered_is_not_held_back() {
    let (mut client, _served) = open();
    client.write_all(b"GET /a HTTP/1.1\r\n\r\nGET /slow HTTP/1.1\r\n\r\nGET /b HT").await.expect("there is room");
    let start = Instant::now();
    assert_eq!(bodies(&next(&mut client).await), ["/a "]);
    assert_eq!(start.elapsed(), Duration::ZERO);
    client.write_all(b"TP/1.1\r\n\r\n").await.expect("there is room");
    assert_eq!(bodies(&next(&mut client).await), ["/slow ", "/b "]);
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test]
async fn a_request_that_could_be_read_in_two_ways_ends_the_connection() {
    for (framing, body) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("Content-Length: 5\r\nContent-Length: 0", "hello"),
        ("Content-Length: +5", "hello"),
        ("Content-Length: 5,5", "hello"),
        ("Content-Length : 5", "hello"),
        ("Content-Length: 0x5", "hello"),
        ("Transfer-Encoding: identity, chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n folded", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "+5\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "5\nhello\n0\n\n"),
        ("Transfer-Encoding: chunked", "5\r\nhello!\r\n0\r\n\r\n"),
    ] {
        let text = format!("POST /a HTTP/1.1\r\n{framing}\r\n\r\n{body}GET /smuggled HTTP/1.1\r\n\r\n");
        let answers = converse(text.as_bytes()).await;
        assert!(answers.starts_with("HTTP/1.1 400") || answers.starts_with("HTTP/1.1 501"), "{framing}: {answers}");
        assert_eq!(bodies(&answers).len(), 1, "{framing}: {answers}");
        assert!(answers.contains("Connection: close"), "{framing}: {answers}");
    }
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte_after_blank_lines() {
    let (mut client, _served) = open();
    for byte in b"\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n" {
        client.write_all(&[*byte]).await.expect("there is room");
        tokio::task::yield_now().await;
    }
    assert_eq!(bodies(&next(&mut client).await), ["/a "]);
}

#[tokio::test]
async fn what_is_no_http_is_told_so_without_waiting_for_more() {
    for (text, status) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..], "400"),
        (b"GET /a HTTP/2.0\r\n\r\n", "505"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
        (b"POST /a HTTP/1.1\r\nExpect: a miracle\r\n\r\n", "417"),
        (b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    ] {
        let (mut client, _served) = open();
        client.write_all(text).await.expect("there is room");
        let answer = next(&mut client).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let (mut client, _served) = open();
    client.write_all(b"GET /a HTTP/1.1\r\nX: ").await.expect("there is room");
    let (mut from, mut to) = tokio::io::split(client);
    let flood = tokio::spawn(async move { while to.write_all(&[b'x'; 1000]).await.is_ok() {} });
    let mut answer = [0; 12];
    from.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 431");
    flood.abort();
}

#[tokio::test]
async fn an_old_client_is_told_that_the_connection_stays() {
    let answers = converse(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n").await;
    assert_eq!(bodies(&answers), ["/a ", "/b "]);
    assert!(answers.contains("Connection: keep-alive") && answers.contains("Connection: close"), "{answers}");
}

#[tokio::test]
async fn a_head_request_is_told_the_length_and_sent_no_body() {
    let answers = converse(b"HEAD /a HTTP/1.1\r\n\r\nHEAD /big HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n").await;
    assert_eq!(bodies(&answers), ["", "", "/b "]);
    assert!(answers.contains("Content-Length: 3\r\n") && answers.contains("Content-Length: 4000004\r\n"), "{answers}");
}

#[tokio::test]
async fn a_large_answer_arrives_whole_and_in_order() {
    let answers = converse(b"GET /a HTTP/1.1\r\n\r\nGET /big HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n").await;
    let big = format!("/big{}", "x".repeat(4_000_000));
    assert!(bodies(&answers) == ["/a ", &big, "/b "], "{} bytes", answers.len());
}

#[tokio::test]
async fn a_chunked_body_and_an_expectation_are_understood() {
    let request = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let answers = converse(request).await;
    assert!(answers.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "{answers}");
    assert!(answers.ends_with("/a hi"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read_and_the_client_lives_to_hear_it() {
    let chunk = format!("{:x}\r\n", LIMIT + 1);
    for (framing, start) in
        [(format!("Content-Length: {}", LIMIT + 1), ""), ("Transfer-Encoding: chunked".to_owned(), chunk.as_str())]
    {
        let (mut client, served) = open();
        client
            .write_all(format!("POST /a HTTP/1.1\r\n{framing}\r\n\r\n{start}").as_bytes())
            .await
            .expect("there is room");
        let answer = next(&mut client).await;
        let complaint = format!("exceeds the maximum allowed input size of {LIMIT} bytes");
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(&complaint), "{answer}");
        assert!(answer.contains("Connection: close"), "{answer}");
        // Most clients look for an answer only when all is sent.
        client.write_all(&vec![0; LIMIT + 1]).await.expect("it is taken");
        drop(client);
        served.await.expect("no panic").expect("an orderly end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_hangs_up_is_not_waited_for_long() {
    let (mut client, served) = open();
    let start = Instant::now();
    client.write_all(b"nonsense\r\n\r\n").await.expect("there is room");
    served.await.expect("no panic").expect("an orderly end");
    assert_eq!(start.elapsed(), SECOND);
    let (mut client, served) = open();
    let start = Instant::now();
    client.write_all(b"nonsense\r\n\r\n").await.expect("there is room");
    while client.write_all(b"and more").await.is_ok() {
        tokio::time::sleep(SECOND / 2).await;
    }
    served.await.expect("no panic").expect("an orderly end");
    assert!(start.elapsed() < REQUEST_PATIENCE + SECOND);
}

#[tokio::test]
async fn a_body_may_arrive_in_parts_and_its_tensors_are_aligned() {
    for length in [12, 5000, 2 << 20] {
        let (mut client, _served) = open();
        let head =
            format!("POST /place HTTP/1.1\r\nContent-Length: {length}\r\nInference-Header-Content-Length: 5\r\n\r\n");
        client.write_all(head.as_bytes()).await.expect("there is room");
        for part in vec![0; length].chunks(length / 3) {
            tokio::task::yield_now().await;
            client.write_all(part).await.expect("there is room");
        }
        client.write_all(b"GET /b HTTP/1.1\r\n\r\n").await.expect("there is room");
        let mut answers = next(&mut client).await;
        if bodies(&answers).len() < 2 {
            answers += &next(&mut client).await;
        }
        assert_eq!(bodies(&answers), ["/place 0", "/b "], "{length}");
    }
}

#[tokio::test]
async fn a_chunked_body_is_aligned_as_well() {
    let head = "POST /place HTTP/1.1\r\nTransfer-Encoding: chunked\r\nInference-Header-Content-Length: 3\r\n\r\n";
    let answers = converse(format!("{head}4\r\njson\r\n3\r\nabc\r\n0\r\n\r\n").as_bytes()).await;
    assert_eq!(bodies(&answers), ["/place 0"]);
}

#[tokio::test]
async fn a_request_that_is_cut_off_is_answered_as_such() {
    for (text, complaint) in [
        ("POST /a HT", "within the request head"),
        ("POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf", "after 4 of 9 bytes"),
        ("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", "before the last chunk"),
    ] {
        let answers = converse(text.as_bytes()).await;
        assert!(answers.starts_with("HTTP/1.1 400") && answers.contains(complaint), "{answers}");
    }
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

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_answer_is_given_up() {
    let (mut client, served) = open();
    let start = Instant::now();
    client.write_all(b"GET /big HTTP/1.1\r\n\r\n").await.expect("there is room");
    let error = served.await.expect("no panic").expect_err("the client does not read");
    assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, REQUEST_PATIENCE));
}

#[tokio::test(start_paused = true)]
async fn told_to_close_an_idle_connection_ends_at_once_and_a_busy_one_after_its_answer() {
    let (mut idle, _served, signals) = open_with_signals();
    idle.write_all(b"GET /a HTTP/1.1\r\n\r\n").await.expect("there is room");
    assert!(!next(&mut idle).await.contains("Connection: close"));
    let start = Instant::now();
    signals.close();
    assert_eq!((rest(&mut idle).await.as_str(), start.elapsed()), ("", Duration::ZERO));

    let (mut busy, _served, signals) = open_with_signals();
    busy.write_all(b"GET /slow HTTP/1.1\r\n\r\n").await.expect("there is room");
    tokio::task::yield_now().await;
    signals.close();
    let answer = rest(&mut busy).await;
    assert!(answer.contains("Connection: close") && answer.ends_with("/slow "), "{answer}");
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
