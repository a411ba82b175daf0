//! Calls over gRPC.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use windlass_load::{Arrivals, Failure, Load, Mode, Outcome, Request};

use crate::grpc_server::{Reply, Server};
use crate::{closed, load, outcome, outcomes, reasons};

const MANY: u32 = 100;

fn answered(reply: Reply) -> Outcome {
    let server = Server::start(MANY, move |_, _| reply);
    outcome(load(&server.url(), closed(3), 120))
}

#[test]
fn calls_share_connections_and_succeed() {
    let server = Server::start(MANY, |_, _| Reply::Message(10));
    let outcome = outcome(load(&server.url(), closed(12), 200));
    assert_eq!((outcome.failed(), outcome.connections), (0, 2), "{:?}", reasons(&outcome));
    assert!(outcome.requests() > 0 && outcome.requests() == server.calls());
}

#[test]
fn calls_carry_their_message_and_their_metadata() {
    let server = Server::start(MANY, |headers, _| {
        let of = |name: &str| headers.get(name).map(|value| value.as_bytes().to_vec());
        let fine = of("te") == Some(b"trailers".to_vec()) && of("key") == Some(b"mine".to_vec());
        if fine { Reply::Message(0) } else { Reply::Status("16", "who are you") }
    });
    let mut load = load(&server.url(), closed(2), 100);
    load.headers = vec![("Key".into(), "mine".into())];
    let outcome = outcome(load);
    assert_eq!(outcome.failed(), 0, "{:?}", reasons(&outcome));
    assert_eq!(server.seen.bytes.load(Ordering::SeqCst) as u64, (5 + 8) * outcome.requests());
}

#[test]
fn a_status_is_counted_wherever_it_stands() {
    for reply in [Reply::Status("14", "not now"), Reply::Late("14")] {
        let outcome = answered(reply);
        assert_eq!((reasons(&outcome), outcome.requests()), (vec!["grpc status 14 (UNAVAILABLE)".to_owned()], 0));
        assert_eq!(outcome.connections, 1);
        let text = outcome.examples.get(&Failure::Grpc(14)).map(String::as_str);
        assert_eq!(text, matches!(reply, Reply::Status(..)).then_some("not now"));
    }
}

#[test]
fn what_is_no_answer_is_never_a_success() {
    let of = |reply| (reasons(&answered(reply)), answered(reply).requests());
    let malformed = (vec!["malformed answer".to_owned()], 0);
    assert_eq!(of(Reply::Short), malformed);
    assert_eq!(of(Reply::Endless), malformed);
    assert_eq!(of(Reply::Status("0", "")), malformed);
    assert_eq!(of(Reply::Http(503)), (vec!["status 503".to_owned()], 0));
    assert_eq!(of(Reply::Reset), (vec!["stream reset (REFUSED_STREAM)".to_owned()], 0));
}

#[test]
fn what_speaks_something_else_is_malformed() {
    let server = crate::http_server::Server::saying(crate::http_server::FINE, crate::http_server::After::Keep);
    let outcome = outcome(load(&server.url().replace("http://", "grpc://"), closed(2), 100));
    assert_eq!(outcome.requests(), 0);
    assert!(outcome.failed() > 0);
}

#[test]
fn a_server_that_is_not_there_refuses_every_attempt() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = format!("grpc://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let outcome = outcome(load(&url, closed(4), 120));
    assert_eq!((reasons(&outcome), outcome.requests()), (vec!["connection refused".to_owned()], 0));
}

#[test]
fn one_call_that_takes_too_long_does_not_hold_up_the_others() {
    let server = Server::start(MANY, |_, number| if number == 1 { Reply::Silence } else { Reply::Message(1) });
    let mut load = load(&server.url(), closed(3), 400);
    load.timeout = Duration::from_millis(150);
    let outcome = outcome(load);
    assert_eq!((reasons(&outcome), outcome.connections), (vec!["timed out".to_owned()], 1));
    assert!(outcome.requests() > outcome.failed());
}

#[test]
fn a_server_that_wants_few_calls_at_a_time_gets_no_more() {
    let server = Server::start(2, |_, _| Reply::Message(1));
    let load = Load { connections: Some(1), ..load(&server.url(), closed(16), 200) };
    let outcome = outcome(load);
    assert_eq!((outcome.failed(), outcome.connections), (0, 1), "{:?}", reasons(&outcome));
    assert!(outcome.requests() > 0);
}

#[test]
fn a_server_that_wants_no_call_at_all_is_given_up_on() {
    let server = Server::start(0, |_, _| Reply::Message(1));
    let mut load = load(&server.url(), closed(2), 100);
    load.timeout = Duration::from_millis(150);
    let outcome = outcome(load);
    assert_eq!((reasons(&outcome), outcome.requests()), (vec!["timed out".to_owned()], 0));
}

#[test]
fn connections_that_end_in_good_order_lose_no_request() {
    let server = Server::aging(MANY, 10, |_, _| Reply::Message(1));
    let outcome = outcome(load(&server.url(), closed(6), 300));
    assert_eq!(outcome.failed(), 0, "{:?}", reasons(&outcome));
    assert!(outcome.requests() == server.calls() && outcome.connections > outcome.requests() / 20, "{outcome:?}");
}

#[test]
fn large_messages_go_both_ways() {
    let server = Server::start(MANY, |_, _| Reply::Message(3 << 20));
    let mut load = load(&server.url(), closed(4), 200);
    load.requests = vec![Request { body: Bytes::from(vec![b'x'; 2 << 20]), headers: Vec::new() }];
    let outcome = outcome(load);
    assert_eq!(outcome.failed(), 0, "{:?}", reasons(&outcome));
    assert!(outcome.requests() >= 4);
    assert_eq!(server.seen.bytes.load(Ordering::SeqCst) as u64, (5 + (2 << 20)) * outcome.requests());
}

#[test]
fn an_open_loop_over_grpc_asks_all_that_was_due() {
    let server = Server::start(MANY, |_, _| Reply::Message(1));
    let mode = Mode::Open { rate: 500.0, arrivals: Arrivals::Constant, seed: 3, in_flight: 64 };
    let outcomes = outcomes(&[load(&server.url(), mode, 400)], 2);
    assert_eq!((outcomes[0].requests() + outcomes[0].unsent, outcomes[0].failed()), (200, 0));
    assert_eq!((outcomes[0].connections, server.calls()), (11, outcomes[0].requests()));
}
