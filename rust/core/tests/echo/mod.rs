//! A model that answers with what it was asked, and what tests need around it.
#![allow(dead_code)] // each test file uses its own part

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use windlass_core::batch::{Joined, join};
use windlass_core::error::{Error, Result};
use windlass_core::instance::{Execution, Executor, Instance, Job, Outcome};
use windlass_core::model::Model;
use windlass_core::pending::Pending;
use windlass_core::proto::inference::batch_input;
use windlass_core::proto::inference::model_config::SchedulingChoice;
use windlass_core::proto::inference::{
    BatchInput, BatchOutput, ModelConfig, ModelDynamicBatching, ModelInput, ModelOutput,
};
use windlass_core::reactor::Reactor;
use windlass_core::request::{Request, Response};
use windlass_core::spec::Spec;
use windlass_core::statistics::Timing;
use windlass_core::tensor::{DataType, Name, Tensor};

const FP32: i32 = 11;

/// The values of every batch so far.
type Batches = Arc<Mutex<Vec<Vec<f32>>>>;

/// Answers with what it was asked, and writes down the rows of each batch.
pub(crate) struct Echo {
    batches: Batches,
    spec: Arc<Spec>,
}

impl Echo {
    /// A request with this value fails.
    pub(crate) const POISON: f32 = -1.0;
    /// A batch with this value panics.
    pub(crate) const PANIC: f32 = -2.0;
}

impl Instance for Echo {
    fn name(&self) -> &'static str {
        "echo_0"
    }

    fn execute(&mut self, jobs: &mut [Job]) -> Execution {
        let firsts: Vec<f32> = jobs.iter().map(|job| floats(&job.request.inputs[0])[0]).collect();
        let poisoned: Vec<bool> = firsts.iter().map(|&value| value == Self::POISON).collect();
        assert!(!firsts.contains(&Self::PANIC), "asked to panic");
        let Joined { mut inputs, seams } = join(jobs, &self.spec).expect("the scheduler saw to it");
        // Helpers of ragged batches stand behind the input.
        self.batches.lock().expect("no panic").extend(inputs.iter().map(floats));
        inputs.truncate(1);
        inputs[0].name = Name::from("OUTPUT0");
        let answers = seams.split(inputs).expect("as many rows as went in");
        let outcome = |(outputs, poisoned): (Vec<Tensor>, bool)| {
            if poisoned { Outcome::Failed(Error::internal("poison")) } else { Outcome::Answered(outputs.into()) }
        };
        Execution { outcomes: answers.into_iter().zip(poisoned).map(outcome).collect(), timing: Timing::default() }
    }
}

/// A model to be served.
pub(crate) struct Setup {
    config: ModelConfig,
}

impl Setup {
    /// Batches of up to 8 rows of one FP32.
    pub(crate) fn new(batching: ModelDynamicBatching) -> Self {
        let mut setup = Self::unbatched();
        setup.config.scheduling_choice = Some(SchedulingChoice::DynamicBatching(batching));
        setup
    }

    /// The same without dynamic batching.
    pub(crate) fn unbatched() -> Self {
        let input = ModelInput { name: "INPUT0".into(), data_type: FP32, dims: vec![1], ..ModelInput::default() };
        let output = ModelOutput { name: "OUTPUT0".into(), data_type: FP32, dims: vec![1], ..ModelOutput::default() };
        let config = ModelConfig {
            name: "echo".into(),
            backend: "echo".into(),
            max_batch_size: 8,
            input: vec![input],
            output: vec![output],
            ..ModelConfig::default()
        };
        Self { config }
    }

    /// Rows of any width.
    pub(crate) fn variable_width(mut self) -> Self {
        self.config.input[0].dims = vec![-1];
        self.config.output[0].dims = vec![-1];
        self
    }

    /// Rows of any width side by side, and back in the shape they came in.
    pub(crate) fn ragged(self) -> Self {
        let mut setup = self.variable_width();
        setup.config.input[0].allow_ragged_batch = true;
        setup.config.batch_output =
            vec![BatchOutput { target_name: vec!["OUTPUT0".into()], kind: 0, source_input: vec!["INPUT0".into()] }];
        setup.config.batch_input = vec![BatchInput {
            kind: batch_input::Kind::BatchAccumulatedElementCountWithZero.into(),
            target_name: vec!["OFFSETS".into()],
            data_type: FP32,
            source_input: vec!["INPUT0".into()],
        }];
        setup
    }

    /// Its specification and an instance of it.
    pub(crate) fn into_parts(self) -> (Arc<Spec>, Executor, Batches) {
        let batches = Arc::default();
        let spec = Spec::read(1, self.config, Bytes::from_static(b"{}")).expect("a good configuration");
        let spec = Arc::new(spec);
        let instance = Echo { batches: Arc::clone(&batches), spec: Arc::clone(&spec) };
        (spec, Executor::Local(Box::new(instance)), batches)
    }

    /// Serves it on a reactor of this runtime.
    pub(crate) fn serve(self) -> Served {
        let (spec, instance, batches) = self.into_parts();
        let reactor: Arc<Reactor> = Arc::default();
        let model = Arc::new(Model::new(spec, vec![instance], Duration::ZERO, &reactor, None));
        let driven = Arc::clone(&reactor);
        tokio::spawn(async move { driven.drive().await });
        Served { model, reactor, batches }
    }
}

/// A model in service.
pub(crate) struct Served {
    pub(crate) model: Arc<Model>,
    reactor: Arc<Reactor>,
    batches: Batches,
}

impl Served {
    pub(crate) async fn ask(&self, input: &[f32]) -> Vec<f32> {
        values(self.submit(input, 1).await)
    }

    /// Asks several things at the same moment.
    pub(crate) async fn ask_all(&self, inputs: impl IntoIterator<Item = Vec<f32>>) -> Vec<Vec<f32>> {
        let pending: Vec<Pending> = inputs.into_iter().map(|input| self.submit(&input, 1)).collect();
        join_all(pending).await.into_iter().map(values).collect()
    }

    pub(crate) fn submit(&self, input: &[f32], width: usize) -> Pending {
        self.try_submit(input, width).expect("a good request")
    }

    pub(crate) fn try_submit(&self, input: &[f32], width: usize) -> Result<Pending> {
        self.model.submit(request(input, width), &self.reactor)
    }

    pub(crate) fn submit_with(&self, input: &[f32], change: impl FnOnce(&mut Request)) -> Pending {
        let mut request = request(input, 1);
        change(&mut request);
        self.model.submit(request, &self.reactor).expect("a good request")
    }

    /// The values of every batch so far.
    pub(crate) fn values(&self) -> Vec<Vec<f32>> {
        self.batches.lock().expect("no panic").clone()
    }

    /// Elements of every batch so far.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.batches.lock().expect("no panic").iter().map(Vec::len).collect()
    }

    /// The first element of every batch so far.
    pub(crate) fn first_values(&self) -> Vec<f32> {
        self.batches.lock().expect("no panic").iter().map(|batch| batch[0]).collect()
    }
}

fn request(input: &[f32], width: usize) -> Request {
    let data: Vec<u8> = input.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensor = Tensor {
        name: Name::from("INPUT0"),
        data_type: DataType::Fp32,
        shape: vec![(input.len() / width) as i64, width as i64],
        data: BytesMut::from(&data[..]).into(),
    };
    Request { inputs: vec![tensor], ..Request::default() }
}

/// The only output of a good answer.
pub(crate) fn values(answer: Result<Response>) -> Vec<f32> {
    floats(&answer.expect("a good answer").outputs[0])
}

pub(crate) fn floats(tensor: &Tensor) -> Vec<f32> {
    let (chunks, _) = tensor.data.as_slice().as_chunks::<4>();
    chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
