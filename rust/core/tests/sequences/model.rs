//! A model that adds up what each sequence sends, and what tests need around it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use windlass_core::error::{Error, Result};
use windlass_core::instance::{Execution, Executor, Instance, Job, Outcome};
use windlass_core::model::Model;
use windlass_core::pending::Pending;
use windlass_core::proto::inference::model_config::SchedulingChoice;
use windlass_core::proto::inference::model_sequence_batching::control::Kind;
use windlass_core::proto::inference::model_sequence_batching::{
    Control, ControlInput, State, StrategyChoice, StrategyDirect, StrategyOldest,
};
use windlass_core::proto::inference::{ModelConfig, ModelInput, ModelOutput, ModelSequenceBatching};
use windlass_core::reactor::Reactor;
use windlass_core::request::{Correlation, FLAG_SEQUENCE_END, FLAG_SEQUENCE_START, Request, Response};
use windlass_core::spec::{Files, Spec};
use windlass_core::statistics::Timing;
use windlass_core::tensor::{DataType, Name, Tensor, byte_strings};

const FP32: i32 = 11;
const UINT64: i32 = 5;
const STRING: i32 = 13;

pub(crate) const START: u32 = FLAG_SEQUENCE_START;
pub(crate) const END: u32 = FLAG_SEQUENCE_END;

/// What a request of a batch looked like to the model: its sequence, its value, and the signals START, END and READY.
pub(crate) type Row = (String, f32, [bool; 3]);
type Batches = Arc<Mutex<Vec<Vec<Row>>>>;

/// Where a model keeps its sums.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// In itself, by sequence.
    Itself,
    /// In a state that the server gives it.
    State,
    /// In a list of all values so far, that the server gives it.
    List,
}

/// Answers with the sum of all values of the sequence. Asked to fail, it fails; asked to panic, it forgets everything.
struct Sum {
    keeps: Keeps,
    sums: HashMap<String, f32>,
    batches: Batches,
}

pub(crate) const POISON: f32 = -1.0;
pub(crate) const PANIC: f32 = -2.0;

impl Sum {
    fn answer(&mut self, job: &Job, row: &Row) -> Outcome {
        let (id, value, [start, _, ready]) = row.clone();
        if !ready {
            return Outcome::Answered(vec![fp32("OUTPUT0", &[1, 1], &[0.0])].into());
        }
        if value == POISON {
            return Outcome::Failed(Error::internal("poison"));
        }
        let state = || floats(input(job, "SUM_IN").expect("the server gives it"));
        match self.keeps {
            Keeps::Itself => {
                let sum = if start { value } else { self.sums.get(&id).copied().unwrap_or(f32::NAN) + value };
                self.sums.insert(id, sum);
                Outcome::Answered(vec![fp32("OUTPUT0", &[1, 1], &[sum])].into())
            }
            Keeps::State => {
                let sum = state()[0] + value;
                let outputs = vec![fp32("SUM_OUT", &[1, 1], &[sum]), fp32("OUTPUT0", &[1, 1], &[sum])];
                Outcome::Answered(outputs.into())
            }
            Keeps::List => {
                let mut all = state();
                all.push(value);
                let sum = all.iter().sum();
                let outputs = vec![fp32("SUM_OUT", &[1, all.len()], &all), fp32("OUTPUT0", &[1, 1], &[sum])];
                Outcome::Answered(outputs.into())
            }
        }
    }
}

impl Instance for Sum {
    fn name(&self) -> &'static str {
        "sum_0"
    }

    fn execute(&mut self, jobs: &mut [Job]) -> Execution {
        let rows: Vec<Row> = jobs.iter().map(read).collect();
        self.batches.lock().expect("no panic").push(rows.clone());
        if rows.iter().any(|row| row.1 == PANIC) {
            self.sums.clear();
            std::panic::resume_unwind(Box::new("asked to panic"));
        }
        let outcomes = jobs.iter().zip(&rows).map(|(job, row)| self.answer(job, row)).collect();
        Execution { outcomes, timing: Timing::default() }
    }
}

/// Executes a request as often as its value says, and answers with how often it was.
struct Countdown {
    batches: Batches,
    left: HashMap<String, (f32, f32)>,
}

impl Instance for Countdown {
    fn name(&self) -> &'static str {
        "countdown_0"
    }

    fn execute(&mut self, jobs: &mut [Job]) -> Execution {
        let rows: Vec<Row> = jobs.iter().map(read).collect();
        let outcome = |(id, value, [start, ..]): &Row| {
            let (left, times) = self.left.entry(id.clone()).or_insert((*value, 0.0));
            assert_eq!(*start, *times == 0.0, "only the first execution starts");
            (*left, *times) = (*left - 1.0, *times + 1.0);
            if *left > 0.0 {
                return Outcome::Rescheduled;
            }
            let times = *times;
            self.left.remove(id);
            Outcome::Answered(vec![fp32("OUTPUT0", &[1, 1], &[times])].into())
        };
        let outcomes = rows.iter().map(outcome).collect();
        self.batches.lock().expect("no panic").push(rows);
        Execution { outcomes, timing: Timing::default() }
    }
}

/// A model to be served.
pub(crate) struct Setup {
    batching: ModelSequenceBatching,
    keeps: Keeps,
    instances: usize,
    id_type: i32,
    max_batch_size: i32,
}

impl Setup {
    /// Batches of up to 4 of the requests that wait longest, of as many sequences at a time.
    pub(crate) fn oldest(candidates: i32) -> Self {
        Self::new(StrategyChoice::Oldest(StrategyOldest {
            max_candidate_sequences: candidates,
            ..StrategyOldest::default()
        }))
    }

    /// Batches of 4 slots.
    pub(crate) fn direct() -> Self {
        Self::new(StrategyChoice::Direct(StrategyDirect::default()))
    }

    pub(crate) fn new(strategy: StrategyChoice) -> Self {
        let batching = ModelSequenceBatching {
            strategy_choice: Some(strategy),
            max_sequence_idle_microseconds: 1_000_000,
            ..ModelSequenceBatching::default()
        };
        Self { batching, keeps: Keeps::Itself, instances: 1, id_type: UINT64, max_batch_size: 4 }
    }

    pub(crate) fn instances(self, instances: usize) -> Self {
        Self { instances, ..self }
    }

    pub(crate) fn without_batches(self) -> Self {
        Self { max_batch_size: 0, ..self }
    }

    pub(crate) fn text_ids(self) -> Self {
        Self { id_type: STRING, ..self }
    }

    pub(crate) fn iterative(mut self) -> Self {
        self.batching.iterative_sequence = true;
        self
    }

    /// The server remembers the sum, or all values.
    pub(crate) fn remembers(mut self, keeps: Keeps) -> Self {
        self.keeps = keeps;
        let dims = vec![if keeps == Keeps::List { -1 } else { 1 }];
        self.batching.state = vec![State {
            input_name: "SUM_IN".into(),
            output_name: "SUM_OUT".into(),
            data_type: FP32,
            dims,
            ..State::default()
        }];
        self
    }

    /// Changes the state's declaration.
    pub(crate) fn with_state(mut self, change: impl FnOnce(&mut State)) -> Self {
        change(&mut self.batching.state[0]);
        self
    }

    pub(crate) fn serve(self) -> Served {
        self.serve_with(&Files::new())
    }

    pub(crate) fn serve_with(mut self, files: &Files) -> Served {
        let pair = |kind: Kind| Control { kind: kind as i32, int32_false_true: vec![0, 1], ..Control::default() };
        let control = |name: &str, control| ControlInput { name: name.into(), control: vec![control] };
        let id = Control { kind: Kind::ControlSequenceCorrid as i32, data_type: self.id_type, ..Control::default() };
        self.batching.control_input = vec![
            control("START", pair(Kind::ControlSequenceStart)),
            control("END", pair(Kind::ControlSequenceEnd)),
            control("READY", pair(Kind::ControlSequenceReady)),
            control("CORRID", id),
        ];
        let iterative = self.batching.iterative_sequence;
        let config = ModelConfig {
            name: "sum".into(),
            backend: "sum".into(),
            max_batch_size: self.max_batch_size,
            input: vec![ModelInput { name: "INPUT0".into(), data_type: FP32, dims: vec![1], ..ModelInput::default() }],
            output: vec![ModelOutput {
                name: "OUTPUT0".into(),
                data_type: FP32,
                dims: vec![1],
                ..ModelOutput::default()
            }],
            scheduling_choice: Some(SchedulingChoice::SequenceBatching(self.batching)),
            ..ModelConfig::default()
        };
        let spec = Spec::read_with(1, config, Bytes::from_static(b"{}"), files).expect("a good configuration");
        let batches = Batches::default();
        let instance = |_| -> Executor {
            let batches = Arc::clone(&batches);
            Executor::Local(if iterative {
                Box::new(Countdown { batches, left: HashMap::new() })
            } else {
                Box::new(Sum { keeps: self.keeps, sums: HashMap::new(), batches })
            })
        };
        let reactor: Arc<Reactor> = Arc::default();
        let instances = (0..self.instances).map(instance).collect();
        let model = Arc::new(Model::new(Arc::new(spec), instances, Duration::ZERO, &reactor, None));
        let driven = Arc::clone(&reactor);
        tokio::spawn(async move { driven.drive().await });
        Served { model, reactor, batches, batched: self.max_batch_size > 0 }
    }
}

/// A model in service.
pub(crate) struct Served {
    pub(crate) model: Arc<Model>,
    reactor: Arc<Reactor>,
    batches: Batches,
    batched: bool,
}

impl Served {
    pub(crate) async fn ask(&self, id: u64, value: f32, flags: u32) -> f32 {
        sum(self.submit(id, value, flags).await)
    }

    pub(crate) fn submit(&self, id: u64, value: f32, flags: u32) -> Pending {
        self.try_submit(id, value, flags).expect("a good request")
    }

    /// The text of a refusal.
    pub(crate) fn refusal(&self, id: u64, value: f32, flags: u32) -> String {
        self.try_submit(id, value, flags).expect_err("a bad request").message
    }

    pub(crate) fn try_submit(&self, id: u64, value: f32, flags: u32) -> Result<Pending> {
        let id = if id == 0 { Correlation::None } else { Correlation::Number(id) };
        self.submit_with(&[value], flags, |request| request.correlation = id)
    }

    pub(crate) fn submit_with(&self, values: &[f32], flags: u32, change: impl FnOnce(&mut Request)) -> Result<Pending> {
        let shape: &[usize] = if self.batched { &[values.len(), 1] } else { &[values.len()] };
        let mut request = Request { inputs: vec![fp32("INPUT0", shape, values)], flags, ..Request::default() };
        change(&mut request);
        self.model.submit(request, &self.reactor)
    }

    /// Every batch so far.
    pub(crate) fn batches(&self) -> Vec<Vec<Row>> {
        self.batches.lock().expect("no panic").clone()
    }

    /// How many requests each batch so far had.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.batches().iter().map(Vec::len).collect()
    }
}

/// The only output of a good answer.
pub(crate) fn sum(answer: Result<Response>) -> f32 {
    let answer = answer.expect("a good answer");
    assert_eq!(answer.outputs.len(), 1, "what the server remembers is not shown");
    floats(&answer.outputs[0])[0]
}

fn read(job: &Job) -> Row {
    let signal = |name| input(job, name).is_some_and(|tensor| tensor.data.as_slice() == 1_i32.to_le_bytes());
    let id = input(job, "CORRID").expect("the server makes it");
    let bytes = id.data.as_slice();
    let id = match id.data_type {
        DataType::Bytes => byte_strings(bytes).map(|text| String::from_utf8_lossy(text).into_owned()).collect(),
        _ => u64::from_le_bytes(bytes.try_into().expect("eight bytes")).to_string(),
    };
    (
        id,
        floats(input(job, "INPUT0").expect("every request has it"))[0],
        [signal("START"), signal("END"), signal("READY")],
    )
}

fn input<'a>(job: &'a Job, name: &str) -> Option<&'a Tensor> {
    let mut found = job.request.inputs.iter().filter(|tensor| &*tensor.name == name);
    let first = found.next();
    assert!(found.next().is_none(), "one `{name}` each");
    first
}

fn fp32(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let shape = shape.iter().map(|&size| size as i64).collect();
    Tensor { name: Name::from(name), data_type: DataType::Fp32, shape, data: BytesMut::from(&data[..]).into() }
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    let (chunks, _) = tensor.data.as_slice().as_chunks::<4>();
    chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
