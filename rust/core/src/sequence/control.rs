//! The inputs that tell a model where in its sequence a request stands.

use bytes::Bytes;

use crate::request::{Correlation, FLAG_SEQUENCE_END, FLAG_SEQUENCE_START, Request};
use crate::spec::Spec;
use crate::spec::sequence::{ControlSpec, Signal};
use crate::tensor::{DataType, Tensor, element_count};

/// Takes out what an earlier execution of the request was given, and puts in what this one is.
pub(crate) fn inject(request: &mut Request, spec: &Spec, ready: bool, states: Vec<Tensor>) {
    let Some(sequence) = &spec.sequence else { return };
    request.inputs.retain(|input| !sequence.makes(&input.name));
    for control in &sequence.controls {
        let shape = if spec.max_batch_size > 0 { vec![1, 1] } else { vec![1] };
        let data = value(control, request, ready).into();
        request.inputs.push(Tensor { name: control.name.clone(), data_type: control.data_type, shape, data });
    }
    request.inputs.extend(states);
}

fn value(control: &ControlSpec, request: &Request, ready: bool) -> Bytes {
    let yes = match control.signal {
        Signal::Start => request.flags & FLAG_SEQUENCE_START != 0,
        Signal::End => request.flags & FLAG_SEQUENCE_END != 0,
        Signal::Ready => ready,
        Signal::Correlation => return correlation(&request.correlation, control.data_type),
    };
    control.values[usize::from(yes)].clone()
}

fn correlation(id: &Correlation, data_type: DataType) -> Bytes {
    let number = if let Correlation::Number(number) = id { *number } else { 0 };
    match data_type {
        DataType::Bytes => {
            let text = if let Correlation::Text(text) = id { text.as_str() } else { "" };
            [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat().into()
        }
        DataType::Int32 | DataType::Uint32 => Bytes::copy_from_slice(&(number as u32).to_le_bytes()),
        _ => Bytes::copy_from_slice(&number.to_le_bytes()),
    }
}

/// A request that fills the row of a slot with nothing in it: zeros of the shapes that `like` has.
pub(crate) fn nothing(like: &Request, spec: &Spec) -> Request {
    let zero = |input: &Tensor| {
        let elements = element_count(&input.shape).unwrap_or(0);
        // An empty byte string is its length, zero.
        let data = Bytes::from(vec![0; elements * input.data_type.size().unwrap_or(4)]);
        Tensor { name: input.name.clone(), data_type: input.data_type, shape: input.shape.clone(), data: data.into() }
    };
    let (made, given): (Vec<&Tensor>, Vec<&Tensor>) =
        like.inputs.iter().partition(|input| spec.sequence.as_ref().is_some_and(|s| s.makes(&input.name)));
    let is_state = |input: &&&Tensor| {
        spec.sequence.iter().flat_map(|sequence| &sequence.states).any(|state| state.input == input.name)
    };
    let states = made.iter().filter(is_state).map(|input| zero(input)).collect();
    let mut request = Request { inputs: given.into_iter().map(zero).collect(), ..Request::default() };
    inject(&mut request, spec, false, states);
    request
}
