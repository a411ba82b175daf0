//! What the server remembers of a sequence for its model: outputs of one request that are inputs of the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::spec::Spec;
use crate::spec::sequence::{SequenceSpec, StateSpec};
use crate::tensor::{Shape, Tensor, format_shape};

/// The memory of one sequence. Its requests take it along, so that an answer that comes late still finds it.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    spec: Arc<Spec>,
    /// By state. Held for a move in or out only.
    values: Arc<Mutex<Vec<Value>>>,
}

#[derive(Clone, Debug)]
struct Value {
    shape: Shape,
    data: Bytes,
}

impl Memory {
    /// What a sequence starts with; nothing for a model without states.
    pub(crate) fn start(spec: &Arc<Spec>) -> Option<Self> {
        let states = states(spec);
        if states.is_empty() {
            return None;
        }
        let value =
            |state: &StateSpec| Value { shape: with_batch(spec, &state.initial_dims), data: state.initial.clone() };
        Some(Self { spec: Arc::clone(spec), values: Arc::new(Mutex::new(states.iter().map(value).collect())) })
    }

    /// The states as inputs.
    pub(crate) fn inputs(&self) -> Vec<Tensor> {
        let tensor = |(state, value): (&StateSpec, &Value)| Tensor {
            name: state.input.clone(),
            data_type: state.data_type,
            shape: value.shape.clone(),
            data: value.data.clone().into(),
        };
        states(&self.spec).iter().zip(self.lock().iter()).map(tensor).collect()
    }

    /// The dimensions that differ between sequences.
    pub(crate) fn shapes(&self) -> Vec<i64> {
        let open = |(state, value): (&StateSpec, &Value)| {
            if state.dims.contains(&-1) { value.shape.clone() } else { Shape::new() }
        };
        states(&self.spec).iter().zip(self.lock().iter()).flat_map(open).collect()
    }

    /// Takes the states out of a model's outputs. Those that are declared as outputs too stay there.
    ///
    /// # Errors
    /// `INTERNAL` for a state of another type or shape than declared: the model's mistake.
    pub(crate) fn keep(&self, outputs: &mut Vec<Tensor>) -> Result<()> {
        for (index, state) in states(&self.spec).iter().enumerate() {
            let Some(place) = outputs.iter().position(|output| output.name == state.output) else { continue };
            let output = outputs.remove(place);
            let rest = &output.shape[usize::from(self.spec.max_batch_size > 0).min(output.shape.len())..];
            let fits = rest.len() == state.dims.len()
                && rest.iter().zip(&state.dims).all(|(&found, &declared)| declared == -1 || declared == found);
            if !fits || output.data_type != state.data_type {
                return Err(Error::internal(format!(
                    "state `{}` of model '{}': expected {} {}, got {} {}",
                    state.output,
                    self.spec.model,
                    state.data_type.name(),
                    format_shape(&with_batch(&self.spec, &state.dims)),
                    output.data_type.name(),
                    format_shape(&output.shape)
                )));
            }
            let Tensor { name, data_type, shape, data } = output;
            let data = data.into_shared();
            if self.spec.output(&name).is_some() {
                outputs.insert(place, Tensor { name, data_type, shape: shape.clone(), data: data.clone().into() });
            }
            self.lock()[index] = Value { shape, data };
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Value>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn states(spec: &Spec) -> &[StateSpec] {
    spec.sequence.as_ref().map_or(&[], |sequence: &SequenceSpec| &sequence.states)
}

fn with_batch(spec: &Spec, dims: &[i64]) -> Shape {
    let batch = (spec.max_batch_size > 0).then_some(1);
    batch.into_iter().chain(dims.iter().copied()).collect()
}
