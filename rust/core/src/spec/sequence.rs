//! What a model declares about sequences: how they are batched, which signals it gets, what the server remembers for it.

use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::proto::inference::ModelSequenceBatching;
use crate::proto::inference::model_sequence_batching::control::Kind;
use crate::proto::inference::model_sequence_batching::initial_state::StateData;
use crate::proto::inference::model_sequence_batching::{self as proto, StrategyChoice};
use crate::spec::Files;
use crate::tensor::{DataType, Name, Shape, element_count};

const DEFAULT_IDLE_US: u64 = 1_000_000;

/// How the sequences of a model are served.
#[derive(Clone, Debug)]
pub struct SequenceSpec {
    /// Which requests share a batch.
    pub strategy: Strategy,
    /// Sequences that an instance serves at a time.
    pub slots: usize,
    /// How long a sequence may have nothing waiting before it is ended.
    pub max_idle: Duration,
    /// Inputs that the server makes.
    pub controls: Vec<ControlSpec>,
    /// What the server remembers of each sequence.
    pub states: Vec<StateSpec>,
    /// Whether each request is a sequence of its own, executed until the model is done with it.
    pub iterative: bool,
}

/// Which requests of different sequences share a batch.
#[derive(Clone, Debug)]
pub enum Strategy {
    /// A sequence has the same row of the same instance from its start to its end.
    Direct {
        /// How long the oldest request may wait for company.
        max_delay: Duration,
        /// The part of the slots that has to be ready for a batch before that.
        utilization: f32,
    },
    /// The requests that wait longest.
    Oldest {
        /// Sizes to aim for, ascending.
        preferred_sizes: Vec<usize>,
        /// How long the oldest request may wait for company.
        max_delay: Duration,
        /// Whether answers leave in the order in which their batches were made.
        preserve_ordering: bool,
    },
}

/// What a control input tells the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The request is the first of its sequence.
    Start,
    /// It is the last.
    End,
    /// There is a request in this row at all.
    Ready,
    /// Which sequence it belongs to.
    Correlation,
}

/// An input that the server makes.
#[derive(Clone, Debug)]
pub struct ControlSpec {
    /// Its name.
    pub name: Name,
    /// Its element type.
    pub data_type: DataType,
    /// What it tells.
    pub signal: Signal,
    /// The element that means no, and the one that means yes; empty for a correlation id.
    pub values: [Bytes; 2],
}

/// Something the server remembers of each sequence: an output of one request that is an input of the next.
#[derive(Clone, Debug)]
pub struct StateSpec {
    /// The input it is.
    pub input: Name,
    /// The output it comes from.
    pub output: Name,
    /// Its element type.
    pub data_type: DataType,
    /// Its dimensions without the batch; `-1` is any size.
    pub dims: Shape,
    /// Its dimensions at the start of a sequence, without the batch.
    pub initial_dims: Shape,
    /// Its elements at the start of a sequence.
    pub initial: Bytes,
}

impl SequenceSpec {
    /// Reads a configuration that was found good. `files` are the contents of `initial_state/`.
    pub(super) fn read(config: &ModelSequenceBatching, max_batch_size: usize, files: &Files) -> Result<Self> {
        let rows = max_batch_size.max(1);
        let (strategy, slots) = match &config.strategy_choice {
            Some(StrategyChoice::Oldest(oldest)) => {
                let mut preferred_sizes: Vec<usize> =
                    oldest.preferred_batch_size.iter().filter_map(|&size| usize::try_from(size).ok()).collect();
                preferred_sizes.sort_unstable();
                let max_delay = Duration::from_micros(oldest.max_queue_delay_microseconds);
                let preserve_ordering = oldest.preserve_ordering;
                let candidates = usize::try_from(oldest.max_candidate_sequences).unwrap_or(0);
                let slots = if candidates == 0 { rows } else { candidates };
                (Strategy::Oldest { preferred_sizes, max_delay, preserve_ordering }, slots)
            }
            Some(StrategyChoice::Direct(direct)) => {
                let max_delay = Duration::from_micros(direct.max_queue_delay_microseconds);
                (Strategy::Direct { max_delay, utilization: direct.minimum_slot_utilization }, rows)
            }
            None => (Strategy::Direct { max_delay: Duration::ZERO, utilization: 0.0 }, rows),
        };
        Ok(Self {
            strategy,
            slots,
            max_idle: Duration::from_micros(match config.max_sequence_idle_microseconds {
                0 => DEFAULT_IDLE_US,
                idle => idle,
            }),
            controls: config.control_input.iter().map(read_controls).collect::<Result<Vec<_>>>()?.concat(),
            states: config.state.iter().map(|state| read_state(state, files)).collect::<Result<_>>()?,
            iterative: config.iterative_sequence,
        })
    }

    /// The control input with that signal.
    pub fn control(&self, signal: Signal) -> Option<&ControlSpec> {
        self.controls.iter().find(|control| control.signal == signal)
    }

    /// Whether the server makes the input of that name.
    pub fn makes(&self, input: &str) -> bool {
        self.controls.iter().any(|control| &*control.name == input)
            || self.states.iter().any(|state| &*state.input == input)
    }

    /// Whether answers leave in the order in which their batches were made.
    pub fn preserves_ordering(&self) -> bool {
        matches!(self.strategy, Strategy::Oldest { preserve_ordering: true, .. })
    }
}

fn read_controls(input: &proto::ControlInput) -> Result<Vec<ControlSpec>> {
    input.control.iter().map(|control| read_control(Name::from(input.name.as_str()), control)).collect()
}

fn read_control(name: Name, control: &proto::Control) -> Result<ControlSpec> {
    let signal = match control.kind() {
        Kind::ControlSequenceStart => Signal::Start,
        Kind::ControlSequenceReady => Signal::Ready,
        Kind::ControlSequenceEnd => Signal::End,
        Kind::ControlSequenceCorrid => {
            let data_type = DataType::from_config(control.data_type).ok_or_else(|| {
                Error::invalid(format!("control '{name}' must specify 'data_type', found {}", control.data_type))
            })?;
            return Ok(ControlSpec { name, data_type, signal: Signal::Correlation, values: Default::default() });
        }
    };
    let pair = |values: Vec<Vec<u8>>| {
        <[Vec<u8>; 2]>::try_from(values).map(|pair| pair.map(Bytes::from)).map_err(|found| {
            Error::invalid(format!("control '{name}' must have exactly 2 values, found {}", found.len()))
        })
    };
    let (data_type, values) = if !control.int32_false_true.is_empty() {
        (DataType::Int32, pair(control.int32_false_true.iter().map(|value| value.to_le_bytes().to_vec()).collect())?)
    } else if !control.fp32_false_true.is_empty() {
        (DataType::Fp32, pair(control.fp32_false_true.iter().map(|value| value.to_le_bytes().to_vec()).collect())?)
    } else {
        (DataType::Bool, pair(control.bool_false_true.iter().map(|&value| vec![u8::from(value)]).collect())?)
    };
    Ok(ControlSpec { name, data_type, signal, values })
}

fn read_state(state: &proto::State, files: &Files) -> Result<StateSpec> {
    let input = Name::from(state.input_name.as_str());
    let data_type = DataType::from_config(state.data_type).ok_or_else(|| {
        Error::invalid(format!("state '{input}' must specify 'data_type', found {}", state.data_type))
    })?;
    let initial = state.initial_state.first();
    // Without an initial state an open dimension starts with one element, and all elements are zero.
    let initial_dims: Shape = match initial {
        Some(initial) => initial.dims.clone(),
        None => state.dims.iter().map(|&size| size.max(1)).collect(),
    };
    let elements = element_count(&initial_dims)
        .ok_or_else(|| Error::invalid(format!("state '{input}': its initial dimensions have to be known")))?;
    // An empty byte string is its length, zero.
    let size = elements * data_type.size().unwrap_or(4);
    let file = match initial.and_then(|initial| initial.state_data.as_ref()) {
        Some(StateData::DataFile(file)) => files.get(&format!("initial_state/{file}")),
        Some(StateData::ZeroData(_)) | None => None,
    };
    if let Some(data) = file.filter(|data| data_type.size().is_some() && data.len() != size) {
        return Err(Error::invalid(format!("initial state of '{input}': expected {size} bytes, found {}", data.len())));
    }
    let data = file.cloned().unwrap_or_else(|| Bytes::from(vec![0; size]));
    Ok(StateSpec {
        input,
        output: Name::from(state.output_name.as_str()),
        data_type,
        dims: state.dims.clone(),
        initial_dims,
        initial: data,
    })
}
