//! What is no success is counted as what it is, and load goes on.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use windlass_load::{Failure, Load, Request, run};

use crate::http_server::{After, FINE, Server};
use crate::{closed, load, outcome, reasons};

#[test]
fn a_status_of_failure_is_counted_and_its_first_words_are_kept() {
    let server = Server::start(|asked, stream| {
        let answer: &[u8] =
            if asked.number % 2 == 0 { FINE } else { b"HTTP/1.1 500 Oops\r\nContent-Length: 13\r\n\r\nno such model" };
        stream.write_all(answer).map(|()| After::Keep)
    });
    let outcome = outcome(load(&server.url(), closed(1), 200));
    assert_eq!(reasons(&outcome), ["status 500"]);
    assert!(outcome.requests() > 0 && outcome.requests().abs_diff(outcome.failed()) <= 1);
    assert_eq!(outcome.examples[&Failure::Status(500)], "no such model");
    assert_eq!(outcome.connections, 1);
}

#[test]
fn a_connection_that_closes_in_the_middle_of_an_answer_is_made_again() {
    let server = Server::start(|asked, stream| {
        if asked.number % 3 < 2 {
            return stream.write_all(FINE).map(|()| After::Keep);
        }
        stream.write_all(&FINE[..FINE.len() - 2]).map(|()| After::Close)
    });
    let outcome = outcome(load(&server.url(), closed(1), 200));
    assert_eq!(reasons(&outcome), ["connection closed early"]);
    assert!(outcome.requests() > 0 && outcome.connections >= outcome.failed(), "{outcome:?}");
}

#[test]
fn a_reset_is_no_end() {
    let server = Server::start(|_, stream| stream.write_all(&FINE[..10]).map(|()| After::Reset));
    let outcome = outcome(load(&server.url(), closed(2), 150));
    assert_eq!((reasons(&outcome), outcome.requests()), (vec!["connection reset".to_owned()], 0));
}

#[test]
fn a_server_that_is_not_there_refuses_every_attempt() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let outcome = outcome(load(&url, closed(2), 150));
    assert_eq!((reasons(&outcome), outcome.requests()), (vec!["connection refused".to_owned()], 0));
    // It is left alone in between.
    assert!((2..=8).contains(&outcome.failed()), "{}", outcome.failed());
}

#[test]
fn what_takes_too_long_is_given_up_and_asked_again_on_another_connection() {
    let (silence, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let server = Server::start(move |asked, stream| {
        if asked.number == 0 {
            // Until the test is over.
            let _ = held.lock().map(|held| held.recv());
        }
        stream.write_all(FINE).map(|()| After::Keep)
    });
    let mut load = load(&server.url(), closed(1), 400);
    load.timeout = Duration::from_millis(150);
    let outcome = outcome(load);
    assert_eq!(reasons(&outcome), ["timed out"]);
    assert!(outcome.requests() > 0 && outcome.connections == 1 + outcome.failed(), "{outcome:?}");
    drop(silence);
}

#[test]
fn what_is_no_answer_is_never_a_success() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.2p1\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine and more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: four\r\n\r\nfine",
    ] {
        let server = Server::saying(bytes, After::Keep);
        let outcome = outcome(load(&server.url(), closed(1), 80));
        assert_eq!((reasons(&outcome), outcome.requests()), (vec!["malformed answer".to_owned()], 0));
    }
}

#[test]
fn a_server_that_ends_every_connection_is_asked_over_as_many() {
    let server = Server::saying(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", After::Close);
    let outcome = outcome(load(&server.url(), closed(2), 150));
    assert_eq!(outcome.failed(), 0, "{:?}", reasons(&outcome));
    assert!(outcome.requests() > 1 && outcome.connections >= outcome.requests());
}

#[test]
fn an_answer_that_ends_with_its_connection_is_whole() {
    let server = Server::saying(b"HTTP/1.0 200 OK\r\n\r\nas much as I have", After::Close);
    let outcome = outcome(load(&server.url(), closed(1), 100));
    assert!(outcome.failed() == 0 && outcome.requests() > 0);
}

#[test]
fn slow_answers_in_pieces_and_chunks_are_successes() {
    let server = Server::start(|_, stream| {
        for piece in
            [&b"HTTP/1.1 200 OK\r\nTransfer-En"[..], b"coding: chunked\r\n\r\n4", b"\r\nfi", b"ne\r\n0\r\n", b"\r\n"]
        {
            stream.write_all(piece)?;
            thread::yield_now();
        }
        Ok(After::Keep)
    });
    let outcome = outcome(load(&server.url(), closed(2), 150));
    assert_eq!((outcome.failed(), outcome.connections), (0, 2));
    assert!(outcome.requests() > 0);
}

#[test]
fn an_answer_before_the_request_was_sent_counts_and_ends_the_connection() {
    let server = Server::start(|_, stream| stream.write_all(FINE).map(|()| After::Keep));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        // Answers without reading what it is sent, and leaves.
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.shutdown(std::net::Shutdown::Write);
            thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
    let mut load = load(&format!("http://{address}"), closed(1), 150);
    load.requests = vec![Request { body: Bytes::from(vec![b'x'; 32 << 20]), headers: Vec::new() }];
    let outcome = outcome(load);
    assert_eq!((reasons(&outcome), outcome.requests()), (vec!["status 413".to_owned()], 0));
    drop(server);
}

#[test]
fn a_word_stops_it_whatever_the_server_does() {
    let (silence, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let server = Server::start(move |_, _| {
        let _ = held.lock().map(|held| held.recv());
        Ok(After::Close)
    });
    let stop = Arc::new(AtomicBool::new(false));
    let load: Load = load(&server.url(), closed(2), 60_000);
    let running = thread::spawn({
        let stop = Arc::clone(&stop);
        move || run(&[load], 2, &stop).expect("a load that makes sense").remove(0)
    });
    let begun = Instant::now();
    stop.store(true, Ordering::Relaxed);
    let outcome = running.join().expect("no panic");
    assert!(begun.elapsed() < Duration::from_secs(10), "not its length, nor its time-out");
    assert_eq!(outcome.requests(), 0);
    drop(silence);
}
