//! A whole server on free ports, and the small models it serves.
#![allow(dead_code)] // each test file uses its own part

mod gate;
mod mirror;
mod teller;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use windlass_core::control::{Control, ControlParameter, Level};
use windlass_core::error::{Error, Result};
use windlass_core::instance::{Executor, Instance};
use windlass_core::log::LogSettings;
use windlass_core::plane::{Plane, Settings};
use windlass_core::proto::inference::model_config::SchedulingChoice;
use windlass_core::proto::inference::{
    ModelConfig, ModelInput, ModelOutput, ModelSequenceBatching, ModelTransactionPolicy,
};
use windlass_core::spec::Spec;

pub(crate) use gate::Gate;
pub(crate) use mirror::Mirror;
pub(crate) use teller::Teller;

pub(crate) const LIMIT: usize = 1 << 20;
pub(crate) const INT32: i32 = 8;
pub(crate) const FP16: i32 = 10;
pub(crate) const FP32: i32 = 11;
pub(crate) const BYTES: i32 = 13;

/// A server, not yet ready and without models.
pub(crate) struct Site {
    pub(crate) plane: Arc<Plane>,
    pub(crate) ledger: Arc<Ledger>,
    /// Where its models wait once it is shut.
    pub(crate) gate: Arc<Gate>,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

impl Site {
    pub(crate) fn open() -> Self {
        Self::open_with(Settings::default())
    }

    /// The same, with settings of its own.
    pub(crate) fn open_with(settings: Settings) -> Self {
        let free = Some("127.0.0.1:0".to_owned());
        let settings = Settings {
            name: "windlass".into(),
            version: "1.2.3".into(),
            http: free.clone(),
            grpc: free.clone(),
            metrics: free,
            reactors: 1,
            busy_poll: Duration::from_micros(100),
            http_max_input_bytes: LIMIT,
            strict_readiness: true,
            client_shm: true,
            ..settings
        };
        let ledger: Arc<Ledger> = Arc::default();
        let plane = Arc::new(Plane::new(settings, Arc::<Ledger>::clone(&ledger)));
        let addresses = plane.listen().expect("there are free ports");
        let served = |address: Option<SocketAddr>| address.expect("it is served");
        let (http, grpc, metrics) = (served(addresses.http), served(addresses.grpc), served(addresses.metrics));
        Self { plane, ledger, gate: Arc::default(), http, grpc, metrics }
    }

    /// Serves what the model says.
    pub(crate) fn publish(&self, model: &Declared) {
        let gate = Arc::clone(&self.gate);
        let instance: Box<dyn Instance> =
            if model.decoupled { Box::new(Teller::new(gate)) } else { Box::new(Mirror::new(gate)) };
        let instances = vec![Executor::Local(instance)];
        self.plane.publish(Arc::new(model.spec()), instances, Duration::ZERO).expect("it has instances");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.gate.open();
        let plane = Arc::clone(&self.plane);
        // The server's runtime must not end inside that of a test.
        let closed = std::thread::spawn(move || plane.close(Duration::from_secs(1))).join();
        assert!(closed.is_ok() || std::thread::panicking(), "closing panicked");
    }
}

/// A name, a data type and dimensions.
pub(crate) type Tensor = (&'static str, i32, &'static [i64]);

/// What a model declares: `INPUT…`, which are answered as `OUTPUT…`. One that is decoupled tells words instead.
pub(crate) struct Declared {
    pub(crate) name: &'static str,
    pub(crate) version: i64,
    pub(crate) max_batch_size: i32,
    pub(crate) inputs: Vec<Tensor>,
    /// How many of the inputs a request has to have.
    pub(crate) required: usize,
    pub(crate) decoupled: bool,
    /// Whether its requests belong together. They do for a millisecond.
    pub(crate) sequences: bool,
    /// Of the elements of the output.
    pub(crate) labels: &'static [&'static str],
}

impl Declared {
    pub(crate) fn new(name: &'static str, max_batch_size: i32, inputs: &[Tensor]) -> Self {
        let (inputs, required) = (inputs.to_vec(), inputs.len());
        Self { name, version: 1, max_batch_size, inputs, required, decoupled: false, sequences: false, labels: &[] }
    }

    /// `labelled`: rows of three FP32, the first two of which have a name.
    pub(crate) fn labelled() -> Self {
        Self { labels: &["cat", "dog"], ..Self::new("labelled", 8, &[("INPUT0", FP32, &[3])]) }
    }

    /// A model that tells the words it is asked for.
    pub(crate) fn teller(name: &'static str) -> Self {
        Self { decoupled: true, ..Self::new(name, 0, &[("INPUT0", BYTES, &[-1])]) }
    }

    pub(crate) fn spec(&self) -> Spec {
        let input = |(index, &(name, data_type, dims)): (usize, &Tensor)| ModelInput {
            name: name.into(),
            data_type,
            dims: dims.to_vec(),
            optional: index >= self.required,
            ..ModelInput::default()
        };
        let output = |&(name, data_type, dims): &Tensor| ModelOutput {
            name: name.replace("INPUT", "OUTPUT"),
            data_type,
            dims: dims.to_vec(),
            ..ModelOutput::default()
        };
        let config = ModelConfig {
            name: self.name.into(),
            backend: "mirror".into(),
            max_batch_size: self.max_batch_size,
            input: self.inputs.iter().enumerate().map(input).collect(),
            output: self.inputs.iter().map(output).collect(),
            model_transaction_policy: Some(ModelTransactionPolicy { decoupled: self.decoupled }),
            scheduling_choice: self.sequences.then(|| {
                let batching =
                    ModelSequenceBatching { max_sequence_idle_microseconds: 1000, ..ModelSequenceBatching::default() };
                SchedulingChoice::SequenceBatching(batching)
            }),
            ..ModelConfig::default()
        };
        let json = Bytes::from(format!(r#"{{"name":"{}"}}"#, self.name));
        let mut spec = Spec::read(self.version, config, json).expect("a good configuration");
        spec.label("OUTPUT0", self.labels.iter().map(|&label| label.to_owned()).collect());
        spec
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

    fn log(&self, level: Level, message: &str) {
        self.0.lock().expect("no panic").push(format!("{level:?} {message}"));
    }

    fn set_log(&self, settings: &LogSettings) {
        self.0.lock().expect("no panic").push(format!("log {} {}", settings.verbose_level, settings.format));
    }
}

impl Ledger {
    pub(crate) fn last(&self) -> String {
        self.0.lock().expect("no panic").last().cloned().unwrap_or_default()
    }

    pub(crate) fn has(&self, line: &str) -> bool {
        self.0.lock().expect("no panic").iter().any(|known| known == line)
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        self.0.lock().expect("no panic").iter().filter(|line| line.contains(part)).count()
    }

    /// Waits for a line that starts so.
    pub(crate) fn until(&self, start: &str) {
        let patience = std::time::Instant::now() + Duration::from_secs(20);
        while !self.0.lock().expect("no panic").iter().any(|line| line.starts_with(start)) {
            assert!(std::time::Instant::now() < patience, "no line `{start}`: {:?}", self.0.lock().expect("no panic"));
            std::thread::yield_now();
        }
    }
}
