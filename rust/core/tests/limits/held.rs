//! A model that executes until the test says it is done, and what tests need around it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use windlass_core::instance::{Execution, Executor, Outcome, RemoteInstance};
use windlass_core::limiter::RateLimiter;
use windlass_core::model::Model;
use windlass_core::pending::Pending;
use windlass_core::proto::inference::model_config::SchedulingChoice;
use windlass_core::proto::inference::model_instance_group::Kind;
use windlass_core::proto::inference::model_rate_limiter::Resource;
use windlass_core::proto::inference::{
    ModelConfig, ModelDynamicBatching, ModelInput, ModelInstanceGroup, ModelOutput, ModelRateLimiter,
};
use windlass_core::reactor::Reactor;
use windlass_core::request::Request;
use windlass_core::spec::Spec;
use windlass_core::statistics::Timing;
use windlass_core::tensor::{DataType, Name, Tensor};
use windlass_core::worker::Commission;

const FP32: i32 = 11;

/// The batches that are being executed, with the names of their instances, oldest first.
type Batches = Arc<Mutex<VecDeque<(String, Commission)>>>;

struct Held {
    name: String,
    batches: Batches,
}

impl RemoteInstance for Held {
    fn name(&self) -> &str {
        &self.name
    }

    fn start(&self, batch: Commission) {
        self.batches.lock().expect("no panic").push_back((self.name.clone(), batch));
    }
}

/// The models of a server with a limiter.
pub(crate) struct Site {
    pub(crate) limiter: Arc<RateLimiter>,
    reactor: Arc<Reactor>,
    batches: Batches,
}

impl Site {
    pub(crate) fn open(limiter: RateLimiter) -> Self {
        let reactor: Arc<Reactor> = Arc::default();
        let driven = Arc::clone(&reactor);
        tokio::spawn(async move { driven.drive().await });
        Self { limiter: Arc::new(limiter), reactor, batches: Batches::default() }
    }

    /// Serves a model. Each group is told what each of its `count` instances needs.
    pub(crate) fn serve(&self, name: &str, groups: &[Group]) -> Arc<Model> {
        self.serve_as(name, groups, SchedulingChoice::DynamicBatching(ModelDynamicBatching::default()))
    }

    pub(crate) fn serve_as(&self, name: &str, groups: &[Group], scheduling: SchedulingChoice) -> Arc<Model> {
        let config = ModelConfig {
            name: name.into(),
            backend: "held".into(),
            max_batch_size: 8,
            input: vec![ModelInput { name: "INPUT0".into(), data_type: FP32, dims: vec![1], ..ModelInput::default() }],
            output: vec![ModelOutput {
                name: "OUTPUT0".into(),
                data_type: FP32,
                dims: vec![1],
                ..ModelOutput::default()
            }],
            instance_group: groups.iter().enumerate().map(|(place, group)| group.read(name, place)).collect(),
            scheduling_choice: Some(scheduling),
            ..ModelConfig::default()
        };
        let instance = |name: String| {
            let batches = Arc::clone(&self.batches);
            Executor::Remote(Arc::new(Held { name, batches }))
        };
        let instances = groups
            .iter()
            .enumerate()
            .flat_map(|(place, group)| (0..group.count).map(move |index| format!("{name}_{place}_{index}")));
        let instances = instances.map(instance).collect();
        let spec = Spec::read(1, config, Bytes::from_static(b"{}")).expect("a good configuration");
        Arc::new(Model::new(Arc::new(spec), instances, Duration::ZERO, &self.reactor, Some(&self.limiter)))
    }

    pub(crate) fn ask(&self, model: &Model) -> Pending {
        self.ask_with(model, |_| {})
    }

    pub(crate) fn ask_with(&self, model: &Model, change: impl FnOnce(&mut Request)) -> Pending {
        let tensor = Tensor {
            name: Name::from("INPUT0"),
            data_type: DataType::Fp32,
            shape: vec![1, 1],
            data: BytesMut::from(&1_f32.to_le_bytes()[..]).into(),
        };
        let mut request = Request { inputs: vec![tensor], ..Request::default() };
        change(&mut request);
        model.submit(request, &self.reactor).expect("a good request")
    }

    /// Who executes now, and how many requests, oldest first.
    pub(crate) async fn executing(&self) -> Vec<(String, usize)> {
        settle().await;
        let mut batches = self.batches.lock().expect("no panic");
        batches.iter_mut().map(|(name, batch)| (name.clone(), batch.jobs().len())).collect()
    }

    /// Whether the oldest batch may be executed in that life of its instance; all are in their first.
    pub(crate) async fn is_for(&self, life: u64) -> bool {
        settle().await;
        self.batches.lock().expect("no panic").front().expect("something executes").1.is_for(life)
    }

    /// Lets the oldest batch be done. Returns who executed it.
    pub(crate) async fn finish(&self) -> String {
        settle().await;
        let (name, mut batch) = self.batches.lock().expect("no panic").pop_front().expect("something executes");
        let outcomes = batch.jobs().iter_mut().map(|job| {
            let mut input = job.request.inputs.remove(0);
            input.name = Name::from("OUTPUT0");
            Outcome::Answered(vec![input].into())
        });
        let execution = Execution { outcomes: outcomes.collect(), timing: Timing::default() };
        batch.complete(execution);
        settle().await;
        name
    }
}

/// Instances of a model that need the same.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) count: i32,
    /// Name, count, and whether all devices share it.
    pub(crate) needs: Vec<(&'static str, u32, bool)>,
    pub(crate) priority: u32,
}

impl Group {
    /// One instance that needs so much of one resource.
    pub(crate) fn needing(name: &'static str, count: u32) -> Self {
        Self { count: 1, needs: vec![(name, count, false)], priority: 1 }
    }

    fn read(&self, model: &str, place: usize) -> ModelInstanceGroup {
        let resource = |&(name, count, global): &(&str, u32, bool)| Resource { name: name.into(), count, global };
        let resources = self.needs.iter().map(resource).collect();
        ModelInstanceGroup {
            name: format!("{model}_{place}"),
            kind: Kind::Cpu.into(),
            count: self.count,
            rate_limiter: Some(ModelRateLimiter { resources, priority: self.priority }),
            ..ModelInstanceGroup::default()
        }
    }
}

/// Lets everything happen that can without anybody's help.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
