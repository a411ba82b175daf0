//! What a loaded version declares: its tensors, its limits, how it may be batched. Read once from its configuration.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use crate::error::{Error, Result};
use crate::proto::inference::{self as proto, ModelConfig};
use crate::ragged::Ragged;
use crate::spec::sequence::SequenceSpec;
use crate::tensor::{DataType, Name, Shape};

pub mod sequence;

/// The contents of files that a configuration names: by folder and name, as in `initial_state/zeros`. A file that is not among them counts
/// as zeros: whoever serves the version hands all of them over, whoever only executes it needs none.
pub type Files = HashMap<String, Bytes>;

/// One declared input or output.
#[derive(Clone, Debug)]
pub struct TensorSpec {
    /// Its name.
    pub name: Name,
    /// Its element type.
    pub data_type: DataType,
    /// Its dimensions without the batch, as clients see them; `-1` is any size.
    pub dims: Shape,
    /// The same as the model sees them, where it wants others.
    pub reshape: Option<Shape>,
    /// Whether a request may leave it out.
    pub optional: bool,
    /// Whether requests of different shapes may share a batch.
    pub ragged: bool,
    /// What its elements stand for, by their place in a row; empty when nothing says so.
    pub labels: Vec<String>,
}

/// What happens to a request that waited too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutAction {
    /// It is answered with an error.
    Reject,
    /// It is moved behind all others and still executed.
    Delay,
}

/// Limits of one level of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePolicy {
    /// What a timeout means.
    pub timeout_action: TimeoutAction,
    /// How long a request may wait; `None` for ever.
    pub timeout: Option<Duration>,
    /// Whether a request may shorten that.
    pub timeout_override: bool,
    /// How many may wait; `None` for any number.
    pub max_size: Option<usize>,
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self { timeout_action: TimeoutAction::Reject, timeout: None, timeout_override: false, max_size: None }
    }
}

/// How requests are combined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Sizes to aim for, ascending, in rows.
    pub preferred_sizes: Vec<usize>,
    /// How long the oldest request may wait for company.
    pub max_delay: Duration,
    /// Whether answers leave in the order in which requests came.
    pub preserve_ordering: bool,
    /// Number of priority levels; 0 when there are none.
    pub priority_levels: u64,
    /// The level of a request that names none.
    pub default_priority: u64,
    /// The policy of every level that has none of its own.
    pub default_policy: QueuePolicy,
    /// Policies by level.
    pub policies: BTreeMap<u64, QueuePolicy>,
}

/// A loaded version, as clients and the scheduler see it.
#[derive(Debug)]
pub struct Spec {
    /// The model's name.
    pub model: Name,
    /// The version's number.
    pub version: i64,
    /// The same as text, as responses carry it.
    pub version_text: String,
    /// `platform`, or `backend` where there is none.
    pub platform: String,
    /// Rows a batch may have; 0 when the model has no batch dimension.
    pub max_batch_size: usize,
    /// Declared inputs.
    pub inputs: Vec<TensorSpec>,
    /// Declared outputs.
    pub outputs: Vec<TensorSpec>,
    /// Present when requests may be combined.
    pub batching: Option<Batching>,
    /// Present when requests belong to sequences.
    pub sequence: Option<SequenceSpec>,
    /// What is made of requests of different shapes that share a batch.
    pub ragged: Ragged,
    /// Whether a request may have any number of answers.
    pub decoupled: bool,
    /// The configuration it was read from.
    pub config: ModelConfig,
    /// The same in the protocol's JSON form.
    pub config_json: Bytes,
}

impl Spec {
    /// Decodes a serialised configuration and reads it.
    ///
    /// # Errors
    /// As `read`; `INVALID_ARG` for bytes that are no configuration.
    pub fn decode(version: i64, config: &[u8], config_json: &str) -> Result<Self> {
        Self::decode_with(version, config, config_json, &Files::new())
    }

    /// The same for a configuration that names files of the model, with their contents.
    ///
    /// # Errors
    /// As `decode`; `INVALID_ARG` for a file of another size than its tensor.
    pub fn decode_with(version: i64, config: &[u8], config_json: &str, files: &Files) -> Result<Self> {
        let config = ModelConfig::decode(config)
            .map_err(|error| Error::invalid(format!("these bytes are no model configuration: {error}")))?;
        Self::read_with(version, config, Bytes::copy_from_slice(config_json.as_bytes()), files)
    }

    /// Reads a normalised configuration.
    ///
    /// # Errors
    /// `INVALID_ARG` for an unknown data type or a negative size, which the Python side should have found before.
    pub fn read(version: i64, config: ModelConfig, config_json: Bytes) -> Result<Self> {
        Self::read_with(version, config, config_json, &Files::new())
    }

    /// The same for a configuration that names files of the model, with their contents.
    ///
    /// # Errors
    /// As `read`; `INVALID_ARG` for a file of another size than its tensor.
    pub fn read_with(version: i64, config: ModelConfig, config_json: Bytes, files: &Files) -> Result<Self> {
        let max_batch_size = usize::try_from(config.max_batch_size)
            .map_err(|_| Error::invalid(format!("'max_batch_size' must be non-negative value for {}", config.name)))?;
        let shape = |reshape: &Option<proto::ModelTensorReshape>| reshape.as_ref().map(|reshape| reshape.shape.clone());
        let input = |i: &proto::ModelInput| {
            let (optional, ragged, reshape) = (i.optional, i.allow_ragged_batch, shape(&i.reshape));
            Ok(TensorSpec { reshape, optional, ragged, ..tensor(&i.name, i.data_type, &i.dims)? })
        };
        let output = |o: &proto::ModelOutput| {
            Ok(TensorSpec { reshape: shape(&o.reshape), ..tensor(&o.name, o.data_type, &o.dims)? })
        };
        let batching = match &config.scheduling_choice {
            Some(proto::model_config::SchedulingChoice::DynamicBatching(batching)) if max_batch_size > 0 => {
                Some(read_batching(batching, max_batch_size))
            }
            _ => None,
        };
        let sequence = match &config.scheduling_choice {
            Some(proto::model_config::SchedulingChoice::SequenceBatching(batching)) => {
                Some(SequenceSpec::read(batching, max_batch_size, files)?)
            }
            _ => None,
        };
        let outputs = config.output.iter().map(output).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            model: Name::from(config.name.as_str()),
            version,
            version_text: version.to_string(),
            platform: if config.platform.is_empty() { config.backend.clone() } else { config.platform.clone() },
            max_batch_size,
            inputs: config.input.iter().map(input).collect::<Result<_>>()?,
            ragged: Ragged::read(&config, &outputs)?,
            outputs,
            batching,
            sequence,
            decoupled: config.model_transaction_policy.as_ref().is_some_and(|policy| policy.decoupled),
            config,
            config_json,
        })
    }

    /// Says what the elements of an output stand for.
    pub fn label(&mut self, output: &str, labels: Vec<String>) {
        if let Some(declared) = self.outputs.iter_mut().find(|declared| &*declared.name == output) {
            declared.labels = labels;
        }
    }

    /// Whether other models answer for it.
    pub fn is_ensemble(&self) -> bool {
        self.config.platform == "ensemble"
    }

    /// The declared input of that name.
    pub fn input(&self, name: &str) -> Option<&TensorSpec> {
        self.inputs.iter().find(|input| &*input.name == name)
    }

    /// Whether answers leave in the order in which their batches were made.
    pub fn preserves_ordering(&self) -> bool {
        self.batching.as_ref().is_some_and(|batching| batching.preserve_ordering)
            || self.sequence.as_ref().is_some_and(SequenceSpec::preserves_ordering)
    }

    /// What the model returns: its outputs, and what the server remembers for it.
    pub fn returned(&self) -> Vec<TensorSpec> {
        let states = self.sequence.iter().flat_map(|sequence| &sequence.states);
        let new = states.filter(|state| self.output(&state.output).is_none()).map(|state| TensorSpec {
            name: state.output.clone(),
            data_type: state.data_type,
            dims: state.dims.clone(),
            reshape: None,
            optional: true,
            ragged: false,
            labels: Vec::new(),
        });
        self.outputs.iter().cloned().chain(new).collect()
    }

    /// The declared output of that name.
    pub fn output(&self, name: &str) -> Option<&TensorSpec> {
        self.outputs.iter().find(|output| &*output.name == name)
    }

    /// A declared tensor's shape as clients see it: with the batch dimension, where the model has one.
    pub fn client_shape(&self, tensor: &TensorSpec) -> Shape {
        let batch = (self.max_batch_size > 0).then_some(-1);
        batch.into_iter().chain(tensor.dims.iter().copied()).collect()
    }
}

fn tensor(name: &str, data_type: i32, dims: &[i64]) -> Result<TensorSpec> {
    let data_type = DataType::from_config(data_type)
        .ok_or_else(|| Error::invalid(format!("tensor '{name}' must specify 'data_type', found {data_type}")))?;
    Ok(TensorSpec {
        name: Name::from(name),
        data_type,
        dims: dims.to_vec(),
        reshape: None,
        optional: false,
        ragged: false,
        labels: Vec::new(),
    })
}

fn read_batching(config: &proto::ModelDynamicBatching, max_batch_size: usize) -> Batching {
    let mut preferred_sizes: Vec<usize> =
        config.preferred_batch_size.iter().filter_map(|&size| usize::try_from(size).ok()).collect();
    if preferred_sizes.is_empty() {
        preferred_sizes.push(max_batch_size);
    }
    preferred_sizes.sort_unstable();
    Batching {
        preferred_sizes,
        max_delay: Duration::from_micros(config.max_queue_delay_microseconds),
        preserve_ordering: config.preserve_ordering,
        priority_levels: config.priority_levels,
        default_priority: config.default_priority_level,
        default_policy: config.default_queue_policy.as_ref().map(read_policy).unwrap_or_default(),
        policies: config.priority_queue_policy.iter().map(|(&level, policy)| (level, read_policy(policy))).collect(),
    }
}

fn read_policy(config: &proto::ModelQueuePolicy) -> QueuePolicy {
    let delays = config.timeout_action() == proto::model_queue_policy::TimeoutAction::Delay;
    let timeout = config.default_timeout_microseconds;
    QueuePolicy {
        timeout_action: if delays { TimeoutAction::Delay } else { TimeoutAction::Reject },
        timeout: (timeout > 0).then(|| Duration::from_micros(timeout)),
        timeout_override: config.allow_timeout_override,
        max_size: (config.max_queue_size > 0).then_some(config.max_queue_size as usize),
    }
}
