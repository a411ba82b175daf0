//! Sequences as clients see them: requests go in through the model's door, a clock that the test owns passes, sums come out.
#![allow(clippy::float_cmp)] // sums of small whole numbers are exact

mod model;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use model::{END, Keeps, PANIC, POISON, START, Served, Setup, sum};
use tokio::time::{Instant, advance};
use windlass_core::error::Code;
use windlass_core::proto::inference::model_sequence_batching::initial_state::StateData;
use windlass_core::proto::inference::model_sequence_batching::{
    InitialState, StrategyChoice, StrategyDirect, StrategyOldest,
};
use windlass_core::request::Correlation;

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_sequence_is_told_apart_from_the_others() {
    for setup in [Setup::oldest(4), Setup::direct(), Setup::direct().without_batches()] {
        let served = setup.instances(4).serve();

        assert_eq!(served.ask(7, 1.0, START).await, 1.0);
        assert_eq!(served.ask(8, 10.0, START).await, 10.0);
        assert_eq!(served.ask(7, 2.0, 0).await, 3.0);
        assert_eq!(served.ask(8, 20.0, END).await, 30.0);
        assert_eq!(served.ask(7, 3.0, END).await, 6.0);
        assert_eq!(served.ask(9, 5.0, START | END).await, 5.0);
    }
}

/// Sends six requests of each of a thousand sequences, interleaved, before any is answered; returns what came of each sequence.
async fn a_thousand(served: &Served) -> HashMap<u64, Vec<f32>> {
    let mut pending = Vec::new();
    for step in 0..6_u64 {
        for place in 0..1000 {
            // Another order in each round.
            let id = (place * 7 + step * 131) % 1000 + 1;
            let flags = [START, 0, 0, 0, 0, END][step as usize];
            pending.push((id, served.submit(id, (id * (step + 1)) as f32, flags)));
        }
    }
    let (ids, answers): (Vec<u64>, Vec<_>) = pending.into_iter().unzip();
    let mut sums: HashMap<u64, Vec<f32>> = HashMap::new();
    for (id, answer) in ids.into_iter().zip(join_all(answers).await) {
        sums.entry(id).or_default().push(sum(answer));
    }
    sums
}

#[tokio::test(start_paused = true)]
async fn a_thousand_interleaved_sequences_are_all_right_and_none_is_lost() {
    let setups = [
        Setup::oldest(16).instances(3),
        Setup::direct().instances(3),
        Setup::oldest(16).instances(3).remembers(Keeps::State),
        Setup::direct().remembers(Keeps::List),
    ];
    for setup in setups {
        let served = setup.serve();
        for (id, sums) in a_thousand(&served).await {
            let expected: Vec<f32> = [1, 3, 6, 10, 15, 21].map(|times| (id * times) as f32).into();
            assert_eq!(sums, expected, "sequence {id}");
        }
        assert_eq!(served.model.pending(), 0);
        assert_eq!(served.model.statistics.lock().success.count, 6000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fits_no_sequence_is_told_why() {
    let served = Setup::oldest(4).serve();

    assert_eq!(
        served.refusal(0, 1.0, START),
        "inference request to model 'sum' must specify a non-zero or non-empty correlation ID"
    );
    assert_eq!(
        served.refusal(7, 1.0, END),
        "inference request for sequence 7 to model 'sum' must specify the START flag on the first request of the sequence"
    );
    let two = served.submit_with(&[1.0, 2.0], START, |request| request.correlation = Correlation::Number(7));
    assert_eq!(
        two.expect_err("two rows").message,
        "inference request to model 'sum' must specify batch-size 1 due to requirements of sequence batcher"
    );
    let text =
        |text: &str| served.submit_with(&[1.0], START, |request| request.correlation = Correlation::Text(text.into()));
    assert_eq!(
        text("seven").expect_err("the control is a number").message,
        "[request id: <id_unknown>] sequence batching control 'CORRID' data-type is 'BYTES', but model 'sum' expects 'UINT64'"
    );
    assert_eq!(
        text(&"x".repeat(129)).expect_err("too long").message,
        "string correlation ID cannot be longer than 128 characters"
    );
}

#[tokio::test(start_paused = true)]
async fn an_id_may_be_a_text() {
    let served = Setup::oldest(4).text_ids().serve();
    let ask = |text: &'static str, value: f32, flags: u32| {
        served.submit_with(&[value], flags, |request| request.correlation = Correlation::Text(text.into()))
    };

    assert_eq!(sum(ask("left", 1.0, START).expect("good").await), 1.0);
    assert_eq!(sum(ask("right", 5.0, START).expect("good").await), 5.0);
    assert_eq!(sum(ask("left", 2.0, END).expect("good").await), 3.0);
    assert!(served.refusal(7, 1.0, START).contains("data-type is 'UINT64', but model 'sum' expects 'BYTES'"));
    assert!(served.refusal(7, 1.0, END).contains("must specify the START flag"), "which it would have to begin first");
}

#[tokio::test(start_paused = true)]
async fn a_slot_with_nothing_in_it_is_filled_and_not_ready() {
    let served = Setup::direct().serve();
    for id in 1..=3 {
        served.ask(id, 1.0, START).await;
    }

    served.ask(3, 2.0, 0).await;

    let nothing = ("0".to_owned(), 0.0, [false, false, false]);
    let third = ("3".to_owned(), 2.0, [false, false, true]);
    assert_eq!(served.batches().last(), Some(&vec![nothing.clone(), nothing, third]));
    let totals = served.model.statistics.lock();
    assert_eq!((totals.inference_count, totals.success.count), (4, 4), "what fills a slot is no inference");
}

#[tokio::test(start_paused = true)]
async fn requests_of_different_sequences_share_batches_and_those_of_one_do_not() {
    let served = Setup::oldest(4).serve();

    let pending: Vec<_> = [START, END]
        .into_iter()
        .flat_map(|flags| (1..=4).map(move |id| (id, flags)))
        .map(|(id, flags)| served.submit(id, 1.0, flags))
        .collect();
    join_all(pending).await;

    assert_eq!(served.sizes(), [4, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_below_the_utilisation_asked_for_waits_for_company() {
    let served = Setup::new(StrategyChoice::Direct(StrategyDirect {
        max_queue_delay_microseconds: 5000,
        minimum_slot_utilization: 0.5,
    }))
    .serve();
    let start = Instant::now();

    served.ask(1, 1.0, START).await;
    assert_eq!(start.elapsed(), 5 * MS);
    let (_, _) = tokio::join!(served.ask(1, 1.0, END), served.ask(2, 1.0, START));
    assert_eq!(start.elapsed(), 5 * MS);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_may_wait_for_a_preferred_size() {
    let served = Setup::new(StrategyChoice::Oldest(StrategyOldest {
        max_candidate_sequences: 4,
        preferred_batch_size: vec![2],
        max_queue_delay_microseconds: 5000,
        preserve_ordering: true,
    }))
    .serve();
    let start = Instant::now();

    served.ask(1, 1.0, START).await;
    assert_eq!(start.elapsed(), 5 * MS);
    let (_, _) = tokio::join!(served.ask(1, 1.0, END), served.ask(2, 1.0, START));
    assert_eq!(start.elapsed(), 5 * MS);
}

#[tokio::test(start_paused = true)]
async fn an_idle_sequence_ends_and_makes_room_for_the_next() {
    let served = Setup::oldest(1).serve();
    let start = Instant::now();
    served.ask(1, 1.0, START).await;

    assert_eq!(served.ask(2, 5.0, START).await, 5.0);

    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert!(served.refusal(1, 1.0, 0).contains("must specify the START flag"));
    assert_eq!(served.ask(2, 1.0, 0).await, 6.0);
}

#[tokio::test(start_paused = true)]
async fn a_sequence_that_goes_on_in_time_stays() {
    let served = Setup::oldest(1).serve();
    served.ask(1, 1.0, START).await;

    for step in 2..10 {
        advance(900 * MS).await;
        assert_eq!(served.ask(1, 1.0, 0).await, step as f32);
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_sequences_those_that_fall_silent_end_and_no_other() {
    let served = Setup::oldest(250).instances(2).serve();
    // Twice as many as there are slots: the second half waits until the silent ones of the first have ended.
    let first: Vec<_> = (1..=500).map(|id| served.submit(id, id as f32, START)).collect();
    let mut second: Vec<_> = (501..=1000).map(|id| served.submit(id, id as f32, START)).collect();
    assert!(join_all(first).await.into_iter().all(|answer| answer.is_ok()));
    let waiting = second.split_off(250);

    for _ in 0..4 {
        advance(300 * MS).await;
        for id in (2..=500).step_by(2) {
            served.ask(id, 1.0, 0).await;
        }
    }

    let begun: Vec<f32> = join_all(second).await.into_iter().map(sum).collect();
    assert_eq!(begun, (501..=750).map(|id| id as f32).collect::<Vec<_>>());
    for id in (1..=500).step_by(2) {
        assert!(served.refusal(id, 1.0, 0).contains("must specify the START flag"), "sequence {id} fell silent");
    }
    for id in (2..=500).step_by(2) {
        assert_eq!(served.ask(id, 1.0, END).await, id as f32 + 5.0, "sequence {id} went on");
    }
    let rest: Vec<f32> = join_all(waiting).await.into_iter().map(sum).collect();
    assert_eq!(rest, (751..=1000).map(|id| id as f32).collect::<Vec<_>>());
    assert_eq!(served.model.statistics.lock().failures, [0; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_sequence_that_waits_for_a_slot_gives_up_when_its_first_request_says_so() {
    let served = Setup::oldest(1).serve();
    let start = Instant::now();
    served.ask(1, 1.0, START).await;
    let impatient = |request: &mut windlass_core::request::Request| {
        request.correlation = Correlation::Number(2);
        request.timeout = Some(100 * MS);
    };

    let error = served.submit_with(&[1.0], START, impatient).expect("it may wait").await.expect_err("no slot");

    assert_eq!(
        (error.code, error.message.as_str()),
        (Code::Unavailable, "timeout of the corresponding sequence has been expired")
    );
    assert_eq!(start.elapsed(), 100 * MS);
    assert!(served.refusal(2, 1.0, 0).contains("must specify the START flag"));
    assert_eq!(served.ask(1, 1.0, END).await, 2.0);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_starts_again_starts_from_nothing_in_the_same_slot() {
    for keeps in [Keeps::Itself, Keeps::State] {
        let setup = Setup::oldest(1);
        let served = if keeps == Keeps::State { setup.remembers(keeps) } else { setup }.serve();
        served.ask(1, 1.0, START).await;

        assert_eq!(served.ask(1, 5.0, START).await, 5.0);
        assert_eq!(served.ask(1, 1.0, END).await, 6.0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_has_ended_may_begin_anew_before_its_last_answer() {
    let served = Setup::oldest(1).serve();

    let answers = join_all([
        served.submit(1, 1.0, START),
        served.submit(1, 2.0, END),
        served.submit(1, 10.0, START),
        served.submit(1, 20.0, END),
    ])
    .await;

    assert_eq!(answers.into_iter().map(sum).collect::<Vec<_>>(), [1.0, 3.0, 10.0, 30.0]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_its_sequence_and_nobody_else_s() {
    let served = Setup::oldest(1).serve();
    served.ask(1, 1.0, START).await;
    let gone = served.submit(2, 1.0, START);
    let rest = served.submit(2, 1.0, 0);
    let other = served.submit(3, 4.0, START | END);
    drop(gone);

    assert_eq!(rest.await.expect_err("its sequence is gone").code, Code::Cancelled);
    assert_eq!(served.ask(1, 1.0, END).await, 2.0);
    assert_eq!(sum(other.await), 4.0);
    assert_eq!(served.sizes(), [1, 1, 1]);
    assert_eq!(served.model.statistics.lock().failures, [0, 2, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_does_not_end_its_sequence() {
    let served = Setup::oldest(4).serve();
    served.ask(1, 1.0, START).await;

    assert_eq!(served.submit(1, POISON, 0).await.expect_err("poison").message, "poison");

    assert_eq!(served.ask(1, 2.0, END).await, 3.0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_fails_ends_its_sequences_and_each_is_told() {
    let served = Setup::oldest(2).serve();
    served.ask(1, 1.0, START).await;
    served.ask(2, 1.0, START).await;
    let panicked = served.submit(1, PANIC, 0);
    let behind = served.submit(1, 2.0, 0);
    let backlog = served.submit(3, 7.0, START);

    assert_eq!(panicked.await.expect_err("it panicked").code, Code::Internal);

    let lost = |id: u64| {
        format!(
            "sequence {id} of model 'sum' ended early: the instance that remembered it has failed. Start the sequence again."
        )
    };
    let error = behind.await.expect_err("what it builds on is lost");
    assert_eq!((error.code, error.message), (Code::Unavailable, lost(1)));
    assert_eq!(sum(backlog.await), 7.0, "what has not begun is not affected");
    assert_eq!(served.refusal(2, 2.0, 0), lost(2));
    assert!(served.refusal(2, 2.0, 0).contains("must specify the START flag"), "it is told once");
    assert_eq!(served.ask(1, 3.0, START).await, 3.0);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_remembers_outlives_an_instance_that_fails() {
    let served = Setup::oldest(2).remembers(Keeps::State).serve();
    served.ask(1, 1.0, START).await;

    assert!(served.submit(1, PANIC, 0).await.is_err());

    assert_eq!(served.ask(1, 2.0, END).await, 3.0);
}

#[tokio::test(start_paused = true)]
async fn states_of_different_shapes_never_share_a_batch() {
    let served = Setup::oldest(4).remembers(Keeps::List).serve();
    served.ask(1, 1.0, START).await;

    let (first, second) = tokio::join!(served.ask(1, 2.0, END), served.ask(2, 5.0, START));

    assert_eq!((first, second), (3.0, 5.0));
    assert_eq!(served.sizes(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_state_starts_with_what_its_file_holds() {
    let initial = InitialState {
        name: "hundred".into(),
        data_type: 11,
        dims: vec![1],
        state_data: Some(StateData::DataFile("hundred".into())),
    };
    let files = HashMap::from([("initial_state/hundred".to_owned(), Bytes::copy_from_slice(&100_f32.to_le_bytes()))]);
    let setup = Setup::oldest(4).remembers(Keeps::State).with_state(|state| state.initial_state = vec![initial]);
    let served = setup.serve_with(&files);

    assert_eq!(served.ask(1, 1.0, START).await, 101.0);
    assert_eq!(served.ask(1, 1.0, START).await, 101.0);
}

#[tokio::test(start_paused = true)]
async fn an_iterative_request_is_executed_until_the_model_is_done_with_it() {
    let served = Setup::oldest(2).iterative().serve();

    let pending = [3.0, 1.0, 2.0].map(|times| served.submit(0, times, 0));

    assert_eq!(join_all(pending).await.into_iter().map(sum).collect::<Vec<_>>(), [3.0, 1.0, 2.0]);
    assert_eq!(served.sizes(), [2, 2, 2], "the third takes the place of the second");
    assert_eq!(served.model.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_iterative_request_with_an_id_has_it_to_itself() {
    let served = Setup::oldest(2).iterative().serve();
    let first = served.submit(7, 2.0, START);

    assert_eq!(
        served.refusal(7, 2.0, START),
        "Parameter correlation ID 7 conflicts with in-flight sequence for model 'sum'"
    );
    assert!(served.refusal(8, 2.0, 0).contains("must specify the START flag"));
    assert_eq!(sum(first.await), 2.0);
    assert_eq!(served.ask(7, 1.0, START).await, 1.0);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_executed_again_and_again_leaves_others_their_turns() {
    const MANY: f32 = 50_000.0;
    let served = Setup::oldest(2).iterative().serve();
    let long = served.submit(7, MANY, START);

    assert_eq!(served.ask(8, 2.0, START).await, 2.0);

    assert!(served.batches().len() < MANY as usize, "nobody was heard before it was done");
    assert_eq!(sum(long.await), MANY);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_stops_answers_what_waits_for_a_slot_and_waits_for_nobody_else() {
    let served = Setup::oldest(1).serve();
    let start = Instant::now();
    served.ask(1, 1.0, START).await;
    let waiting = [served.submit(2, 2.0, START), served.submit(2, 3.0, 0), served.submit(3, 4.0, START)];

    served.model.stop();
    assert!(served.refusal(1, 1.0, END).contains("Server is stopping"));

    let model = Arc::clone(&served.model);
    let settled = tokio::task::spawn_blocking(move || model.settle(Duration::from_secs(5)));
    assert_eq!(join_all(waiting).await.into_iter().map(sum).collect::<Vec<_>>(), [2.0, 5.0, 4.0]);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(settled.await.expect("no panic"));
}
