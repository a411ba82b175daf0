//! Who asks when: closed loops, open loops, several at once.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use windlass_load::{Arrivals, Mode, Request};

use crate::http_server::{After, Asked, FINE, Server};
use crate::{closed, load, outcome, outcomes, reasons};

fn open(rate: f64, in_flight: usize) -> Mode {
    Mode::Open { rate, arrivals: Arrivals::Constant, seed: 1, in_flight }
}

#[test]
fn requests_are_asked_in_turn_with_what_belongs_to_them() {
    let seen: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let server = Server::start({
        let seen = Arc::clone(&seen);
        move |asked, stream| {
            seen.lock().expect("no panic").push(asked.clone());
            stream.write_all(FINE).map(|()| After::Keep)
        }
    });
    let mut load = load(&server.url(), closed(1), 100);
    let request = |body: &'static [u8], own: &str| Request {
        body: Bytes::from_static(body),
        headers: vec![("Inference-Header-Content-Length".into(), own.into())],
    };
    load.requests = vec![request(b"first", "1"), request(b"second", "2"), request(b"", "3")];
    (load.path, load.headers) = ("/v2/models/m/infer".into(), vec![("Key".into(), "of all".into())]);
    let outcome = outcome(load);
    let seen = seen.lock().expect("no panic");
    assert!(outcome.failed() == 0 && outcome.requests() == seen.len() as u64 && seen.len() >= 3);
    for (index, asked) in seen.iter().enumerate() {
        let (body, own) = [(&b"first"[..], "1"), (b"second", "2"), (b"", "3")][index % 3];
        assert_eq!((&asked.body[..], asked.header("inference-header-content-length")), (body, Some(own)));
        assert_eq!(asked.first_line, "POST /v2/models/m/infer HTTP/1.1\r\n");
        assert_eq!(asked.header("key"), Some("of all"));
    }
}

#[test]
fn a_closed_loop_keeps_as_many_under_way_as_it_has_clients() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = Server::start({
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        move |_, stream| {
            most.fetch_max(1 + now.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
            // Long enough for the others to come.
            thread::sleep(Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
            stream.write_all(FINE).map(|()| After::Keep)
        }
    });
    let outcome = outcome(load(&server.url(), closed(5), 300));
    assert_eq!((outcome.failed(), outcome.connections, most.load(Ordering::SeqCst)), (0, 5, 5));
    assert_eq!(outcome.intervals.iter().map(|interval| interval.requests).sum::<u64>(), outcome.requests());
    assert!(outcome.latencies.percentile(50.0) >= 20_000_000);
}

#[test]
fn an_open_loop_asks_as_often_as_it_was_told_however_slow_answers_are() {
    let server = Server::start(|_, stream| {
        thread::sleep(Duration::from_millis(30));
        stream.write_all(FINE).map(|()| After::Keep)
    });
    let outcome = outcome(load(&server.url(), open(200.0, 64), 500));
    assert_eq!((outcome.requests() + outcome.unsent, outcome.failed()), (100, 0), "{:?}", reasons(&outcome));
    assert_eq!(outcome.delays.count(), outcome.requests());
}

#[test]
fn a_stall_shows_in_the_latencies_of_all_that_were_due_meanwhile() {
    let stall = Duration::from_millis(300);
    let server = |stall: Duration| {
        Server::start(move |asked, stream| {
            if asked.number == 50 {
                thread::sleep(stall);
            }
            stream.write_all(FINE).map(|()| After::Keep)
        })
    };
    let long = |outcome: &windlass_load::Outcome| {
        outcome.latencies.counts().filter(|(nanos, _)| *nanos > 100_000_000).map(|(_, count)| count).sum::<u64>()
    };

    let (stalling, again) = (server(stall), server(stall));
    let open = outcome(load(&stalling.url(), open(1000.0, 1), 1000));
    let closed = outcome(load(&again.url(), closed(1), 1000));

    assert_eq!((open.requests() + open.unsent, open.failed()), (1000, 0));
    // 300 were due during the stall, and 200 of them waited for more than 100 ms.
    assert!(long(&open) >= 190, "{} of {}", long(&open), open.requests());
    assert!(open.latencies.percentile(75.0) > 50_000_000 && open.latencies.max() >= 300_000_000);
    assert!(open.delays.max() > 280_000_000, "they waited for the only place");
    // Who asks only when it is answered hardly notices.
    assert!(10 * long(&closed) < long(&open) && closed.requests() > 50, "{} of {}", long(&closed), closed.requests());
}

#[test]
fn what_could_not_be_sent_is_told() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = Server::start({
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        move |_, stream| {
            most.fetch_max(1 + now.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
            thread::sleep(Duration::from_millis(50));
            now.fetch_sub(1, Ordering::SeqCst);
            stream.write_all(FINE).map(|()| After::Keep)
        }
    });
    let outcome = outcome(load(&server.url(), open(1000.0, 3), 300));
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert!(outcome.requests() >= 3 && outcome.requests() <= 24, "three at a time, 50 ms each: {}", outcome.requests());
    assert_eq!((outcome.requests() + outcome.unsent, outcome.failed()), (300, 0));
}

#[test]
fn requests_that_are_due_while_no_server_is_there_have_failed() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let outcome = outcome(load(&url, open(1000.0, 4), 200));
    assert_eq!((outcome.failed() + outcome.unsent, outcome.requests()), (200, 0));
    assert!(outcome.failed() >= 150 && reasons(&outcome) == ["connection refused"], "{outcome:?}");
}

#[test]
fn several_loads_on_several_threads_do_not_mix() {
    let bodies: Arc<Mutex<BTreeSet<Vec<u8>>>> = Arc::default();
    let fine = Server::start({
        let bodies = Arc::clone(&bodies);
        move |asked, stream| {
            bodies.lock().expect("no panic").insert(asked.body.clone());
            stream.write_all(FINE).map(|()| After::Keep)
        }
    });
    let failing = Server::saying(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", After::Keep);
    let mut other = load(&fine.url(), open(300.0, 8), 200);
    other.requests = vec![Request { body: Bytes::from_static(b"another"), headers: Vec::new() }];
    let loads = [load(&fine.url(), closed(3), 300), load(&failing.url(), closed(1), 300), other];

    let outcomes = outcomes(&loads, 2);

    assert_eq!(outcomes.iter().map(|outcome| outcome.connections).collect::<Vec<_>>(), [3, 1, 8]);
    assert!(outcomes[0].failed() == 0 && outcomes[0].requests() > 0);
    assert!(outcomes[1].requests() == 0 && reasons(&outcomes[1]) == ["status 503"]);
    assert_eq!((outcomes[2].requests() + outcomes[2].unsent, outcomes[2].failed()), (60, 0));
    assert_eq!(*bodies.lock().expect("no panic"), BTreeSet::from([b"question".to_vec(), b"another".to_vec()]));
    assert!(outcomes[0].cpu > Duration::ZERO && outcomes[0].cpu == outcomes[2].cpu);
}
