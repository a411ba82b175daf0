//! `ModelInferRequest` as a request whose tensors are slices of the message.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{DecodeContext, decode_key, skip_field};

use crate::error::{Error, Result};
use crate::frontend::outputs::{Form, OutputForms, Wish};
use crate::proto::inference::infer_parameter::ParameterChoice;
use crate::proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use crate::proto::inference::{InferParameter, InferTensorContents, ModelInferRequest};
use crate::request::{Correlation, FLAG_SEQUENCE_END, FLAG_SEQUENCE_START, Parameter, Request};
use crate::shared_memory::{Regions, Slot};
use crate::spec::Spec;
use crate::tensor::{Data, DataType, Name, Tensor};

/// The parameter that has a stream told of the end also where that says nothing else.
pub(super) const EMPTY_FINAL: &str = "triton_enable_empty_final_response";

/// What a data type that is none is called.
const INVALID: &str = "<invalid>";

/// Tensors a request may have, inputs and outputs together: far more than any model.
const MAX_TENSORS: usize = 65_536;
/// Messages up to this size cannot hold so many that it would matter.
const HARMLESS_BYTES: usize = 64 * 1024;

/// Refuses a message that would take a hundred times its size once it is decoded: two bytes are enough for an empty tensor.
///
/// # Errors
/// `INVALID_ARG` for more tensors than any request has. What is no message is told when it is decoded.
pub(super) fn refuse_crowd(message: &[u8]) -> Result<()> {
    const TENSORS: std::ops::RangeInclusive<u32> = 5..=7;
    let mut rest = if message.len() > HARMLESS_BYTES { message } else { &[] };
    let mut tensors = 0;
    while let Ok((field, wire_type)) = decode_key(&mut rest) {
        tensors += usize::from(TENSORS.contains(&field));
        if tensors > MAX_TENSORS {
            return Err(Error::invalid(format!(
                "a request may have up to {MAX_TENSORS} tensors, and this one has more"
            )));
        }
        if skip_field(wire_type, field, &mut rest, DecodeContext::default()).is_err() {
            break;
        }
    }
    Ok(())
}

/// Decodes a message for a model.
pub(super) fn decode(message: ModelInferRequest, spec: &Spec, regions: &Regions) -> Result<(Request, OutputForms)> {
    let mut request = Request { id: message.id, ..Request::default() };
    for (key, value) in message.parameters {
        parameter(&mut request, key, value.parameter_choice)?;
    }
    let has_raw = !message.raw_input_contents.is_empty();
    let mut raw = message.raw_input_contents.into_iter();
    request.inputs.reserve(message.inputs.len());
    for input in message.inputs {
        let shared = slot(&input.parameters, &input.name, regions)?;
        let tensor = match shared {
            Some(slot) => shared_input(input, &slot, spec, &request)?,
            None => decode_input(input, has_raw, &mut raw, spec, &request.id)?,
        };
        request.inputs.push(tensor);
    }
    let mut forms = OutputForms { named: Vec::new(), default: Form::Binary };
    for output in message.outputs {
        let known = spec.output(&output.name).map(|known| known.name.clone());
        let name = known.unwrap_or_else(|| Name::from(output.name.as_str()));
        forms.named.push((name.clone(), wish(&output, regions)?));
        request.outputs.push(name);
    }
    Ok((request, forms))
}

fn decode_input(
    input: InferInputTensor,
    has_raw: bool,
    raw: &mut impl Iterator<Item = Bytes>,
    spec: &Spec,
    id: &str,
) -> Result<Tensor> {
    let (model, name) = (&spec.model, &input.name);
    let data_type = DataType::from_name(&input.datatype);
    let data = match (input.contents, has_raw) {
        (Some(_), true) => {
            return Err(Error::invalid(format!(
                "contents field must not be specified when using raw_input_contents for '{name}' for model '{model}'"
            )));
        }
        (Some(contents), false) => explicit_data(&contents, data_type, name, model)?.into(),
        (None, _) => raw
            .next()
            .ok_or_else(|| {
                Error::invalid(format!("unable to find data for input tensor '{name}' for model '{model}' in request."))
            })?
            .into(),
    };
    tensor(&input.name, data_type, input.shape, data, spec, id)
}

/// An input that is in shared memory. Of one that the model will not be given, nothing is read.
fn shared_input(input: InferInputTensor, slot: &Slot, spec: &Spec, request: &Request) -> Result<Tensor> {
    let (model, name) = (&spec.model, &input.name);
    if input.contents.is_some() {
        return Err(Error::invalid(format!(
            "unexpected 'content' provided when using shared memory for input tensor '{name}' for model '{model}'"
        )));
    }
    let is_wanted = spec.input(name).is_some() && request.inputs.iter().all(|other| *other.name != **name);
    let data = if is_wanted { slot.read()? } else { Bytes::new().into() };
    tensor(name, DataType::from_name(&input.datatype), input.shape, data, spec, &request.id)
}

fn tensor(
    name: &str,
    data_type: Option<DataType>,
    shape: Vec<i64>,
    data: Data,
    spec: &Spec,
    id: &str,
) -> Result<Tensor> {
    let known = spec.input(name);
    let data_type = data_type.ok_or_else(|| {
        let expected = known.map_or("a known type", |known| known.data_type.name());
        Error::invalid(format!(
            "inference input '{name}' data-type is '{INVALID}', but model '{}' expects '{expected}'",
            spec.model
        ))
        .with_request_id(id)
    })?;
    let name = known.map_or_else(|| Name::from(name), |known| known.name.clone());
    Ok(Tensor { name, data_type, shape, data })
}

/// Typed contents as the bytes of a tensor: one kind only, and the kind that belongs to the type.
fn explicit_data(
    contents: &InferTensorContents,
    data_type: Option<DataType>,
    name: &str,
    model: &str,
) -> Result<BytesMut> {
    let wanted = match data_type {
        Some(DataType::Int8 | DataType::Int16) => "INT32",
        Some(DataType::Uint8 | DataType::Uint16) => "UINT32",
        other => other.map_or(INVALID, DataType::name),
    };
    let mut kinds = kinds(contents);
    let fault = match (kinds.next(), kinds.next()) {
        (Some(kind), _) if kind != wanted => {
            format!("of type '{kind}', expected datatype '{}'", data_type.map_or(INVALID, DataType::name))
        }
        (Some(_), Some(kind)) => format!("of type '{kind}', binary data was already supplied."),
        _ => return Ok(data_type.map(|data_type| bytes_of(contents, data_type)).unwrap_or_default()),
    };
    Err(Error::invalid(format!(
        "unexpected explicit tensor data for input tensor '{name}' for model '{model}' {fault}"
    )))
}

/// The kinds of contents that are there.
fn kinds(contents: &InferTensorContents) -> impl Iterator<Item = &'static str> {
    [
        ("BOOL", contents.bool_contents.is_empty()),
        ("INT32", contents.int_contents.is_empty()),
        ("INT64", contents.int64_contents.is_empty()),
        ("UINT32", contents.uint_contents.is_empty()),
        ("UINT64", contents.uint64_contents.is_empty()),
        ("FP32", contents.fp32_contents.is_empty()),
        ("FP64", contents.fp64_contents.is_empty()),
        ("BYTES", contents.bytes_contents.is_empty()),
    ]
    .into_iter()
    .filter_map(|(kind, empty)| (!empty).then_some(kind))
}

fn bytes_of(contents: &InferTensorContents, data_type: DataType) -> BytesMut {
    match data_type {
        DataType::Bool => contents.bool_contents.iter().map(|&value| u8::from(value)).collect(),
        // Narrow integers travel in wide fields; what does not fit is cut, as the protocol's servers do.
        DataType::Int8 => contents.int_contents.iter().map(|&value| value as u8).collect(),
        DataType::Int16 => joined(&contents.int_contents, |value| (value as i16).to_le_bytes()),
        DataType::Int32 => joined(&contents.int_contents, i32::to_le_bytes),
        DataType::Int64 => joined(&contents.int64_contents, i64::to_le_bytes),
        DataType::Uint8 => contents.uint_contents.iter().map(|&value| value as u8).collect(),
        DataType::Uint16 => joined(&contents.uint_contents, |value| (value as u16).to_le_bytes()),
        DataType::Uint32 => joined(&contents.uint_contents, u32::to_le_bytes),
        DataType::Uint64 => joined(&contents.uint64_contents, u64::to_le_bytes),
        DataType::Fp32 => joined(&contents.fp32_contents, f32::to_le_bytes),
        DataType::Fp64 => joined(&contents.fp64_contents, f64::to_le_bytes),
        DataType::Bytes => {
            let elements = &contents.bytes_contents;
            let size = elements.iter().map(|element| 4 + element.len()).sum();
            let mut out = BytesMut::with_capacity(size);
            for element in elements {
                out.put_u32_le(element.len() as u32);
                out.put_slice(element);
            }
            out
        }
        // These have no typed contents, and none were found: the size of the input tells.
        DataType::Fp16 | DataType::Bf16 => BytesMut::new(),
    }
}

fn joined<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> BytesMut {
    let mut out = BytesMut::with_capacity(values.len() * N);
    for &value in values {
        out.put_slice(&bytes(value));
    }
    out
}

fn parameter(request: &mut Request, key: String, value: Option<ParameterChoice>) -> Result<()> {
    let wrong =
        |expected: &str| Error::invalid(format!("invalid value type for '{key}' parameter, expected {expected}."));
    match (key.as_str(), value) {
        ("sequence_id", Some(ParameterChoice::Int64Param(number))) => {
            request.correlation = if number == 0 { Correlation::None } else { Correlation::Number(number as u64) };
        }
        ("sequence_id", Some(ParameterChoice::StringParam(text))) => {
            request.correlation = if text.is_empty() { Correlation::None } else { Correlation::Text(text) };
        }
        ("sequence_id", _) => return Err(wrong("int64_param or string_param")),
        ("sequence_start", Some(ParameterChoice::BoolParam(set))) => {
            request.flags |= u32::from(set) * FLAG_SEQUENCE_START;
        }
        ("sequence_end", Some(ParameterChoice::BoolParam(set))) => request.flags |= u32::from(set) * FLAG_SEQUENCE_END,
        ("sequence_start" | "sequence_end", _) => return Err(wrong("bool_param")),
        ("priority", Some(ParameterChoice::Uint64Param(level))) => request.priority = level,
        ("priority", Some(ParameterChoice::Int64Param(level))) => {
            request.priority = u64::try_from(level)
                .map_err(|_| Error::invalid("invalid value for 'priority', expected value >= 0."))?;
        }
        ("priority", _) => return Err(wrong("int64_param or uint64_param")),
        ("timeout", Some(ParameterChoice::Int64Param(micros))) => {
            request.timeout = u64::try_from(micros).ok().map(Duration::from_micros);
        }
        ("timeout", _) => return Err(wrong("int64_param")),
        // Says how a stream should end, and is read there; a single answer has no use for it.
        (EMPTY_FINAL, Some(ParameterChoice::BoolParam(_))) => {}
        (EMPTY_FINAL, _) => return Err(wrong("bool_param")),
        (key, _) if key.starts_with("triton_") => {
            return Err(Error::invalid(
                "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with 'triton_' are \
                 allowed: triton_enable_empty_final_response",
            ));
        }
        (_, Some(ParameterChoice::BoolParam(value))) => request.parameters.push((key, Parameter::Bool(value))),
        (_, Some(ParameterChoice::Int64Param(value))) => request.parameters.push((key, Parameter::Int(value))),
        (_, Some(ParameterChoice::StringParam(value))) => request.parameters.push((key, Parameter::Text(value))),
        (_, Some(ParameterChoice::DoubleParam(value))) => request.parameters.push((key, Parameter::Double(value))),
        _ => return Err(wrong("int64_param, bool_param, or string_param")),
    }
    Ok(())
}

fn wish(output: &InferRequestedOutputTensor, regions: &Regions) -> Result<Wish> {
    let slot = slot(&output.parameters, &output.name, regions)?;
    let classes = match output.parameters.get("classification").map(|parameter| &parameter.parameter_choice) {
        None => None,
        Some(Some(ParameterChoice::Int64Param(count))) if *count > 0 => {
            Some(usize::try_from(*count).unwrap_or(usize::MAX))
        }
        Some(Some(ParameterChoice::Int64Param(_))) => {
            return Err(Error::invalid("invalid value for 'classification' parameter, expected >= 0"));
        }
        Some(_) => {
            return Err(Error::invalid("invalid value type for 'classification' parameter, expected int64_param"));
        }
    };
    if slot.is_some() && classes.is_some() {
        return Err(Error::invalid("output can't set both 'shared_memory_region' and 'classification'"));
    }
    Ok(Wish { form: Form::Binary, classes, slot })
}

/// Where in shared memory a tensor is, if it is there.
fn slot(parameters: &BTreeMap<String, InferParameter>, tensor: &str, regions: &Regions) -> Result<Option<Slot>> {
    if parameters.is_empty() {
        return Ok(None);
    }
    let wrong = |key: &str, expected: &str| {
        Error::invalid(format!("invalid value type for '{key}' parameter for tensor '{tensor}', expected {expected}."))
    };
    let choice = |key: &str| parameters.get(key).map(|parameter| parameter.parameter_choice.as_ref());
    let number = |key: &str| match choice(key) {
        None => Ok(None),
        // A negative number is far beyond any region, and told so.
        Some(Some(ParameterChoice::Int64Param(number))) => Ok(Some(*number as u64)),
        Some(_) => Err(wrong(key, "int64_param")),
    };
    let region = match choice("shared_memory_region") {
        None => None,
        Some(Some(ParameterChoice::StringParam(name))) => Some(name),
        Some(_) => return Err(wrong("shared_memory_region", "string_param")),
    };
    let (offset, byte_size) = (number("shared_memory_offset")?, number("shared_memory_byte_size")?);
    match (region, offset, byte_size) {
        (Some(name), offset, Some(byte_size)) => regions.slot(name, offset.unwrap_or(0), byte_size).map(Some),
        (Some(_), _, None) => Err(Error::invalid(format!(
            "'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter for tensor '{tensor}'"
        ))),
        (None, None, None) => Ok(None),
        (None, offset, _) => {
            let what = if offset.is_some() { "offset" } else { "byte_size" };
            Err(Error::invalid(format!(
                "'shared_memory_{what}' can not be specified without 'shared_memory_region' parameter for tensor '{tensor}'"
            )))
        }
    }
}

#[cfg(test)]
mod tests;
