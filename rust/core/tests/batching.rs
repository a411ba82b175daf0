//! Batching as clients see it: requests go in through the model's door, a clock that the test owns passes, answers come out.

mod echo;

use std::sync::Arc;
use std::time::Duration;

use echo::{Echo, Setup, floats};
use tokio::time::{Instant, advance, timeout};
use windlass_core::error::Code;
use windlass_core::proto::inference::model_queue_policy::TimeoutAction;
use windlass_core::proto::inference::{ModelDynamicBatching, ModelQueuePolicy};

const MS: Duration = Duration::from_millis(1);

fn batching(delay: Duration) -> ModelDynamicBatching {
    ModelDynamicBatching { max_queue_delay_microseconds: delay.as_micros() as u64, ..ModelDynamicBatching::default() }
}

#[tokio::test(start_paused = true)]
async fn requests_that_arrive_together_share_a_batch_and_each_gets_its_own_rows_back() {
    let served = Setup::new(batching(Duration::ZERO)).serve();

    let answers = served.ask_all([vec![1.0], vec![2.0, 3.0], vec![4.0]]).await;

    assert_eq!(answers, [vec![1.0], vec![2.0, 3.0], vec![4.0]]);
    assert_eq!(served.batches(), [4]);
}

#[tokio::test(start_paused = true)]
async fn ragged_requests_lie_side_by_side_and_each_gets_its_own_shape_back() {
    let served = Setup::new(batching(Duration::ZERO)).ragged().serve();
    let asked = [served.submit(&[1.0], 1), served.submit(&[2.0, 3.0, 4.0], 3), served.submit(&[5.0, 6.0, 7.0, 8.0], 2)];

    let mut answers = Vec::new();
    for pending in asked {
        let output = pending.await.expect("an answer").outputs.remove(0);
        answers.push((output.shape.clone(), output.data.as_slice().len()));
    }

    assert_eq!(answers, [(vec![1, 1], 4), (vec![1, 3], 12), (vec![2, 2], 16)]);
    assert_eq!(served.values(), [vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], vec![0.0, 1.0, 4.0, 8.0]]);
}

#[tokio::test(start_paused = true)]
async fn ragged_requests_of_all_shapes_get_their_own_values_back() {
    let served = Setup::new(batching(Duration::ZERO)).ragged().serve();
    let shapes = (1..=3_usize).flat_map(|rows| (1..=4_usize).map(move |width| (rows, width)));
    let mut number = 0.0;
    let asked: Vec<_> = shapes
        .map(|(rows, width)| {
            let values: Vec<f32> = (0..rows * width).map(|place| number + place as f32).collect();
            number += 100.0;
            (served.submit(&values, width), values, [rows as i64, width as i64])
        })
        .collect();

    for (pending, values, shape) in asked {
        let output = pending.await.expect("an answer").outputs.remove(0);
        assert_eq!((&output.shape[..], floats(&output)), (&shape[..], values));
    }
}

#[tokio::test(start_paused = true)]
async fn a_ragged_request_by_itself_is_flat_too() {
    let served = Setup::new(batching(Duration::ZERO)).ragged().serve();

    let output = served.submit(&[1.0, 2.0, 3.0, 4.0], 2).await.expect("an answer").outputs.remove(0);

    assert_eq!(output.shape, [2, 2]);
    assert_eq!(served.values(), [vec![1.0, 2.0, 3.0, 4.0], vec![0.0, 4.0]]);
}

#[tokio::test(start_paused = true)]
async fn a_lone_request_waits_for_company_no_longer_than_it_may() {
    let served = Setup::new(batching(5 * MS)).serve();
    let start = Instant::now();

    served.ask(&[1.0]).await;

    assert_eq!(start.elapsed(), 5 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait() {
    let served = Setup::new(batching(5 * MS)).serve();
    let start = Instant::now();

    served.ask_all((0..8).map(|i| vec![i as f32])).await;

    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(served.batches(), [8]);
}

#[tokio::test(start_paused = true)]
async fn more_requests_than_a_batch_holds_go_in_several() {
    let served = Setup::new(batching(Duration::ZERO)).serve();

    served.ask_all((0..20).map(|i| vec![i as f32])).await;

    assert_eq!(served.batches(), [8, 8, 4]);
}

#[tokio::test(start_paused = true)]
async fn without_dynamic_batching_requests_go_one_by_one() {
    let served = Setup::unbatched().serve();

    let answers = served.ask_all([vec![1.0], vec![2.0, 3.0]]).await;

    assert_eq!(answers, [vec![1.0], vec![2.0, 3.0]]);
    assert_eq!(served.batches(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn different_shapes_never_share_a_batch() {
    let served = Setup::new(batching(Duration::ZERO)).variable_width().serve();

    let narrow = served.submit(&[1.0], 1);
    let wide = served.submit(&[2.0, 3.0], 2);
    let narrow_too = served.submit(&[4.0], 1);

    assert_eq!(echo::values(narrow.await), [1.0]);
    assert_eq!(echo::values(wide.await), [2.0, 3.0]);
    assert_eq!(echo::values(narrow_too.await), [4.0]);
    assert_eq!(served.batches(), [1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_request_never_reaches_the_model() {
    let served = Setup::new(batching(5 * MS)).serve();

    let gone = served.submit(&[1.0], 1);
    let stays = served.submit(&[2.0], 1);
    drop(gone);

    assert_eq!(echo::values(stays.await), [2.0]);
    assert_eq!(served.batches(), [1]);
    assert_eq!(served.model.statistics.lock().failures, [0, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_time_is_over_is_refused_and_never_reaches_the_model() {
    let policy = ModelQueuePolicy { default_timeout_microseconds: 2000, ..ModelQueuePolicy::default() };
    let served = Setup::new(ModelDynamicBatching { default_queue_policy: Some(policy), ..batching(10 * MS) }).serve();
    let start = Instant::now();

    let error = served.submit(&[1.0], 1).await.expect_err("it waited for 10 ms and may wait for 2");

    assert_eq!((error.code, error.message.as_str()), (Code::Unavailable, "Request timeout expired"));
    assert_eq!(start.elapsed(), 2 * MS);
    assert!(served.batches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_only_delayed_is_answered_in_the_end() {
    let policy = ModelQueuePolicy {
        default_timeout_microseconds: 2000,
        timeout_action: TimeoutAction::Delay as i32,
        ..ModelQueuePolicy::default()
    };
    let served = Setup::new(ModelDynamicBatching { default_queue_policy: Some(policy), ..batching(10 * MS) }).serve();

    assert_eq!(served.ask(&[1.0]).await, [1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_a_place_that_becomes_free_is_given_again() {
    let policy = ModelQueuePolicy { max_queue_size: 2, ..ModelQueuePolicy::default() };
    let served = Setup::new(ModelDynamicBatching { default_queue_policy: Some(policy), ..batching(10 * MS) }).serve();
    let first = served.submit(&[1.0], 1);
    let _second = served.submit(&[2.0], 1);

    let error = served.try_submit(&[3.0], 1).expect_err("two wait already");
    assert_eq!(error.message, "[request id: <id_unknown>] Exceeds maximum queue size");
    drop(first);

    assert!(served.try_submit(&[3.0], 1).is_ok());
}

#[tokio::test(start_paused = true)]
async fn urgent_requests_go_first() {
    let served = Setup::new(ModelDynamicBatching {
        priority_levels: 2,
        default_priority_level: 2,
        preferred_batch_size: vec![1],
        ..batching(Duration::ZERO)
    })
    .serve();

    let usual = served.submit_with(&[1.0], |request| request.priority = 2);
    let urgent = served.submit_with(&[2.0], |request| request.priority = 1);
    let _ = tokio::join!(usual, urgent);

    assert_eq!(served.first_values(), [2.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_request_takes_nobody_with_it() {
    let served = Setup::new(batching(Duration::ZERO)).serve();

    let (good, bad, good_too) =
        tokio::join!(served.submit(&[1.0], 1), served.submit(&[Echo::POISON], 1), served.submit(&[3.0], 1));

    assert_eq!(echo::values(good), [1.0]);
    assert_eq!(bad.expect_err("poison").message, "poison");
    assert_eq!(echo::values(good_too), [3.0]);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_model_fails_its_batch_and_serves_the_next() {
    let served = Setup::new(batching(Duration::ZERO)).serve();

    let error = served.submit(&[Echo::PANIC], 1).await.expect_err("it panicked");

    assert_eq!(error.code, Code::Internal);
    assert_eq!(served.ask(&[1.0]).await, [1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_stops_answers_what_it_has_and_refuses_the_rest() {
    let served = Setup::new(batching(5 * MS)).serve();
    let waiting = served.submit(&[1.0], 1);

    served.model.stop();
    let error = served.try_submit(&[2.0], 1).expect_err("it is stopping");

    assert!(error.message.contains("Server is stopping"));
    assert_eq!(echo::values(waiting.await), [1.0]);
    let model = Arc::clone(&served.model);
    assert!(tokio::task::spawn_blocking(move || model.settle(Duration::from_secs(1))).await.expect("no panic"));
}

#[tokio::test(start_paused = true)]
async fn the_oldest_request_decides_how_long_a_batch_waits() {
    let served = Setup::new(batching(5 * MS)).serve();
    let first = served.submit(&[1.0], 1);
    advance(3 * MS).await;
    let second = served.submit(&[2.0], 1);

    let both = timeout(3 * MS, async { (first.await, second.await) }).await.expect("the oldest decides");

    assert_eq!((echo::values(both.0), echo::values(both.1)), (vec![1.0], vec![2.0]));
    assert_eq!(served.batches(), [2]);
}
