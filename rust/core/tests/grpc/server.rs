//! A server with a model that answers with what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use windlass_core::control::{Control, ControlParameter, Level};
use windlass_core::error::{Error, Result};
use windlass_core::instance::{Execution, Executor, Instance, Job, Outcome};
use windlass_core::plane::{Plane, Settings};
use windlass_core::proto::inference::{ModelConfig, ModelInput, ModelOutput, ModelTransactionPolicy};
use windlass_core::spec::Spec;
use windlass_core::statistics::Timing;
use windlass_core::tensor::{Name, Tensor};

/// Answers `INPUT…` with `OUTPUT…`, once its gate is open.
struct Mirror(Arc<Gate>);

impl Instance for Mirror {
    fn name(&self) -> &'static str {
        "mirror_0"
    }

    fn execute(&mut self, jobs: &mut [Job]) -> Execution {
        self.0.pass(jobs);
        let rename = |input: Tensor| Tensor { name: Name::from(input.name.replace("INPUT", "OUTPUT")), ..input };
        let answer = |job: &mut Job| {
            let wanted = job.request.outputs.clone();
            let outputs = std::mem::take(&mut job.request.inputs).into_iter().map(rename);
            let kept = outputs.filter(|output| wanted.is_empty() || wanted.contains(&output.name));
            Outcome::Answered(kept.collect::<Vec<_>>().into())
        };
        Execution { outcomes: jobs.iter_mut().map(answer).collect(), timing: Timing::default() }
    }
}

/// Keeps the model waiting while it is shut, and tells what happens there.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    shut: bool,
    waiting: bool,
    cancelled: bool,
}

impl Gate {
    fn pass(&self, jobs: &[Job]) {
        let mut state = self.state.lock().expect("no panic");
        state.waiting = true;
        self.changed.notify_all();
        while state.shut && !state.cancelled {
            // A model that wants to stop early asks now and then.
            state = self.changed.wait_timeout(state, Duration::from_millis(5)).expect("no panic").0;
            state.cancelled = jobs.iter().filter_map(Job::cancellation).all(|job| job.is_cancelled());
        }
        self.changed.notify_all();
    }

    pub(crate) fn shut(&self) {
        self.state.lock().expect("no panic").shut = true;
    }

    pub(crate) fn open(&self) {
        self.state.lock().expect("no panic").shut = false;
        self.changed.notify_all();
    }

    /// Waits until the model has a request.
    pub(crate) async fn reached(self: &Arc<Self>) {
        self.until(|state| state.waiting).await;
    }

    /// Waits until the model was told that nobody waits for its answer.
    pub(crate) async fn cancelled(self: &Arc<Self>) {
        self.until(|state| state.cancelled).await;
    }

    async fn until(self: &Arc<Self>, happened: fn(&GateState) -> bool) {
        let gate = Arc::clone(self);
        let wait = move || {
            let state = gate.state.lock().expect("no panic");
            let patience = Duration::from_secs(20);
            let end = gate.changed.wait_timeout_while(state, patience, |state| !happened(state)).expect("no panic");
            assert!(!end.1.timed_out(), "it never happened");
        };
        tokio::task::spawn_blocking(wait).await.expect("it happened");
    }
}

/// Writes down what it was asked.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Vec<String>>);

impl Control for Ledger {
    fn load(&self, model: &str, parameters: Vec<(String, ControlParameter)>) -> Result<()> {
        self.0.lock().expect("no panic").push(format!("load {model} {parameters:?}"));
        if model == "broken" {
            return Err(Error::internal("failed to load 'broken', failed to poll from model repository"));
        }
        Ok(())
    }

    fn unload(&self, model: &str, unload_dependents: bool) -> Result<()> {
        self.0.lock().expect("no panic").push(format!("unload {model} {unload_dependents}"));
        Ok(())
    }

    fn log(&self, _level: Level, _message: &str) {}
}

impl Ledger {
    pub(crate) fn last(&self) -> String {
        self.0.lock().expect("no panic").last().cloned().unwrap_or_default()
    }
}

/// A server on a free port.
pub(crate) struct Server {
    pub(crate) plane: Arc<Plane>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// One that is not yet ready and has no models.
    pub(crate) fn bare() -> Self {
        let settings = Settings {
            name: "windlass".into(),
            version: "1.2.3".into(),
            grpc: Some("127.0.0.1:0".into()),
            reactors: 1,
            http_max_input_bytes: 1 << 20,
            strict_readiness: true,
            ..Settings::default()
        };
        let ledger: Arc<Ledger> = Arc::default();
        let plane = Arc::new(Plane::new(settings, Arc::<Ledger>::clone(&ledger)));
        let address = plane.listen().expect("a free port").grpc.expect("it is served");
        Self { plane, ledger, gate: Arc::default(), address }
    }

    /// One with `mirror`, which takes rows of any width, and `stream`, which may answer any number of times.
    pub(crate) fn start() -> Self {
        let server = Self::bare();
        let tensor = |name: &str, data_type| (name.to_owned(), data_type, vec![-1]);
        server.serve(config("mirror", &[tensor("0", FP32), tensor("1", BYTES)]));
        let decoupled = ModelTransactionPolicy { decoupled: true };
        server
            .serve(ModelConfig { model_transaction_policy: Some(decoupled), ..config("stream", &[tensor("0", FP32)]) });
        server.plane.start();
        server
    }

    fn serve(&self, config: ModelConfig) {
        let spec = Spec::read(1, config, Bytes::from_static(b"{}")).expect("a good configuration");
        let instances = vec![Executor::Local(Box::new(Mirror(Arc::clone(&self.gate))))];
        self.plane.publish(Arc::new(spec), instances, Duration::ZERO).expect("it has instances");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.gate.open();
        let plane = Arc::clone(&self.plane);
        // The server's runtime must not end inside the test's.
        let closed = std::thread::spawn(move || plane.close()).join();
        assert!(closed.is_ok() || std::thread::panicking(), "closing panicked");
    }
}

const FP32: i32 = 11;
const BYTES: i32 = 13;

/// Up to 4 rows of each tensor, all but the first of which may be left out.
fn config(name: &str, tensors: &[(String, i32, Vec<i64>)]) -> ModelConfig {
    let input = |(index, (name, data_type, dims)): (usize, &(String, i32, Vec<i64>))| ModelInput {
        name: format!("INPUT{name}"),
        data_type: *data_type,
        dims: dims.clone(),
        optional: index > 0,
        ..ModelInput::default()
    };
    let output = |(name, data_type, dims): &(String, i32, Vec<i64>)| ModelOutput {
        name: format!("OUTPUT{name}"),
        data_type: *data_type,
        dims: dims.clone(),
        ..ModelOutput::default()
    };
    ModelConfig {
        name: name.to_owned(),
        backend: "mirror".to_owned(),
        max_batch_size: 4,
        input: tensors.iter().enumerate().map(input).collect(),
        output: tensors.iter().map(output).collect(),
        ..ModelConfig::default()
    }
}
