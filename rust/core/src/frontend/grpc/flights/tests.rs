use std::future::poll_fn;

use bytes::Bytes;

use super::*;
use crate::proto::inference::{ModelConfig, ModelTransactionPolicy};
use crate::reply::Reply;
use crate::tensor::Name;

fn spec(decoupled: bool) -> Arc<Spec> {
    let config =
        ModelConfig { model_transaction_policy: Some(ModelTransactionPolicy { decoupled }), ..ModelConfig::default() };
    Arc::new(Spec::read(1, config, Bytes::new()).expect("a good configuration"))
}

fn response(id: &str) -> Response {
    let (id, model) = (id.to_owned(), Name::from("m"));
    Response {
        id,
        model,
        version: 1,
        parameters: Vec::new(),
        outputs: Vec::new(),
        spent: crate::statistics::Spent::default(),
    }
}

/// A request and the way to answer it.
fn asked(flights: &mut Flights, id: &str, decoupled: bool) -> Reply {
    let (send, receive) = std::sync::mpsc::channel();
    let pending = Pending::driven(|reply| {
        send.send(reply).expect("it is received");
        std::future::ready(())
    });
    flights.start(Asked { id: id.into(), ..Asked::default() }, spec(decoupled), pending);
    receive.recv().expect("it was sent")
}

fn now(flights: &mut Flights) -> Option<(String, bool)> {
    match flights.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Told::Answered { result, last, .. }) => {
            Some((result.map_or(String::new(), |result| result.expect("an answer").id), last))
        }
        Poll::Ready(Told::Refused { id, .. }) => Some((id, true)),
        Poll::Pending => None,
    }
}

#[allow(clippy::unnecessary_wraps)] // it is compared with what may be nothing
fn told(id: &str, last: bool) -> Option<(String, bool)> {
    Some((id.to_owned(), last))
}

#[test]
fn single_answers_leave_in_the_order_of_the_questions() {
    let mut flights = Flights::default();
    let first = asked(&mut flights, "first", false);
    let second = asked(&mut flights, "second", false);
    flights.refuse("third".into(), Error::invalid("no"));

    second.send(Ok(response("second")));
    assert_eq!(now(&mut flights), None);
    first.send(Ok(response("first")));

    assert_eq!(now(&mut flights), told("first", true));
    assert_eq!(now(&mut flights), told("second", true));
    assert_eq!(now(&mut flights), told("third", true));
    assert_eq!((now(&mut flights), flights.len()), (None, 0));
}

#[test]
fn there_is_room_for_so_many_requests_of_such_a_size() {
    let mut flights = Flights::default();
    for _ in 0..MAX_FLYING {
        assert!(flights.has_room());
        flights.refuse(String::new(), Error::invalid("no"));
    }
    assert!(!flights.has_room());
    assert!(now(&mut flights).is_some() && flights.has_room());

    let mut flights = Flights::default();
    for _ in 0..2 {
        assert!(flights.has_room());
        let pending = Pending::answered(Ok(response("large")));
        flights.start(Asked { bytes: MAX_FLYING_BYTES / 2, ..Asked::default() }, spec(false), pending);
    }
    assert!(!flights.has_room());
    assert_eq!(now(&mut flights), told("large", true));
    assert!(flights.has_room());
}

#[test]
fn decoupled_answers_wait_for_nobody() {
    let mut flights = Flights::default();
    let _slow = asked(&mut flights, "slow", false);
    let mut early = asked(&mut flights, "early", true);
    let mut late = asked(&mut flights, "late", true);

    late.push(Some(Ok(response("late"))), false);
    assert_eq!(now(&mut flights), told("late", false));
    early.push(None, true);
    late.push(Some(Ok(response("late"))), true);

    assert_eq!(now(&mut flights), told("late", true));
    assert_eq!(now(&mut flights), told("", true));
    assert_eq!((now(&mut flights), flights.len()), (None, 1));
}

#[test]
fn a_talkative_request_lets_others_speak() {
    let mut flights = Flights::default();
    let mut talker = asked(&mut flights, "talker", true);
    let mut other = asked(&mut flights, "other", true);
    for _ in 0..IN_A_ROW * 3 {
        talker.push(Some(Ok(response("talker"))), false);
    }
    other.push(Some(Ok(response("other"))), true);

    let before = std::iter::from_fn(|| now(&mut flights)).position(|(id, _)| id == "other");

    assert!(before.expect("it spoke") <= IN_A_ROW + 1, "{before:?}");
}

#[tokio::test]
async fn news_from_another_thread_wake_the_stream() {
    let mut flights = Flights::default();
    let mut replies: Vec<Reply> = (0..4).map(|_| asked(&mut flights, "x", true)).collect();
    let teller = std::thread::spawn(move || {
        for _ in 0..1000 {
            for reply in &mut replies {
                reply.push(Some(Ok(response("x"))), false);
            }
        }
        for reply in &mut replies {
            reply.push(None, true);
        }
    });

    let (mut answers, mut ends) = (0, 0);
    while ends < 4 {
        let Told::Answered { result, last, .. } = poll_fn(|context| flights.poll_next(context)).await else {
            panic!("none was refused")
        };
        answers += usize::from(result.is_some());
        ends += usize::from(last);
    }

    assert_eq!((answers, flights.len()), (4000, 0));
    teller.join().expect("no panic");
}

#[test]
fn requests_that_are_dropped_are_abandoned() {
    let mut flights = Flights::default();
    let reply = asked(&mut flights, "x", true);

    drop(flights);

    assert!(reply.cancellation().is_cancelled());
}
