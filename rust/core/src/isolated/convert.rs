//! Requests, outputs and errors as messages between the server and a model's process, and back.

use std::io;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Code, Error, Result};
use crate::instance::Outputs;
use crate::isolated::segment::{Inlet, Outlet};
use crate::payload::is_whole;
use crate::proto::isolated::{self as proto, answer, parameter, request, tensor};
use crate::request::{Correlation, Parameter, Parameters, Request};
use crate::tensor::{Data, DataType, Name, Tensor};

/// Tensors up to this size travel in the message: finding a place for them elsewhere costs more.
const INLINE_BYTES: usize = 8 * 1024;

/// Writes messages whose tensors may lie in shared memory.
pub(super) struct Sender<'a>(pub &'a mut Inlet);

/// Reads messages whose tensors may lie in shared memory.
pub(super) struct Receiver<'a> {
    pub outlet: &'a Outlet,
    /// Whether the other side is trusted to leave a tensor alone that is used where it is.
    pub borrows: bool,
}

impl Sender<'_> {
    fn tensor(&mut self, tensor: &Tensor) -> proto::Tensor {
        let data = tensor.data.as_slice();
        let span = if data.len() > INLINE_BYTES { self.0.put(data) } else { None };
        let place = match (span, &tensor.data) {
            (Some(span), _) => tensor::Place::Span(span),
            (None, Data::Shared(bytes)) => tensor::Place::Inline(bytes.clone()),
            (None, Data::Unique(_) | Data::Lent(_)) => tensor::Place::Inline(Bytes::copy_from_slice(data)),
        };
        proto::Tensor {
            name: tensor.name.to_string(),
            data_type: tensor.data_type as i32,
            shape: tensor.shape.clone(),
            place: Some(place),
        }
    }

    pub(super) fn request(&mut self, key: u64, rows: usize, request: &Request) -> proto::Request {
        proto::Request {
            key,
            id: request.id.clone(),
            parameters: parameters(&request.parameters),
            inputs: request.inputs.iter().map(|tensor| self.tensor(tensor)).collect(),
            outputs: request.outputs.iter().map(ToString::to_string).collect(),
            priority: request.priority,
            timeout_us: request.timeout.map(|timeout| timeout.as_micros() as u64),
            correlation: match &request.correlation {
                Correlation::None => None,
                Correlation::Number(number) => Some(request::Correlation::Number(*number)),
                Correlation::Text(text) => Some(request::Correlation::Text(text.clone())),
            },
            flags: request.flags,
            rows: rows as u64,
            trace_context: request.context(),
        }
    }

    pub(super) fn outputs(&mut self, outputs: &Outputs) -> proto::Outputs {
        proto::Outputs {
            tensors: outputs.tensors.iter().map(|tensor| self.tensor(tensor)).collect(),
            parameters: parameters(&outputs.parameters),
        }
    }

    pub(super) fn answer(&mut self, result: Option<&Result<Outputs>>, last: bool) -> proto::Answer {
        let result = result.map(|result| match result {
            Ok(outputs) => answer::Result::Outputs(self.outputs(outputs)),
            Err(error) => answer::Result::Failure(failure(error)),
        });
        proto::Answer { result, last }
    }
}

impl Receiver<'_> {
    fn tensor(&self, tensor: proto::Tensor, name: Option<Name>) -> io::Result<Tensor> {
        let data = match tensor.place {
            Some(tensor::Place::Inline(bytes)) => bytes.into(),
            Some(tensor::Place::Span(span)) => {
                let data = if self.borrows {
                    self.outlet.borrow(span).map(Data::Lent)
                } else {
                    self.outlet.take(span).map(Data::Unique)
                };
                data.ok_or_else(|| io::Error::other("a tensor outside of the shared memory"))?
            }
            None => Bytes::new().into(),
        };
        let data_type = DataType::ALL
            .get(tensor.data_type as usize)
            .copied()
            .ok_or_else(|| io::Error::other(format!("a tensor of type {}", tensor.data_type)))?;
        let name = name.unwrap_or_else(|| Name::from(tensor.name));
        let tensor = Tensor { name, data_type, shape: tensor.shape, data };
        if !self.borrows && !is_whole(&tensor) {
            return Err(io::Error::other(format!("the tensor `{}` has not the bytes of its shape", tensor.name)));
        }
        Ok(tensor)
    }

    /// A request, with its key and its rows.
    pub(super) fn request(&self, request: proto::Request) -> io::Result<(u64, usize, Request)> {
        let inputs = request.inputs.into_iter().map(|tensor| self.tensor(tensor, None)).collect::<io::Result<_>>()?;
        let decoded = Request {
            id: request.id,
            parameters: read_parameters(request.parameters),
            inputs,
            outputs: request.outputs.into_iter().map(Name::from).collect(),
            priority: request.priority,
            timeout: request.timeout_us.map(Duration::from_micros),
            correlation: match request.correlation {
                None => Correlation::None,
                Some(request::Correlation::Number(number)) => Correlation::Number(number),
                Some(request::Correlation::Text(text)) => Correlation::Text(text),
            },
            flags: request.flags,
            trace: None,
            trace_context: request.trace_context,
        };
        Ok((request.key, request.rows as usize, decoded))
    }

    /// Outputs; those that the model declares get the names it declares them by.
    pub(super) fn outputs(&self, outputs: proto::Outputs, names: &[Name]) -> io::Result<Outputs> {
        let known = |tensor: &proto::Tensor| names.iter().find(|name| ***name == tensor.name).cloned();
        let tensors = outputs.tensors.into_iter().map(|tensor| {
            let name = known(&tensor);
            self.tensor(tensor, name)
        });
        Ok(Outputs { tensors: tensors.collect::<io::Result<_>>()?, parameters: read_parameters(outputs.parameters) })
    }

    pub(super) fn answer(
        &self,
        answer: Option<proto::Answer>,
        names: &[Name],
    ) -> io::Result<(Option<Result<Outputs>>, bool)> {
        let answer = answer.ok_or_else(|| io::Error::other("a response without an answer"))?;
        let result = match answer.result {
            None => None,
            Some(answer::Result::Outputs(outputs)) => Some(Ok(self.outputs(outputs, names)?)),
            Some(answer::Result::Failure(failure)) => Some(Err(read_failure(failure))),
        };
        Ok((result, answer.last))
    }
}

fn parameters(parameters: &Parameters) -> Vec<proto::Parameter> {
    let value = |value: &Parameter| match value {
        Parameter::Bool(value) => parameter::Value::Bool(*value),
        Parameter::Int(value) => parameter::Value::Int(*value),
        Parameter::Double(value) => parameter::Value::Double(*value),
        Parameter::Text(value) => parameter::Value::Text(value.clone()),
    };
    parameters.iter().map(|(name, given)| proto::Parameter { name: name.clone(), value: Some(value(given)) }).collect()
}

fn read_parameters(parameters: Vec<proto::Parameter>) -> Parameters {
    let value = |value| match value {
        parameter::Value::Bool(value) => Parameter::Bool(value),
        parameter::Value::Int(value) => Parameter::Int(value),
        parameter::Value::Double(value) => Parameter::Double(value),
        parameter::Value::Text(value) => Parameter::Text(value),
    };
    parameters.into_iter().filter_map(|given| Some((given.name, value(given.value?)))).collect()
}

pub(super) fn failure(error: &Error) -> proto::Failure {
    proto::Failure { code: error.code.name().to_owned(), message: error.message.clone() }
}

pub(super) fn read_failure(failure: proto::Failure) -> Error {
    Error::new(Code::from_name(&failure.code), failure.message)
}
