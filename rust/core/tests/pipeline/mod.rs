//! Small models and ensembles of them, in a plane that no network reaches.
#![allow(dead_code)] // each test file uses its own part

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use windlass_core::control::{Control, ControlParameter, Level};
use windlass_core::error::{Error, Result};
use windlass_core::host::Respond;
use windlass_core::instance::{Execution, Executor, Instance, Job, Outcome};
use windlass_core::model::Model;
use windlass_core::pending::Pending;
use windlass_core::plane::{Plane, Settings};
use windlass_core::proto::inference::model_config::SchedulingChoice;
use windlass_core::proto::inference::model_ensembling::Step;
use windlass_core::proto::inference::{
    ModelConfig, ModelDynamicBatching, ModelEnsembling, ModelInput, ModelOutput, ModelResponseCache,
    ModelTransactionPolicy,
};
use windlass_core::reactor::Reactor;
use windlass_core::request::{Request, Response};
use windlass_core::spec::Spec;
use windlass_core::statistics::{Timing, Totals};
use windlass_core::tensor::{DataType, Name, Tensor};

const FP32: i32 = 11;

/// What a model does with a request.
#[derive(Clone, Copy)]
enum Kind {
    /// Adds a number.
    Add(f32),
    /// Hands back the very bytes it is given.
    Mirror,
    /// Fails.
    Fail,
    /// Answers without an output.
    Silent,
    /// Answers 0, 1, 2 …
    Repeat(usize),
}

/// Requests that a model saw, without their tensors but with the names of these.
type Seen = Arc<Mutex<Vec<(Request, Vec<Name>)>>>;

struct Watched {
    kind: Kind,
    seen: Seen,
}

impl Instance for Watched {
    fn name(&self) -> &'static str {
        "watched_0"
    }

    fn execute(&mut self, jobs: &mut [Job]) -> Execution {
        let outcomes = jobs.iter_mut().map(|job| self.answer(job)).collect();
        let timing = Timing { infer: Duration::from_micros(3), ..Timing::default() };
        Execution { outcomes, timing }
    }
}

impl Watched {
    fn answer(&self, job: &mut Job) -> Outcome {
        let names = job.request.inputs.iter().map(|input| input.name.clone()).collect();
        let mut told = job.request.without_tensors();
        told.outputs.clone_from(&job.request.outputs);
        self.seen.lock().expect("no panic").push((told, names));
        let input = job.request.inputs.remove(0);
        let output = |data: Vec<f32>| tensor("OUT", &data, input.shape.clone());
        match self.kind {
            Kind::Add(number) => {
                let sums = floats(&input).into_iter().map(|value| value + number).collect();
                Outcome::Answered(vec![output(sums)].into())
            }
            Kind::Mirror => Outcome::Answered(vec![Tensor { name: Name::from("OUT"), ..input }].into()),
            Kind::Fail => Outcome::Failed(Error::internal("no")),
            Kind::Silent => Outcome::Answered(Vec::new().into()),
            Kind::Repeat(count) => {
                let mut responder = job.responder().expect("nobody took it");
                for index in 0..count {
                    responder.respond(Some(Ok(vec![output(vec![index as f32])].into())), false);
                }
                responder.respond(None, true);
                Outcome::Deferred
            }
        }
    }
}

/// The steps of an ensemble.
pub(crate) struct Steps(ModelConfig);

impl Steps {
    /// Rows of one FP32 in and out.
    pub(crate) fn new(name: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        Self(ModelConfig {
            platform: "ensemble".into(),
            scheduling_choice: Some(SchedulingChoice::EnsembleScheduling(ModelEnsembling::default())),
            ..config(name, inputs, outputs)
        })
    }

    pub(crate) fn step(mut self, model: &str, inputs: &[(&str, &str)], outputs: &[(&str, &str)]) -> Self {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
        let step = Step {
            model_name: model.into(),
            model_version: -1,
            input_map: map(inputs),
            output_map: map(outputs),
            ..Step::default()
        };
        if let Some(SchedulingChoice::EnsembleScheduling(ensemble)) = &mut self.0.scheduling_choice {
            ensemble.step.push(step);
        }
        self
    }

    pub(crate) fn cached(mut self) -> Self {
        self.0 = cached(self.0);
        self
    }

    pub(crate) fn with_optional(mut self, input: &str) -> Self {
        self.0.input.iter_mut().filter(|declared| declared.name == input).for_each(|declared| declared.optional = true);
        self
    }
}

fn config(name: &str, inputs: &[&str], outputs: &[&str]) -> ModelConfig {
    let input =
        |name: &&str| ModelInput { name: (*name).into(), data_type: FP32, dims: vec![1], ..ModelInput::default() };
    let output =
        |name: &&str| ModelOutput { name: (*name).into(), data_type: FP32, dims: vec![1], ..ModelOutput::default() };
    ModelConfig {
        name: name.into(),
        backend: "test".into(),
        max_batch_size: 128,
        input: inputs.iter().map(input).collect(),
        output: outputs.iter().map(output).collect(),
        ..ModelConfig::default()
    }
}

pub(crate) struct Nobody;

impl Control for Nobody {
    fn load(&self, _model: &str, _parameters: Vec<(String, ControlParameter)>) -> Result<()> {
        Ok(())
    }

    fn unload(&self, _model: &str, _unload_dependents: bool) -> Result<()> {
        Ok(())
    }

    fn log(&self, _level: Level, _message: &str) {}
}

/// Models to be served.
pub(crate) struct Pipeline {
    plane: Arc<Plane>,
    seen: HashMap<String, Seen>,
}

impl Pipeline {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self { plane: Arc::new(Plane::new(settings, Arc::new(Nobody))), seen: HashMap::new() }
    }

    fn model(mut self, config: ModelConfig, kind: Kind) -> Self {
        let seen: Seen = Arc::default();
        let instance = Box::new(Watched { kind, seen: Arc::clone(&seen) });
        self.seen.insert(config.name.clone(), seen);
        self.publish(config, vec![Executor::Local(instance)]);
        self
    }

    fn publish(&self, config: ModelConfig, instances: Vec<Executor>) {
        let spec = Spec::read(1, config, Bytes::from_static(b"{}")).expect("a good configuration");
        self.plane.publish(Arc::new(spec), instances, Duration::ZERO).expect("a good configuration");
    }

    pub(crate) fn adder(self, name: &str, number: f32) -> Self {
        self.model(config(name, &["IN"], &["OUT"]), Kind::Add(number))
    }

    /// Adds a number; its answers are kept.
    pub(crate) fn cached(self, name: &str, number: f32) -> Self {
        self.model(cached(config(name, &["IN"], &["OUT"])), Kind::Add(number))
    }

    /// Fails, and would have its answers kept.
    pub(crate) fn cached_failure(self, name: &str) -> Self {
        self.model(cached(config(name, &["IN"], &["OUT"])), Kind::Fail)
    }

    /// Adds nothing, after waiting so long for company.
    pub(crate) fn slow(self, name: &str, delay: Duration) -> Self {
        let batching = ModelDynamicBatching {
            max_queue_delay_microseconds: delay.as_micros() as u64,
            ..ModelDynamicBatching::default()
        };
        let scheduling_choice = Some(SchedulingChoice::DynamicBatching(batching));
        let config = ModelConfig { scheduling_choice, ..config(name, &["IN"], &["OUT"]) };
        self.model(config, Kind::Add(0.0))
    }

    pub(crate) fn mirror(self, name: &str) -> Self {
        self.model(config(name, &["IN"], &["OUT"]), Kind::Mirror)
    }

    pub(crate) fn failing(self, name: &str) -> Self {
        self.model(config(name, &["IN"], &["OUT"]), Kind::Fail)
    }

    pub(crate) fn silent(self, name: &str) -> Self {
        self.model(config(name, &["IN"], &["OUT"]), Kind::Silent)
    }

    /// Adds nothing, and declares an output that nobody asks for.
    pub(crate) fn versatile(self, name: &str) -> Self {
        self.model(config(name, &["IN"], &["OUT", "SPARE"]), Kind::Add(0.0))
    }

    /// Adds nothing, and has no batch dimension.
    pub(crate) fn unbatched(self, name: &str) -> Self {
        self.model(ModelConfig { max_batch_size: 0, ..config(name, &["IN"], &["OUT"]) }, Kind::Add(0.0))
    }

    /// Adds nothing to `IN`; `MORE` may be left out.
    pub(crate) fn optional(self, name: &str) -> Self {
        let mut config = config(name, &["IN", "MORE"], &["OUT"]);
        config.input[1].optional = true;
        self.model(config, Kind::Add(0.0))
    }

    /// Decoupled: answers so many times.
    pub(crate) fn repeating(self, name: &str, count: usize) -> Self {
        self.model(decoupled(config(name, &["IN"], &["OUT"])), Kind::Repeat(count))
    }

    pub(crate) fn ensemble(self, steps: Steps) -> Self {
        self.publish(steps.0, Vec::new());
        self
    }

    pub(crate) fn decoupled_ensemble(self, steps: Steps) -> Self {
        self.publish(decoupled(steps.0), Vec::new());
        self
    }

    /// Serves them on a reactor of this runtime.
    pub(crate) fn serve(self) -> Served {
        let reactor: Arc<Reactor> = Arc::default();
        let driven = Arc::clone(&reactor);
        tokio::spawn(async move { driven.drive().await });
        Served { plane: self.plane, seen: self.seen, reactor }
    }
}

fn decoupled(config: ModelConfig) -> ModelConfig {
    ModelConfig { model_transaction_policy: Some(ModelTransactionPolicy { decoupled: true }), ..config }
}

fn cached(config: ModelConfig) -> ModelConfig {
    ModelConfig { response_cache: Some(ModelResponseCache { enable: true }), ..config }
}

/// Models in service.
pub(crate) struct Served {
    pub(crate) plane: Arc<Plane>,
    pub(crate) reactor: Arc<Reactor>,
    seen: HashMap<String, Seen>,
}

impl Served {
    pub(crate) fn model(&self, name: &str) -> Arc<Model> {
        self.plane.model(name, "").expect("it is served")
    }

    /// The same plane with further models, or with others under the same names.
    pub(crate) async fn again(self, change: impl FnOnce(Pipeline) -> Pipeline + Send + 'static) -> Self {
        let Self { plane, reactor, seen } = self;
        let change = move || change(Pipeline { plane, seen });
        let Pipeline { plane, seen } = tokio::task::spawn_blocking(change).await.expect("no panic");
        Self { plane, reactor, seen }
    }

    pub(crate) fn submit(&self, model: &str, request: Request) -> Result<Pending> {
        self.model(model).submit(request, &self.reactor)
    }

    pub(crate) async fn ask(&self, model: &str, request: Request) -> Result<Response> {
        self.submit(model, request)?.await
    }

    /// Every answer that says something.
    pub(crate) async fn ask_all(&self, model: &str, request: Request) -> Vec<Result<Response>> {
        let mut pending = self.submit(model, request).expect("a good request");
        let mut answers = Vec::new();
        while let Some(answer) = pending.next().await {
            answers.extend(answer.result);
        }
        answers
    }

    pub(crate) fn totals(&self, model: &str) -> Totals {
        self.model(model).statistics.lock().clone()
    }

    pub(crate) fn executions(&self, model: &str) -> usize {
        self.seen[model].lock().expect("no panic").len()
    }

    /// The last request a model saw, without its tensors.
    pub(crate) fn last(&self, model: &str) -> Request {
        let seen = self.seen[model].lock().expect("no panic");
        let request = &seen.last().expect("it was asked").0;
        let mut told = request.without_tensors();
        told.outputs.clone_from(&request.outputs);
        told
    }

    /// The names of the inputs it had.
    pub(crate) fn last_inputs(&self, model: &str) -> Vec<String> {
        let seen = self.seen[model].lock().expect("no panic");
        seen.last().expect("it was asked").1.iter().map(ToString::to_string).collect()
    }
}

/// Rows of one FP32 for `x`.
pub(crate) fn request(rows: &[f32]) -> Request {
    Request { inputs: vec![tensor("x", rows, vec![rows.len() as i64, 1])], ..Request::default() }
}

pub(crate) trait Named {
    /// The same with another name for its only input.
    fn named(self, name: &str) -> Self;
}

impl Named for Request {
    fn named(mut self, name: &str) -> Self {
        self.inputs[0].name = Name::from(name);
        self
    }
}

pub(crate) fn tensor(name: &str, values: &[f32], shape: Vec<i64>) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { name: Name::from(name), data_type: DataType::Fp32, shape, data: BytesMut::from(&data[..]).into() }
}

pub(crate) fn floats(tensor: &Tensor) -> Vec<f32> {
    let (chunks, _) = tensor.data.as_slice().as_chunks::<4>();
    chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
