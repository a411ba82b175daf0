//! Ensembles as clients see them: requests go in through the door of a plane, steps are models that tests watch.

mod pipeline;

use std::time::Duration;

use pipeline::{Named, Pipeline, Steps, floats, request};
use tokio::time::Instant;
use windlass_core::error::Code;
use windlass_core::request::{Correlation, FLAG_SEQUENCE_START, Parameter};

const MS: Duration = Duration::from_millis(1);

/// `x` -> add 1 -> add 1 -> `y`.
fn chain() -> Steps {
    Steps::new("chain", &["x"], &["y"]).step("one", &[("IN", "x")], &[("OUT", "m")]).step(
        "two",
        &[("IN", "m")],
        &[("OUT", "y")],
    )
}

#[tokio::test(start_paused = true)]
async fn a_request_runs_through_the_steps() {
    let served = Pipeline::new().adder("one", 1.0).adder("two", 10.0).ensemble(chain()).serve();

    let answer = served.ask("chain", request(&[1.0, 2.0])).await.expect("a good answer");

    assert_eq!(floats(&answer.outputs[0]), [12.0, 13.0]);
    assert_eq!((&*answer.model, answer.version, &*answer.outputs[0].name), ("chain", 1, "y"));
}

#[tokio::test(start_paused = true)]
async fn steps_that_do_not_wait_for_each_other_run_at_the_same_time() {
    let fork = Steps::new("fork", &["x"], &["l", "r"]).step("left", &[("IN", "x")], &[("OUT", "l")]).step(
        "right",
        &[("IN", "x")],
        &[("OUT", "r")],
    );
    let served = Pipeline::new().slow("left", 5 * MS).slow("right", 5 * MS).ensemble(fork).serve();
    let start = Instant::now();

    let answer = served.ask("fork", request(&[1.0])).await.expect("a good answer");

    assert_eq!(answer.outputs.len(), 2);
    assert_eq!(start.elapsed(), 5 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_tensor_that_two_steps_read_is_not_copied() {
    let fork = Steps::new("fork", &["x"], &["l", "r"]).step("left", &[("IN", "x")], &[("OUT", "l")]).step(
        "right",
        &[("IN", "x")],
        &[("OUT", "r")],
    );
    let served = Pipeline::new().mirror("left").mirror("right").ensemble(fork).serve();

    let answer = served.ask("fork", request(&[1.0; 100])).await.expect("a good answer");

    let address = |index: usize| answer.outputs[index].data.as_slice().as_ptr();
    assert_eq!(address(0), address(1));
}

#[tokio::test(start_paused = true)]
async fn only_the_steps_behind_the_outputs_asked_for_are_run() {
    let fork = Steps::new("fork", &["x"], &["l", "r"]).step("left", &[("IN", "x")], &[("OUT", "l")]).step(
        "right",
        &[("IN", "x")],
        &[("OUT", "r")],
    );
    let served = Pipeline::new().adder("left", 1.0).adder("right", 2.0).ensemble(fork).serve();
    let mut asked = request(&[1.0]);
    asked.outputs = vec!["r".into()];

    let answer = served.ask("fork", asked).await.expect("a good answer");

    assert_eq!(answer.outputs.len(), 1);
    assert_eq!(floats(&answer.outputs[0]), [3.0]);
    assert_eq!((served.executions("left"), served.executions("right")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_step_names_the_ensembles_it_happened_in() {
    let outer = Steps::new("outer", &["x"], &["y"]).step("chain", &[("x", "x")], &[("y", "y")]);
    let served = Pipeline::new().adder("one", 1.0).failing("two").ensemble(chain()).ensemble(outer).serve();

    let error = served.ask("outer", request(&[1.0])).await.expect_err("a step fails");

    assert_eq!((error.code, &*error.message), (Code::Internal, "in ensemble 'outer', in ensemble 'chain', no"));
    for name in ["chain", "outer"] {
        let totals = served.totals(name);
        assert_eq!((totals.success.count, totals.fail.count, totals.failures), (0, 1, [0, 0, 0, 1]), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_not_there_is_named() {
    let served = Pipeline::new().adder("one", 1.0).ensemble(chain()).serve();

    let error = served.ask("chain", request(&[1.0])).await.expect_err("there is no second step");

    assert_eq!(error.code, Code::NotFound);
    assert_eq!(error.message, "in ensemble 'chain', Request for unknown model: 'two' is not found");
}

#[tokio::test(start_paused = true)]
async fn an_output_that_a_model_leaves_out_is_missing_in_the_next_step() {
    let served = Pipeline::new().silent("one").adder("two", 1.0).ensemble(chain()).serve();

    let error = served.ask("chain", request(&[1.0])).await.expect_err("the first step gives nothing");

    let text = "in ensemble 'chain', [request id: <id_unknown>] expected 1 inputs but got 0 inputs for model 'two'.";
    assert!(error.message.starts_with(text), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_can_do_without_an_output_of_another_is_asked_without() {
    let steps = Steps::new("either", &["x"], &["y"]).step("one", &[("IN", "x")], &[("OUT", "m")]).step(
        "two",
        &[("IN", "x"), ("MORE", "m")],
        &[("OUT", "y")],
    );
    let served = Pipeline::new().silent("one").optional("two").ensemble(steps).serve();

    let answer = served.ask("either", request(&[1.0])).await.expect("a good answer");

    assert_eq!(floats(&answer.outputs[0]), [1.0]);
    assert_eq!(served.last_inputs("two"), ["IN"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_lacks_what_the_last_step_leaves_out() {
    let steps = Steps::new("alone", &["x"], &["y"]).step("one", &[("IN", "x")], &[("OUT", "y")]);
    let served = Pipeline::new().silent("one").ensemble(steps).serve();

    let answer = served.ask("alone", request(&[1.0])).await.expect("an answer of nothing");

    assert!(answer.outputs.is_empty());
    assert_eq!(served.totals("alone").success.count, 1);
}

#[tokio::test(start_paused = true)]
async fn steps_are_told_what_the_client_said() {
    let served = Pipeline::new().adder("one", 1.0).adder("two", 1.0).ensemble(chain()).serve();
    let mut asked = request(&[1.0]);
    asked.id = "seven".into();
    asked.priority = 3;
    asked.timeout = Some(5 * MS);
    asked.correlation = Correlation::Number(7);
    asked.flags = FLAG_SEQUENCE_START;
    asked.parameters = vec![("k".into(), Parameter::Text("v".into()))];

    let answer = served.ask("chain", asked).await.expect("a good answer");

    for step in ["one", "two"] {
        let told = served.last(step);
        assert_eq!((&*told.id, told.priority, told.timeout), ("seven", 3, Some(5 * MS)), "{step}");
        assert_eq!((told.correlation, told.flags), (Correlation::Number(7), FLAG_SEQUENCE_START), "{step}");
        assert_eq!(told.parameters, [("k".to_owned(), Parameter::Text("v".into()))], "{step}");
    }
    assert_eq!(answer.id, "seven");
    assert_eq!(answer.parameters[0], ("sequence_id".to_owned(), Parameter::Int(7)));
    assert_eq!(answer.parameters[1], ("sequence_start".to_owned(), Parameter::Bool(true)));
}

#[tokio::test(start_paused = true)]
async fn a_step_names_the_outputs_it_wants_unless_it_wants_all() {
    let served = Pipeline::new().versatile("one").adder("two", 1.0).ensemble(chain()).serve();

    served.ask("chain", request(&[1.0])).await.expect("a good answer");

    assert_eq!(served.last("one").outputs, ["OUT".into()]);
    assert!(served.last("two").outputs.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_ensemble_counts_its_requests_and_sums_up_its_steps() {
    let served = Pipeline::new().adder("one", 1.0).adder("two", 1.0).ensemble(chain()).serve();

    served.ask("chain", request(&[1.0, 2.0])).await.expect("a good answer");
    served.ask("chain", request(&[1.0])).await.expect("a good answer");

    let (whole, one, two) = (served.totals("chain"), served.totals("one"), served.totals("two"));
    assert_eq!((whole.inference_count, whole.execution_count, whole.success.count), (3, 2, 2));
    assert_eq!(whole.batches.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(whole.queue.count, 2);
    assert_eq!(whole.compute_infer.ns, one.compute_infer.ns + two.compute_infer.ns);
    assert!(whole.compute_infer.ns > 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_takes_its_steps_with_it() {
    let served = Pipeline::new().slow("one", 5 * MS).adder("two", 1.0).ensemble(chain()).serve();

    let gone = served.submit("chain", request(&[1.0])).expect("a good request");
    drop(gone);
    served.ask("one", request(&[2.0]).named("IN")).await.expect("a good answer");

    assert_eq!(served.executions("one"), 1, "only the request that was waited for");
    assert_eq!(served.executions("two"), 0);
    assert_eq!(served.totals("chain").failures, [0, 0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn every_answer_of_a_decoupled_step_flows_on_in_order() {
    let served = Pipeline::new().repeating("one", 5).adder("two", 10.0).decoupled_ensemble(chain()).serve();

    let answers = served.ask_all("chain", request(&[1.0])).await;

    let values: Vec<Vec<f32>> = answers.into_iter().map(|answer| floats(&answer.expect("good").outputs[0])).collect();
    assert_eq!(values, [[10.0], [11.0], [12.0], [13.0], [14.0]]);
    assert_eq!((served.totals("chain").success.count, served.totals("two").success.count), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn decoupled_steps_one_behind_the_other_multiply() {
    let served = Pipeline::new().repeating("one", 3).repeating("two", 2).decoupled_ensemble(chain()).serve();

    let answers = served.ask_all("chain", request(&[1.0])).await;

    let values: Vec<f32> = answers.into_iter().map(|answer| floats(&answer.expect("good").outputs[0])[0]).collect();
    assert_eq!(values, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_decoupled_step_that_says_nothing_ends_the_request() {
    let served = Pipeline::new().repeating("one", 0).adder("two", 1.0).decoupled_ensemble(chain()).serve();

    assert!(served.ask_all("chain", request(&[1.0])).await.is_empty());
    assert_eq!(served.totals("chain").success.count, 1);
}

#[tokio::test(start_paused = true)]
async fn more_answers_than_may_be_under_way_all_arrive() {
    let served = Pipeline::new().repeating("one", 1000).adder("two", 0.0).decoupled_ensemble(chain()).serve();

    let answers = served.ask_all("chain", request(&[1.0])).await;

    let values: Vec<f32> = answers.into_iter().map(|answer| floats(&answer.expect("good").outputs[0])[0]).collect();
    assert_eq!(values, (0..1000).map(|index| index as f32).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_optional_input_that_is_left_out_is_left_out_everywhere() {
    let steps =
        Steps::new("either", &["x", "extra"], &["y"]).step("one", &[("IN", "x"), ("MORE", "extra")], &[("OUT", "y")]);
    let served = Pipeline::new().optional("one").ensemble(steps.with_optional("extra")).serve();

    let answer = served.ask("either", request(&[1.0])).await.expect("a good answer");

    assert_eq!(floats(&answer.outputs[0]), [1.0]);
    assert_eq!(served.last_inputs("one"), ["IN"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_one_reaches_models_without_a_batch_dimension() {
    let served = Pipeline::new().adder("one", 1.0).unbatched("two").ensemble(chain()).serve();

    let answer = served.ask("chain", request(&[1.0])).await.expect("one row");
    let error = served.ask("chain", request(&[1.0, 2.0])).await.expect_err("two rows");

    assert_eq!((floats(&answer.outputs[0]), &answer.outputs[0].shape), (vec![2.0], &vec![1, 1]));
    assert_eq!(
        error.message,
        "in ensemble 'chain', [request id: <id_unknown>] unexpected shape for input 'IN' for model 'two'. Expected [1], got [2,1]. "
    );
}

#[tokio::test(start_paused = true)]
async fn a_stopping_ensemble_answers_what_it_has_and_refuses_the_rest() {
    let served = Pipeline::new().slow("one", 5 * MS).adder("two", 1.0).ensemble(chain()).serve();
    let waiting = served.submit("chain", request(&[1.0])).expect("a good request");
    let model = served.model("chain");

    model.stop();
    let error = model.submit(request(&[1.0]), &served.reactor).expect_err("it is stopping");

    assert!(error.message.contains("Server is stopping"), "{error}");
    assert_eq!(floats(&waiting.await.expect("a good answer").outputs[0]), [2.0]);
    assert!(model.settle(Duration::ZERO), "nothing is under way any more");
}
