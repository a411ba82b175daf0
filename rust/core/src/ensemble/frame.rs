//! The tensors that belong together: those of one request, or those that follow from one answer of a decoupled step.

use std::collections::VecDeque;
use std::mem;

use crate::ensemble::graph::Plan;
use crate::request::Correlation;
use crate::tensor::{Data, DataType, Shape, Tensor};

/// Which sequence a step's answer says its readers belong to, instead of the request's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) correlation: Correlation,
    pub(super) flags: u32,
}

/// A tensor on its way from one step to the next.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) data_type: DataType,
    pub(super) shape: Shape,
    pub(super) data: Data,
    /// Rows of the batch it belongs to; 0 when whoever made it has no batch dimension.
    pub(super) rows: usize,
    pub(super) sequence: Option<Sequence>,
}

impl Value {
    pub(super) fn new(tensor: Tensor, rows: usize, sequence: Option<Sequence>) -> Self {
        let Tensor { data_type, shape, data, .. } = tensor;
        Self { data_type, shape, data, rows, sequence }
    }

    fn share(&mut self) -> Self {
        let (shape, sequence) = (self.shape.clone(), self.sequence.clone());
        Self { data_type: self.data_type, shape, data: self.data.share(), rows: self.rows, sequence }
    }
}

/// Where a tensor is in its life.
#[derive(Debug)]
enum Slot {
    Awaited,
    Here(Value),
    Gone,
}

/// Tensors that came from the same place, and what is still to be done with them.
#[derive(Debug)]
pub(super) struct Frame {
    /// Frames of answers, in the order in which these were given.
    pub(super) children: VecDeque<usize>,
    /// Steps at work on it.
    pub(super) running: usize,
    slots: Vec<Slot>,
    uses: Vec<usize>,
    missing: Vec<usize>,
    outputs_missing: usize,
}

impl Frame {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            children: VecDeque::new(),
            running: 0,
            slots: plan.uses.iter().map(|_| Slot::Awaited).collect(),
            uses: plan.uses.clone(),
            missing: plan.missing.clone(),
            outputs_missing: plan.wanted.iter().filter(|wanted| **wanted).count(),
        }
    }

    /// Takes note of a tensor, or of one that an optional input leaves out. The steps that waited only for it are added to `ready`.
    pub(super) fn set(&mut self, plan: &Plan, tensor: usize, value: Option<Value>, ready: &mut Vec<usize>) {
        // Nobody wants it, or a model gave it twice.
        if self.uses[tensor] == 0 || !matches!(self.slots[tensor], Slot::Awaited) {
            return;
        }
        self.slots[tensor] = value.map_or(Slot::Gone, Slot::Here);
        self.outputs_missing -= usize::from(plan.ends[tensor]);
        for &step in &plan.readers[tensor] {
            self.missing[step] -= 1;
            if self.missing[step] == 0 {
                ready.push(step);
            }
        }
    }

    /// Hands a tensor on: the last reader gets it as it is, those before get the same bytes.
    pub(super) fn take(&mut self, tensor: usize) -> Option<Value> {
        self.uses[tensor] -= 1;
        match &mut self.slots[tensor] {
            Slot::Here(value) if self.uses[tensor] > 0 => Some(value.share()),
            slot => match mem::replace(slot, Slot::Gone) {
                Slot::Here(value) => Some(value),
                Slot::Awaited | Slot::Gone => None,
            },
        }
    }

    /// Whether every output is there that was asked for, and no step has more to say.
    pub(super) fn is_complete(&self) -> bool {
        self.outputs_missing == 0 && self.running == 0
    }

    /// Whether nothing more can come of it but what its children bring.
    pub(super) fn is_at_rest(&self) -> bool {
        self.running == 0
    }
}
