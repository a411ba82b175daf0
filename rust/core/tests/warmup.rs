//! What instances execute before clients ask anything.

mod pipeline;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use windlass_core::error::Error;
use windlass_core::host::Respond;
use windlass_core::instance::{Execution, Executor, Instance, Job, Outcome};
use windlass_core::model::Model;
use windlass_core::plane::{Plane, Settings};
use windlass_core::proto::inference::model_warmup::input::InputDataType;
use windlass_core::proto::inference::{ModelConfig, ModelInput, ModelWarmup, model_warmup};
use windlass_core::spec::{Files, Spec};
use windlass_core::statistics::Timing;

const FP32: i32 = 11;

/// What an instance does with each request of a batch.
#[derive(Clone, Copy)]
enum Habit {
    Answer,
    Fail,
    Panic,
    /// Wants it once more, the first time.
    Again,
    /// Answers twice, from another thread.
    Later,
}

/// Sizes of batches by instance, in the order in which they came.
type Seen = Arc<Mutex<Vec<(String, usize)>>>;

struct Pupil {
    name: String,
    habit: Habit,
    batches: usize,
    seen: Seen,
}

impl Instance for Pupil {
    fn name(&self) -> &str {
        &self.name
    }

    fn execute(&mut self, jobs: &mut [Job]) -> Execution {
        self.batches += 1;
        self.seen.lock().expect("no panic").push((self.name.clone(), jobs.len()));
        let outcomes = jobs.iter_mut().map(|job| self.answer(job)).collect();
        Execution { outcomes, timing: Timing::default() }
    }

    fn close(&mut self) {
        self.seen.lock().expect("no panic").push((format!("{} closed", self.name), 0));
    }
}

impl Pupil {
    fn answer(&self, job: &mut Job) -> Outcome {
        match self.habit {
            Habit::Fail => Outcome::Failed(Error::internal("no")),
            Habit::Panic => panic!("a bug in the model"),
            Habit::Again if self.batches == 1 => Outcome::Rescheduled,
            Habit::Answer | Habit::Again => Outcome::Answered(Vec::new().into()),
            Habit::Later => {
                let mut responder = job.responder().expect("nobody took it");
                std::thread::spawn(move || {
                    responder.respond(Some(Ok(Vec::new().into())), false);
                    responder.respond(None, true);
                });
                Outcome::Deferred
            }
        }
    }
}

fn sample(name: &str, batch_size: u32, count: u32) -> ModelWarmup {
    let zeros =
        model_warmup::Input { data_type: FP32, dims: vec![2], input_data_type: Some(InputDataType::ZeroData(true)) };
    ModelWarmup { name: name.into(), batch_size, inputs: BTreeMap::from([("x".into(), zeros)]), count }
}

fn prepare(
    habit: Habit,
    instances: usize,
    samples: Vec<ModelWarmup>,
) -> (Plane, windlass_core::error::Result<Model>, Vec<(String, usize)>) {
    let seen = Seen::default();
    let config = ModelConfig {
        name: "m".into(),
        max_batch_size: 4,
        input: vec![ModelInput { name: "x".into(), data_type: FP32, dims: vec![2], ..ModelInput::default() }],
        model_warmup: samples,
        ..ModelConfig::default()
    };
    let pupil = |index| {
        let (name, seen) = (format!("m_0_{index}"), Arc::clone(&seen));
        Executor::Local(Box::new(Pupil { name, habit, batches: 0, seen }))
    };
    let spec = Arc::new(Spec::read(1, config, Bytes::new()).expect("a good configuration"));
    let plane = Plane::new(Settings::default(), Arc::new(pipeline::Nobody));
    let model = plane.prepare(spec, (0..instances).map(pupil).collect(), Duration::ZERO, &Files::new());
    let mut seen = seen.lock().expect("no panic").clone();
    seen.sort();
    (plane, model, seen)
}

#[test]
fn every_instance_executes_every_sample_as_often_as_it_says() {
    let (plane, model, seen) = prepare(Habit::Answer, 2, vec![sample("a", 3, 0), sample("b", 1, 2)]);

    let model = model.expect("it warms up");
    assert_eq!(seen, ["m_0_0", "m_0_1"].map(|name| [1, 1, 3].map(|size| (name.to_owned(), size))).concat());
    assert_eq!(model.statistics.lock().execution_count, 6);
    assert!(plane.index(false).is_empty(), "nobody is served by it yet");

    plane.enter(model);

    assert!(plane.model_ready("m", "").expect("it is known"));
}

#[test]
fn a_sample_that_fails_is_named_and_the_instances_are_closed() {
    let (_, model, seen) = prepare(Habit::Fail, 1, vec![sample("first", 2, 1), sample("second", 1, 1)]);

    assert_eq!(model.expect_err("it fails").message, "failed to run warmup sample 'first': no; no; ");
    assert_eq!(seen, [("m_0_0".to_owned(), 2), ("m_0_0 closed".to_owned(), 0)]);
}

#[test]
fn an_instance_that_panics_fails_the_sample_only() {
    let (_, model, _) = prepare(Habit::Panic, 1, vec![sample("first", 1, 1)]);

    let error = model.expect_err("it fails");
    assert!(error.message.starts_with("failed to run warmup sample 'first': instance `m_0_0` ended"), "{error:?}");
}

#[test]
fn a_batch_larger_than_the_model_takes_is_refused() {
    let (_, model, seen) = prepare(Habit::Answer, 1, vec![sample("first", 5, 1)]);

    let text = "failed to run warmup sample 'first': batch size 5 for 'm_0_0', max allowed is 4; ";
    assert_eq!(model.expect_err("it is too large").message, text);
    assert_eq!(seen, [("m_0_0 closed".to_owned(), 0)]);
}

#[test]
fn a_sample_that_is_no_request_of_the_model_is_refused() {
    let mut wrong = sample("first", 1, 1);
    wrong.inputs.get_mut("x").expect("it has one").dims = vec![3];

    let (_, model, _) = prepare(Habit::Answer, 1, vec![wrong]);

    assert!(model.expect_err("three are too many").message.contains("unexpected shape for input 'x'"));
}

#[test]
fn what_is_rescheduled_is_executed_again_before_the_next_round() {
    let (_, model, seen) = prepare(Habit::Again, 1, vec![sample("first", 3, 2)]);

    model.expect("it warms up");
    assert_eq!(seen, [3, 3, 3].map(|size| ("m_0_0".to_owned(), size)));
}

#[test]
fn answers_that_come_later_are_waited_for() {
    let (_, model, seen) = prepare(Habit::Later, 1, vec![sample("first", 2, 3)]);

    let model = model.expect("it warms up");
    assert_eq!(seen.len(), 3);
    assert_eq!(model.statistics.lock().success.count, 6);
}
