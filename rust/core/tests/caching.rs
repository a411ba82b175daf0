//! Answers that are kept: what clients and counters see of it.

mod pipeline;

use pipeline::{Named, Pipeline, Steps, floats, request};
use windlass_core::plane::Settings;

fn kept() -> Pipeline {
    Pipeline::with(Settings { cache_bytes: 1 << 20, ..Settings::default() })
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_is_answered_without_the_model() {
    let served = kept().cached("one", 1.0).serve();
    let mut again = request(&[1.0, 2.0]).named("IN");
    again.id = "again".into();

    let first = served.ask("one", request(&[1.0, 2.0]).named("IN")).await.expect("a good answer");
    let second = served.ask("one", again).await.expect("a good answer");
    served.ask("one", request(&[1.0, 3.0]).named("IN")).await.expect("a good answer");

    assert_eq!(floats(&first.outputs[0]), floats(&second.outputs[0]));
    assert_eq!((&*second.id, &second.outputs[0].shape), ("again", &first.outputs[0].shape));
    assert_eq!(served.executions("one"), 2);
    let totals = served.totals("one");
    assert_eq!((totals.success.count, totals.inference_count, totals.execution_count), (3, 4, 2));
    assert_eq!((totals.cache_hit.count, totals.cache_miss.count), (1, 2));
    assert_eq!((totals.queue.count, totals.compute_infer.count), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_kept() {
    let served = kept().cached_failure("one").serve();

    for _ in 0..2 {
        served.ask("one", request(&[1.0]).named("IN")).await.expect_err("it fails");
    }

    assert_eq!(served.executions("one"), 2);
    assert_eq!(served.totals("one").cache_hit.count, 0);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_loaded_again_forgets_its_answers() {
    let served = kept().cached("one", 1.0).serve();
    served.ask("one", request(&[1.0]).named("IN")).await.expect("a good answer");

    let served = served.again(|pipeline| pipeline.cached("one", 5.0)).await;

    assert_eq!(floats(&served.ask("one", request(&[1.0]).named("IN")).await.expect("a good answer").outputs[0]), [6.0]);
}

#[tokio::test(start_paused = true)]
async fn without_a_cache_in_the_server_nothing_is_kept() {
    let served = Pipeline::new().cached("one", 1.0).serve();

    for _ in 0..2 {
        served.ask("one", request(&[1.0]).named("IN")).await.expect("a good answer");
    }

    assert_eq!(served.executions("one"), 2);
    assert!(!served.plane.metrics().contains("nv_cache_"));
}

#[tokio::test(start_paused = true)]
async fn steps_and_ensembles_may_keep_their_answers() {
    let steps = || Steps::new("chain", &["x"], &["y"]).step("one", &[("IN", "x")], &[("OUT", "y")]);
    let inner = kept().cached("one", 1.0).ensemble(steps()).serve();
    let outer = kept().adder("one", 1.0).ensemble(steps().cached()).serve();

    for served in [&inner, &outer] {
        for _ in 0..3 {
            let answer = served.ask("chain", request(&[1.0])).await.expect("a good answer");
            assert_eq!(floats(&answer.outputs[0]), [2.0]);
        }
        assert_eq!(served.executions("one"), 1);
    }
    assert_eq!((inner.totals("one").cache_hit.count, outer.totals("chain").cache_hit.count), (2, 2));
    assert_eq!((inner.totals("chain").success.count, outer.totals("chain").success.count), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn the_metrics_page_tells_of_hits_and_misses_where_answers_are_kept() {
    let served = kept().cached("one", 1.0).adder("other", 1.0).serve();
    for _ in 0..3 {
        served.ask("one", request(&[1.0]).named("IN")).await.expect("a good answer");
    }

    let page = served.plane.metrics();

    assert!(page.contains("nv_cache_num_hits_per_model{model=\"one\",version=\"1\"} 2\n"), "{page}");
    assert!(page.contains("nv_cache_num_misses_per_model{model=\"one\",version=\"1\"} 1\n"), "{page}");
    assert!(!page.contains("nv_cache_num_hits_per_model{model=\"other\""), "{page}");
}
