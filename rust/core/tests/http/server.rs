//! A server with a few small models.

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

use crate::client::{Answer, Client};

pub(crate) const LIMIT: usize = 1 << 20;
pub(crate) const INT32: i32 = 8;
pub(crate) const FP16: i32 = 10;
pub(crate) const FP32: i32 = 11;
pub(crate) const BYTES: i32 = 13;

/// Answers `INPUT…` with `OUTPUT…`. Waits at its gate first, when it has one.
struct Mirror(Option<Arc<Gate>>);

impl Instance for Mirror {
    fn name(&self) -> &'static str {
        "mirror_0"
    }

    fn execute(&mut self, jobs: &mut [Job]) -> Execution {
        if let Some(gate) = &self.0 {
            gate.wait(jobs);
        }
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

/// Keeps a model waiting until the test lets it go on.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    waiting: usize,
    open: bool,
    cancelled: bool,
}

impl Gate {
    fn wait(&self, jobs: &[Job]) {
        let mut state = self.state.lock().expect("no panic");
        state.waiting += jobs.len();
        self.changed.notify_all();
        while !state.open && !state.cancelled {
            // A model that wants to stop early asks now and then.
            state = self.changed.wait_timeout(state, Duration::from_millis(5)).expect("no panic").0;
            state.cancelled |= jobs.iter().filter_map(Job::cancellation).all(|job| job.is_cancelled());
        }
        self.changed.notify_all();
    }

    pub(crate) fn open(&self) {
        self.state.lock().expect("no panic").open = true;
        self.changed.notify_all();
    }

    /// Waits until the model has so many requests.
    pub(crate) fn until_reached_by(&self, count: usize) {
        self.until(|state| state.waiting >= count);
    }

    /// Waits until the model was told that nobody waits for its answer.
    pub(crate) fn until_cancelled(&self) {
        self.until(|state| state.cancelled);
    }

    fn until(&self, reached: impl Fn(&GateState) -> bool) {
        let state = self.state.lock().expect("no panic");
        let patience = Duration::from_secs(20);
        let end = self.changed.wait_timeout_while(state, patience, |state| !reached(state)).expect("no panic");
        assert!(!end.1.timed_out(), "it never happened");
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

/// A server on free ports.
pub(crate) struct Server {
    pub(crate) plane: Arc<Plane>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) http: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

impl Server {
    /// One that is not yet ready and has no models.
    pub(crate) fn bare() -> Self {
        let free = Some("127.0.0.1:0".to_owned());
        let settings = Settings {
            name: "windlass".into(),
            version: "1.2.3".into(),
            http: free.clone(),
            metrics: free,
            reactors: 1,
            http_max_input_bytes: LIMIT,
            strict_readiness: true,
            ..Settings::default()
        };
        let ledger: Arc<Ledger> = Arc::default();
        let plane = Arc::new(Plane::new(settings, Arc::clone(&ledger) as Arc<dyn Control>));
        let addresses = plane.listen().expect("there are free ports");
        let (http, metrics) = (addresses.http.expect("served"), addresses.metrics.expect("served"));
        Self { plane, ledger, http, metrics }
    }

    /// `echo` in two versions (FP32, any width, batches), `plain` (FP32 [2], no batches), `pair` (two inputs, one of which is FP16),
    /// `words` (BYTES), `odd name/x` and the decoupled `stream`.
    pub(crate) fn start() -> Self {
        let server = Self::bare();
        server.publish(&Declared::new("echo", 8, &[("INPUT0", FP32, &[-1])]));
        server.publish(&Declared { version: 3, ..Declared::new("echo", 8, &[("INPUT0", FP32, &[-1])]) });
        server.publish(&Declared::new("plain", 0, &[("INPUT0", FP32, &[2])]));
        server.publish(&Declared::new("pair", 8, &[("INPUT0", INT32, &[2]), ("INPUT1", FP16, &[1])]));
        server.publish(&Declared::new("words", 8, &[("INPUT0", BYTES, &[1])]));
        server.publish(&Declared::new("odd name/x", 8, &[("INPUT0", FP32, &[1])]));
        server.publish(&Declared { decoupled: true, ..Declared::new("stream", 0, &[("INPUT0", FP32, &[1])]) });
        server.plane.start();
        server
    }

    /// Only `held`, a model that waits at a gate.
    pub(crate) fn with_gate() -> (Self, Arc<Gate>) {
        let (server, gate) = (Self::bare(), Arc::<Gate>::default());
        server.publish(&Declared {
            gate: Some(Arc::clone(&gate)),
            ..Declared::new("held", 8, &[("INPUT0", FP32, &[1])])
        });
        server.plane.start();
        (server, gate)
    }

    pub(crate) fn publish(&self, model: &Declared) {
        let instance = Executor::Local(Box::new(Mirror(model.gate.clone())));
        self.plane.publish(Arc::new(model.spec()), vec![instance], Duration::ZERO).expect("it has instances");
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.http)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.connect().ask("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.connect().ask("POST", path, &[], body.as_bytes())
    }

    /// Sees to it that the server still does its work.
    pub(crate) fn assert_serves(&self) {
        let answer = self.post("/v2/models/echo/infer", JSON);
        assert_eq!((answer.status, answer.text()), (200, JSON_ANSWER));
    }
}

/// A good request for `echo`, and its answer.
pub(crate) const JSON: &str = r#"{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","data":[1,2.5]}]}"#;
pub(crate) const JSON_ANSWER: &str = r#"{"model_name":"echo","model_version":"3","outputs":[{"name":"OUTPUT0","datatype":"FP32","shape":[1,2],"data":[1.0,2.5]}]}"#;

impl Drop for Server {
    fn drop(&mut self) {
        self.plane.close();
    }
}

/// What a model declares.
pub(crate) struct Declared {
    name: &'static str,
    version: i64,
    max_batch_size: i32,
    inputs: Vec<(&'static str, i32, &'static [i64])>,
    decoupled: bool,
    labels: &'static [&'static str],
    gate: Option<Arc<Gate>>,
}

impl Declared {
    fn new(name: &'static str, max_batch_size: i32, inputs: &[(&'static str, i32, &'static [i64])]) -> Self {
        Self { name, version: 1, max_batch_size, inputs: inputs.to_vec(), decoupled: false, labels: &[], gate: None }
    }

    /// `labelled`: rows of three FP32, the first two of which have a name.
    pub(crate) fn labelled() -> Self {
        Self { labels: &["cat", "dog"], ..Self::new("labelled", 8, &[("INPUT0", FP32, &[3])]) }
    }

    fn spec(&self) -> Spec {
        let input = |&(name, data_type, dims): &(&str, i32, &[i64])| ModelInput {
            name: name.into(),
            data_type,
            dims: dims.to_vec(),
            ..ModelInput::default()
        };
        let output = |&(name, data_type, dims): &(&str, i32, &[i64])| ModelOutput {
            name: name.replace("INPUT", "OUTPUT"),
            data_type,
            dims: dims.to_vec(),
            ..ModelOutput::default()
        };
        let config = ModelConfig {
            name: self.name.into(),
            backend: "mirror".into(),
            max_batch_size: self.max_batch_size,
            input: self.inputs.iter().map(input).collect(),
            output: self.inputs.iter().map(output).collect(),
            model_transaction_policy: Some(ModelTransactionPolicy { decoupled: self.decoupled }),
            ..ModelConfig::default()
        };
        let json = Bytes::from(format!(r#"{{"name":"{}"}}"#, self.name));
        let mut spec = Spec::read(self.version, config, json).expect("a good configuration");
        spec.label("OUTPUT0", self.labels.iter().map(|&label| label.to_owned()).collect());
        spec
    }
}
