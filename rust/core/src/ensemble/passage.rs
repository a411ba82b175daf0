//! One request to an ensemble on its way through the steps. Polled by whoever waits for the answer; dropped, all its steps are.
//!
//! The answers of a decoupled step open a frame of tensors each, and so does every further answer behind them. Steps behind it run for one
//! frame beside the other, but answers leave in the order in which the step gave them.

use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::ensemble::frame::{Frame, Sequence, Value};
use crate::ensemble::graph::{Plan, Step, fit};
use crate::ensemble::tally::Tally;
use crate::error::{Error, Result};
use crate::pending::Pending;
use crate::reactor::Reactor;
use crate::reply::{Answer, Reply};
use crate::request::{Correlation, FLAG_SEQUENCE_END, FLAG_SEQUENCE_START, Parameter, Parameters, Request, Response};
use crate::spec::Spec;
use crate::tensor::{Name, Tensor};

/// Answers of a decoupled step that may be under way behind it: one that answers faster than those behind it is asked for no more.
const MAX_OPEN_ANSWERS: usize = 64;

/// A request under way.
pub(super) struct Passage {
    tally: Tally,
    plan: Arc<Plan>,
    reactor: Arc<Reactor>,
    /// What every step is told: the request without its tensors.
    ask: Request,
    frames: Vec<Option<Frame>>,
    free: Vec<usize>,
    steps: Vec<Running>,
    reply: Reply,
    over: bool,
}

/// A step at work on a frame.
struct Running {
    step: usize,
    frame: usize,
    pending: Pending,
    spec: Arc<Spec>,
    rows: usize,
    sequence: Option<Sequence>,
}

impl Passage {
    /// Takes the request apart and asks the first steps.
    pub(super) fn start(tally: Tally, plan: Arc<Plan>, mut ask: Request, reactor: Arc<Reactor>, reply: Reply) -> Self {
        let inputs = mem::take(&mut ask.inputs);
        ask.outputs.clear();
        let frames = vec![Some(Frame::new(&plan))];
        let (free, steps) = (Vec::new(), Vec::new());
        let mut passage = Self { tally, plan, reactor, ask, frames, free, steps, reply, over: false };
        if let Err(error) = passage.begin(inputs) {
            passage.fail(&error);
        }
        passage
    }

    fn begin(&mut self, mut inputs: Vec<Tensor>) -> Result<()> {
        let ensemble = Arc::clone(&self.tally.ensemble);
        let rows = if ensemble.spec.max_batch_size > 0 { self.tally.rows } else { 0 };
        let mut ready = Vec::new();
        for wire in &ensemble.graph.inputs {
            let given = inputs.iter().position(|input| input.name == wire.name).map(|place| inputs.swap_remove(place));
            let value = given.map(|tensor| Value::new(tensor, rows, None));
            self.set(0, wire.tensor, value, &mut ready);
        }
        self.ask_steps(0, ready)?;
        self.settle()
    }

    fn set(&mut self, frame: usize, tensor: usize, value: Option<Value>, ready: &mut Vec<usize>) {
        if let Some(frame) = &mut self.frames[frame] {
            frame.set(&self.plan, tensor, value, ready);
        }
    }

    fn ask_steps(&mut self, frame: usize, ready: Vec<usize>) -> Result<()> {
        ready.into_iter().try_for_each(|step| self.ask_step(frame, step))
    }

    fn ask_step(&mut self, place: usize, index: usize) -> Result<()> {
        let Some(frame) = &mut self.frames[place] else { return Ok(()) };
        let ensemble = &self.tally.ensemble;
        let step = &ensemble.graph.steps[index];
        let model = ensemble.pick(step)?;
        let batching = model.spec.max_batch_size > 0;
        let mut inputs = Vec::with_capacity(step.inputs.len());
        let mut sequence = None;
        for wire in &step.inputs {
            let Some(value) = frame.take(wire.tensor) else { continue };
            let shape = match model.spec.input(&wire.name) {
                Some(input) => fit(&input.dims, batching, value.rows, value.shape),
                None => value.shape,
            };
            sequence = sequence.or(value.sequence);
            inputs.push(Tensor { name: wire.name.clone(), data_type: value.data_type, shape, data: value.data });
        }
        let first = inputs.first().and_then(|input| input.shape.first());
        let rows = if batching { first.map_or(1, |&rows| usize::try_from(rows).unwrap_or(1)) } else { 0 };
        let ask = &self.ask;
        let (correlation, flags) = match &sequence {
            Some(sequence) => (sequence.correlation.clone(), sequence.flags),
            None => (ask.correlation.clone(), ask.flags),
        };
        let request =
            Request { inputs, outputs: asked_for(step, &model.spec), correlation, flags, ..ask.without_tensors() };
        let spec = Arc::clone(&model.spec);
        let pending = model.submit(request, &self.reactor)?;
        frame.running += 1;
        self.steps.push(Running { step: index, frame: place, pending, spec, rows, sequence });
        Ok(())
    }

    /// Takes the answers that are there, and asks the steps that they make ready.
    fn advance(&mut self, context: &mut Context<'_>) -> Result<()> {
        loop {
            let mut progress = false;
            let mut index = 0;
            while index < self.steps.len() && !self.over {
                match self.poll_step(index, context) {
                    Poll::Pending => index += 1,
                    Poll::Ready(answer) => {
                        progress = true;
                        self.accept(index, answer)?;
                    }
                }
            }
            if !progress || self.over {
                return Ok(());
            }
        }
    }

    fn poll_step(&mut self, index: usize, context: &mut Context<'_>) -> Poll<Answer> {
        if self.steps[index].spec.decoupled && self.is_crowded(self.steps[index].frame) {
            return Poll::Pending;
        }
        self.steps[index].pending.poll_next(context)
    }

    /// Whether the steps behind a decoupled one have to catch up first.
    fn is_crowded(&self, frame: usize) -> bool {
        let limit = self.tally.ensemble.graph.max_inflight.unwrap_or(MAX_OPEN_ANSWERS);
        self.frames[frame].as_ref().is_some_and(|frame| frame.children.len() >= limit)
    }

    fn accept(&mut self, index: usize, answer: Answer) -> Result<()> {
        let running = &self.steps[index];
        let (step, frame, rows, decoupled) = (running.step, running.frame, running.rows, running.spec.decoupled);
        let sequence = running.sequence.clone();
        if answer.last {
            self.steps.swap_remove(index);
            if let Some(frame) = &mut self.frames[frame] {
                frame.running -= 1;
            }
        }
        if let Some(result) = answer.result {
            let response = result?;
            self.tally.spent += response.spent;
            let target = if decoupled { self.open_frame(frame) } else { frame };
            self.place(step, target, rows, sequence, response)?;
        }
        self.settle()
    }

    fn place(
        &mut self,
        step: usize,
        frame: usize,
        rows: usize,
        sequence: Option<Sequence>,
        response: Response,
    ) -> Result<()> {
        let ensemble = Arc::clone(&self.tally.ensemble);
        let sequence = told_sequence(&response.parameters).or(sequence);
        let mut ready = Vec::new();
        for tensor in response.outputs {
            let wire = ensemble.graph.steps[step].outputs.iter().find(|wire| wire.name == tensor.name);
            if let Some(wire) = wire {
                self.set(frame, wire.tensor, Some(Value::new(tensor, rows, sequence.clone())), &mut ready);
            }
        }
        // What a model leaves out, those behind it may do without.
        for wire in &ensemble.graph.steps[step].outputs {
            self.set(frame, wire.tensor, None, &mut ready);
        }
        self.ask_steps(frame, ready)
    }

    fn open_frame(&mut self, parent: usize) -> usize {
        let frame = Some(Frame::new(&self.plan));
        let place = if let Some(place) = self.free.pop() {
            self.frames[place] = frame;
            place
        } else {
            self.frames.push(frame);
            self.frames.len() - 1
        };
        if let Some(parent) = &mut self.frames[parent] {
            parent.children.push_back(place);
        }
        place
    }

    /// Gives the answers that are complete, in order, and ends when nothing is under way any more.
    fn settle(&mut self) -> Result<()> {
        let mut complete = VecDeque::new();
        self.collect(0, &mut complete);
        while let Some(response) = complete.pop_front() {
            let response = response?;
            let last = self.steps.is_empty() && complete.is_empty();
            self.tally.answered(!last);
            if last {
                self.end();
            }
            self.reply.push(Some(Ok(response)), last);
        }
        if self.over || !self.steps.is_empty() {
            return Ok(());
        }
        if !self.tally.ensemble.spec.decoupled {
            let text = "unexpected deadlock, at least one output is not set while no more ensemble steps can be made";
            return Err(Error::invalid(text).with_request_id(&self.ask.id));
        }
        self.end();
        self.reply.push(None, true);
        Ok(())
    }

    /// Gathers the answers of a frame and of those behind it. Whether nothing more can come of them.
    fn collect(&mut self, place: usize, complete: &mut VecDeque<Result<Response>>) -> bool {
        loop {
            let Some(frame) = &mut self.frames[place] else { return true };
            if frame.is_complete() {
                let response = self.response(place);
                complete.push_back(response);
                self.close_frame(place);
                return true;
            }
            let Some(&child) = frame.children.front() else {
                let at_rest = frame.is_at_rest();
                if at_rest {
                    self.close_frame(place);
                }
                return at_rest;
            };
            if !self.collect(child, complete) {
                return false;
            }
            if let Some(frame) = &mut self.frames[place] {
                frame.children.pop_front();
            }
        }
    }

    fn close_frame(&mut self, place: usize) {
        self.frames[place] = None;
        self.free.push(place);
    }

    fn response(&mut self, place: usize) -> Result<Response> {
        let ensemble = Arc::clone(&self.tally.ensemble);
        let spec = &ensemble.spec;
        let (mut outputs, mut sequence) = (Vec::with_capacity(spec.outputs.len()), None);
        let wanted = ensemble.graph.outputs.iter().zip(&spec.outputs).zip(&self.plan.wanted);
        for ((wire, declared), _) in wanted.filter(|(_, wanted)| **wanted) {
            let Some(value) = self.frames[place].as_mut().and_then(|frame| frame.take(wire.tensor)) else { continue };
            let dims = declared.reshape.as_ref().unwrap_or(&declared.dims);
            let shape = fit(dims, spec.max_batch_size > 0, value.rows, value.shape);
            sequence = sequence.or(value.sequence);
            let (name, data_type, data) = (wire.name.clone(), value.data_type, value.data);
            outputs.push(Tensor { name, data_type, shape, data });
        }
        let (correlation, flags) = match &sequence {
            Some(sequence) => (&sequence.correlation, sequence.flags),
            None => (&self.ask.correlation, self.ask.flags),
        };
        ensemble.reshapes.leave(&mut outputs)?;
        let told = if outputs.is_empty() { Parameters::new() } else { sequence_parameters(correlation, flags) };
        Ok(Response {
            id: self.ask.id.clone(),
            model: spec.model.clone(),
            version: spec.version,
            parameters: told,
            outputs,
            spent: self.tally.spent_since(),
        })
    }

    fn fail(&mut self, error: &Error) {
        if self.over {
            return;
        }
        self.over = true;
        self.steps.clear();
        let message = format!("in ensemble '{}', {}", self.tally.ensemble.spec.model, error.message);
        self.tally.failed();
        self.reply.push(Some(Err(Error::new(error.code, message))), true);
    }

    fn end(&mut self) {
        self.over = true;
        self.tally.succeeded();
    }
}

impl Future for Passage {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let passage = self.get_mut();
        if !passage.over
            && let Err(error) = passage.advance(context)
        {
            passage.fail(&error);
        }
        if passage.over { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The outputs that a step asks for. Who wants all names none, so that nobody on the way has to look at names.
fn asked_for(step: &Step, spec: &Spec) -> Vec<Name> {
    let named = |name: &Name| step.outputs.iter().any(|output| output.name == *name);
    if step.outputs.len() == spec.outputs.len() && spec.outputs.iter().all(|output| named(&output.name)) {
        return Vec::new();
    }
    step.outputs.iter().map(|output| output.name.clone()).collect()
}

/// A step may say in its answer which sequence its tensors belong to.
fn told_sequence(parameters: &Parameters) -> Option<Sequence> {
    let mut told = None;
    for (name, value) in parameters.iter().filter(|(name, _)| name.starts_with("sequence_")) {
        let sequence = told.get_or_insert(Sequence { correlation: Correlation::None, flags: 0 });
        match (name.as_str(), value) {
            ("sequence_id", Parameter::Int(number)) if *number != 0 => {
                sequence.correlation = Correlation::Number(number.cast_unsigned());
            }
            ("sequence_id", Parameter::Text(text)) if !text.is_empty() => {
                sequence.correlation = Correlation::Text(text.clone());
            }
            ("sequence_start", Parameter::Bool(true)) => sequence.flags |= FLAG_SEQUENCE_START,
            ("sequence_end", Parameter::Bool(true)) => sequence.flags |= FLAG_SEQUENCE_END,
            _ => {}
        }
    }
    told
}

/// Clients of ensembles are told the sequence in every answer.
fn sequence_parameters(correlation: &Correlation, flags: u32) -> Parameters {
    let id = match correlation {
        Correlation::None => Parameter::Int(0),
        Correlation::Number(number) => Parameter::Int(number.cast_signed()),
        Correlation::Text(text) => Parameter::Text(text.clone()),
    };
    vec![
        ("sequence_id".into(), id),
        ("sequence_start".into(), Parameter::Bool(flags & FLAG_SEQUENCE_START != 0)),
        ("sequence_end".into(), Parameter::Bool(flags & FLAG_SEQUENCE_END != 0)),
    ]
}
