//! Instances that share resources: who executes, who waits, and whose turn it is.

mod held;

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use held::{Group, Site};
use windlass_core::error::Code;
use windlass_core::limiter::{Limit, RateLimiter};
use windlass_core::proto::inference::model_config::SchedulingChoice;
use windlass_core::proto::inference::{ModelDynamicBatching, ModelQueuePolicy, ModelSequenceBatching};
use windlass_core::request::{Correlation, FLAG_SEQUENCE_END, FLAG_SEQUENCE_START, Request};

fn limited(name: &str, count: u64) -> RateLimiter {
    RateLimiter::new(vec![Limit { name: name.into(), count, device: None }])
}

fn names(executing: &[(String, usize)]) -> Vec<&str> {
    executing.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_instance_waits_for_what_another_model_s_instance_holds() {
    let site = Site::open(limited("R", 3));
    let (a, b, free) = (
        site.serve("a", &[Group::needing("R", 2)]),
        site.serve("b", &[Group::needing("R", 2)]),
        site.serve("free", &[]),
    );

    let answers = [site.ask(&a), site.ask(&b)];
    assert_eq!(site.executing().await, [("a_0_0".to_owned(), 1)]);
    assert_eq!((a.pending(), b.pending()), (0, 1));
    assert_eq!(site.finish().await, "a_0_0");
    assert_eq!(site.finish().await, "b_0_0");

    assert!(join_all(answers).await.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(free.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_an_instance_waits_joins_its_batch() {
    let site = Site::open(limited("R", 1));
    let (a, b) = (site.serve("a", &[Group::needing("R", 1)]), site.serve("b", &[Group::needing("R", 1)]));
    let mut answers = vec![site.ask(&a), site.ask(&b)];
    site.executing().await;

    answers.extend((0..3).map(|_| site.ask(&b)));
    site.finish().await;

    assert_eq!(site.executing().await, [("b_0_0".to_owned(), 4)]);
}

#[tokio::test(start_paused = true)]
async fn without_limits_one_at_a_time_of_the_most_demanding() {
    let site = Site::open(RateLimiter::new(vec![]));
    let group = Group { count: 3, ..Group::needing("R", 1) };
    let (a, b) = (site.serve("a", &[group]), site.serve("b", &[Group::needing("R", 2)]));
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(site.ask(&a));
        site.executing().await;
    }

    assert_eq!(site.executing().await.len(), 2, "two of `a` go into what one of `b` needs");
    answers.push(site.ask(&b));
    for _ in 0..2 {
        site.finish().await;
    }
    assert!(site.finish().await.starts_with("a_0"), "`b` came last, and needs all of it");
    assert_eq!(names(&site.executing().await), ["b_0_0"]);
}

#[tokio::test(start_paused = true)]
async fn turns_are_shared_by_priority() {
    let site = Site::open(limited("R", 1));
    let no_batches = SchedulingChoice::DynamicBatching(ModelDynamicBatching {
        preferred_batch_size: vec![1],
        ..ModelDynamicBatching::default()
    });
    let group = |priority| Group { priority, ..Group::needing("R", 1) };
    let (often, seldom) =
        (site.serve_as("often", &[group(1)], no_batches.clone()), site.serve_as("seldom", &[group(3)], no_batches));
    let answers: Vec<_> = (0..30).flat_map(|_| [site.ask(&often), site.ask(&seldom)]).collect();

    let mut turns = Vec::new();
    for _ in 0..32 {
        turns.push(site.finish().await);
    }

    assert_eq!(turns.iter().filter(|name| *name == "seldom_0_0").count(), 8);
    drop(answers);
}

#[tokio::test(start_paused = true)]
async fn the_instances_of_one_model_share_by_priority_too() {
    let site = Site::open(limited("R", 1));
    let group = |priority| Group { priority, ..Group::needing("R", 1) };
    let model = site.serve("a", &[group(1), group(3)]);

    let mut turns = Vec::new();
    for _ in 0..16 {
        let answer = site.ask(&model);
        turns.push(site.finish().await);
        answer.await.expect("a good answer");
    }

    assert_eq!(turns.iter().filter(|name| *name == "a_1_0").count(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_all_devices_share_is_limited_as_a_whole() {
    let site = Site::open(limited("G", 1));
    let group = Group { needs: vec![("G", 1, true)], ..Group::needing("G", 1) };
    let (a, b) = (site.serve("a", slice::from_ref(&group)), site.serve("b", slice::from_ref(&group)));
    let _answers = [site.ask(&a), site.ask(&b)];

    assert_eq!(names(&site.executing().await), ["a_0_0"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_makes_way_for_the_next() {
    let site = Site::open(limited("R", 2));
    let models = ["a", "b", "c"].map(|name| site.serve(name, &[Group::needing("R", if name == "b" { 2 } else { 1 })]));
    let _first = site.ask(&models[0]);
    site.executing().await;
    let leaving = site.ask(&models[1]);
    let _third = site.ask(&models[2]);
    assert_eq!(names(&site.executing().await), ["a_0_0"], "`c` does not pass `b`");

    drop(leaving);

    assert_eq!(names(&site.executing().await), ["a_0_0", "c_0_0"]);
    assert_eq!(models[1].statistics.lock().failures, [0, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_request_gives_up_while_its_instance_waits() {
    let site = Site::open(limited("R", 1));
    let policy = ModelQueuePolicy { default_timeout_microseconds: 1000, ..ModelQueuePolicy::default() };
    let batching = ModelDynamicBatching { default_queue_policy: Some(policy), ..ModelDynamicBatching::default() };
    let a = site.serve("a", &[Group::needing("R", 1)]);
    let b = site.serve_as("b", &[Group::needing("R", 1)], SchedulingChoice::DynamicBatching(batching));
    let _first = site.ask(&a);
    site.executing().await;

    let error = site.ask(&b).await.expect_err("nothing frees the resource");

    assert_eq!((error.code, error.message.as_str()), (Code::Unavailable, "Request timeout expired"));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_goes_takes_its_needs_with_it() {
    let site = Site::open(RateLimiter::new(vec![]));
    let (a, b) = (site.serve("a", &[Group::needing("R", 1)]), site.serve("b", &[Group::needing("R", 1)]));
    let _held = site.ask(&a);
    let _waiting = site.ask(&b);
    assert_eq!(names(&site.executing().await), ["a_0_0"]);

    let gone = Arc::clone(&a);
    let settled = tokio::task::spawn_blocking(move || gone.settle(Duration::ZERO)).await.expect("no panic");

    assert!(!settled, "it still executes");
    assert_eq!(site.finish().await, "a_0_0");
    assert_eq!(names(&site.executing().await), ["b_0_0"]);
}

#[tokio::test(start_paused = true)]
async fn sequences_wait_for_resources_like_everybody() {
    let site = Site::open(limited("R", 1));
    let a = site.serve("a", &[Group::needing("R", 1)]);
    let sums = site.serve_as(
        "sums",
        &[Group { count: 2, ..Group::needing("R", 1) }],
        SchedulingChoice::SequenceBatching(ModelSequenceBatching::default()),
    );
    let _held = site.ask(&a);
    site.executing().await;

    let flags = [FLAG_SEQUENCE_START, 0, FLAG_SEQUENCE_END];
    let ask = |id, flags| {
        site.ask_with(&sums, |request| (request.correlation, request.flags) = (Correlation::Number(id), flags))
    };
    let answers: Vec<_> = flags.into_iter().flat_map(|flags| [ask(1, flags), ask(2, flags)]).collect();
    assert_eq!(names(&site.executing().await), ["a_0_0"]);

    let mut turns = Vec::new();
    for _ in 0..7 {
        turns.push(site.finish().await);
    }
    assert!(join_all(answers).await.into_iter().all(|answer| answer.is_ok()));
    turns.sort();
    assert_eq!(turns, ["a_0_0", "sums_0_0", "sums_0_0", "sums_0_0", "sums_0_1", "sums_0_1", "sums_0_1"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_on_its_way_to_a_process_that_ends_is_for_the_next_one_unless_it_goes_on_with_something() {
    let site = Site::open(RateLimiter::new(vec![]));
    let plain = site.serve("plain", &[Group::needing("R", 1)]);
    let sums = site.serve_as(
        "sums",
        &[Group::needing("S", 1)],
        SchedulingChoice::SequenceBatching(ModelSequenceBatching::default()),
    );
    let _answer = site.ask(&plain);
    assert!(site.is_for(0).await && site.is_for(1).await);
    site.finish().await;

    let start = |request: &mut Request| {
        (request.correlation, request.flags) = (Correlation::Number(1), FLAG_SEQUENCE_START);
    };
    let _sum = site.ask_with(&sums, start);
    assert!(site.is_for(0).await && !site.is_for(1).await);
}
