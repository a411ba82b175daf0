//! `ModelInfer`: a message becomes a request whose tensors are slices of it; an answer's tensors go out as they are.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{Code, Error, Result};
use crate::frontend::Door;
use crate::proto::inference as proto;
use crate::proto::inference::infer_parameter::ParameterChoice;
use crate::proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use crate::proto::inference::model_infer_response::InferOutputTensor;
use crate::request::{Correlation, FLAG_SEQUENCE_END, FLAG_SEQUENCE_START, Parameter, Request, Response};
use crate::spec::Spec;
use crate::tensor::{DataType, Name, Tensor};

/// Answers an inference request.
pub(super) async fn infer(door: &Door, message: proto::ModelInferRequest) -> Result<proto::ModelInferResponse> {
    if door.plane.stopping() {
        return Err(Error::new(
            Code::Unavailable,
            "GRPC server is shutting down and has stopped accepting new requests.",
        ));
    }
    let model = door.plane.model(&message.model_name, &message.model_version)?;
    if model.spec.decoupled {
        return Err(Error::new(
            Code::Unsupported,
            "ModelInfer RPC doesn't support models with decoupled transaction policy",
        ));
    }
    let request = decode(message, &model.spec)?;
    let response = model.submit(request, &door.reactor)?.await?;
    encode(response, &model.spec)
}

/// Decodes a message for a model.
fn decode(message: proto::ModelInferRequest, spec: &Spec) -> Result<Request> {
    let mut request = Request { id: message.id, ..Request::default() };
    for (key, value) in message.parameters {
        parameter(&mut request, key, value.parameter_choice)?;
    }
    let has_raw = !message.raw_input_contents.is_empty();
    let mut raw = message.raw_input_contents.into_iter();
    request.inputs.reserve(message.inputs.len());
    for input in message.inputs {
        let tensor = decode_input(input, has_raw, &mut raw, spec, &request.id)?;
        request.inputs.push(tensor);
    }
    for output in message.outputs {
        request.outputs.push(requested_output(&output, spec)?);
    }
    Ok(request)
}

fn decode_input(
    input: InferInputTensor,
    has_raw: bool,
    raw: &mut impl Iterator<Item = Bytes>,
    spec: &Spec,
    id: &str,
) -> Result<Tensor> {
    refuse_shared_memory(&input.parameters, &input.name)?;
    let known = spec.input(&input.name);
    let (model, name) = (&spec.model, &input.name);
    let Some(data_type) = DataType::from_name(&input.datatype) else {
        let expected = known.map_or("a known type", |known| known.data_type.name());
        return Err(Error::invalid(format!(
            "inference input '{name}' data-type is '<invalid>', but model '{model}' expects '{expected}'"
        ))
        .with_request_id(id));
    };
    let data = match input.contents {
        Some(_) if has_raw => {
            return Err(Error::invalid(format!(
                "contents field must not be specified when using raw_input_contents for '{name}' for model '{model}'"
            )));
        }
        Some(contents) => explicit_data(&contents, data_type, name, model)?.into(),
        None => raw
            .next()
            .ok_or_else(|| {
                Error::invalid(format!("unable to find data for input tensor '{name}' for model '{model}' in request."))
            })?
            .into(),
    };
    let name = known.map_or_else(|| Name::from(name.as_str()), |known| known.name.clone());
    Ok(Tensor { name, data_type, shape: input.shape, data })
}

/// Typed contents as the bytes of a tensor: one kind only, and the kind that belongs to the type.
fn explicit_data(
    contents: &proto::InferTensorContents,
    data_type: DataType,
    name: &str,
    model: &str,
) -> Result<BytesMut> {
    let given = [
        ("BOOL", contents.bool_contents.len()),
        ("INT32", contents.int_contents.len()),
        ("INT64", contents.int64_contents.len()),
        ("UINT32", contents.uint_contents.len()),
        ("UINT64", contents.uint64_contents.len()),
        ("FP32", contents.fp32_contents.len()),
        ("FP64", contents.fp64_contents.len()),
        ("BYTES", contents.bytes_contents.len()),
    ];
    let wanted = match data_type {
        DataType::Int8 | DataType::Int16 => "INT32",
        DataType::Uint8 | DataType::Uint16 => "UINT32",
        other => other.name(),
    };
    let mut kinds = given.iter().filter(|(_, count)| *count > 0);
    match (kinds.next(), kinds.next()) {
        (Some((kind, _)), _) if *kind != wanted => {
            return Err(Error::invalid(format!(
                "unexpected explicit tensor data for input tensor '{name}' for model '{model}' of type '{kind}', expected datatype '{}'",
                data_type.name()
            )));
        }
        (_, Some((kind, _))) => {
            return Err(Error::invalid(format!(
                "unexpected explicit tensor data for input tensor '{name}' for model '{model}' of type '{kind}', binary data was already \
                 supplied."
            )));
        }
        _ => {}
    }
    let mut out = BytesMut::new();
    match data_type {
        DataType::Bool => out.extend(contents.bool_contents.iter().map(|&value| u8::from(value))),
        // Narrow integers travel in wide fields; what does not fit is cut, as the protocol's servers do.
        DataType::Int8 => contents.int_contents.iter().for_each(|&value| out.put_i8(value as i8)),
        DataType::Int16 => contents.int_contents.iter().for_each(|&value| out.put_i16_le(value as i16)),
        DataType::Int32 => contents.int_contents.iter().for_each(|&value| out.put_i32_le(value)),
        DataType::Int64 => contents.int64_contents.iter().for_each(|&value| out.put_i64_le(value)),
        DataType::Uint8 => contents.uint_contents.iter().for_each(|&value| out.put_u8(value as u8)),
        DataType::Uint16 => contents.uint_contents.iter().for_each(|&value| out.put_u16_le(value as u16)),
        DataType::Uint32 => contents.uint_contents.iter().for_each(|&value| out.put_u32_le(value)),
        DataType::Uint64 => contents.uint64_contents.iter().for_each(|&value| out.put_u64_le(value)),
        DataType::Fp32 => contents.fp32_contents.iter().for_each(|&value| out.put_f32_le(value)),
        DataType::Fp64 => contents.fp64_contents.iter().for_each(|&value| out.put_f64_le(value)),
        DataType::Bytes => contents.bytes_contents.iter().for_each(|element| {
            out.put_u32_le(element.len() as u32);
            out.put_slice(element);
        }),
        // These have no typed contents: the kinds were checked, so there is nothing, which the size of the input tells.
        DataType::Fp16 | DataType::Bf16 => {}
    }
    Ok(out)
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
        // Says how a stream should end; a single answer has no use for it.
        ("triton_enable_empty_final_response", Some(ParameterChoice::BoolParam(_))) => {}
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

fn requested_output(output: &InferRequestedOutputTensor, spec: &Spec) -> Result<Name> {
    refuse_shared_memory(&output.parameters, &output.name)?;
    if let Some(parameter) = output.parameters.get("classification") {
        return Err(match parameter.parameter_choice {
            Some(ParameterChoice::Int64Param(count)) if count > 0 => {
                Error::new(Code::Unsupported, "this server does not offer the classification extension")
            }
            Some(ParameterChoice::Int64Param(_)) => {
                Error::invalid("invalid value for 'classification' parameter, expected >= 0")
            }
            _ => Error::invalid("invalid value type for 'classification' parameter, expected int64_param"),
        });
    }
    Ok(spec.output(&output.name).map_or_else(|| Name::from(output.name.as_str()), |known| known.name.clone()))
}

fn refuse_shared_memory(parameters: &HashMap<String, proto::InferParameter>, name: &str) -> Result<()> {
    if parameters.is_empty() {
        return Ok(());
    }
    if parameters.contains_key("shared_memory_region") {
        return Err(Error::new(Code::Unsupported, "this server does not offer shared memory"));
    }
    if parameters.contains_key("shared_memory_offset") {
        return Err(Error::invalid(format!(
            "'shared_memory_offset' can not be specified without 'shared_memory_region' parameter for tensor '{name}'"
        )));
    }
    Ok(())
}

/// Encodes an answer: always raw contents, one for each output.
fn encode(response: Response, spec: &Spec) -> Result<proto::ModelInferResponse> {
    let size: usize = response.outputs.iter().map(|output| output.data.len()).sum();
    if size > i32::MAX as usize {
        return Err(Error::invalid(format!(
            "Response has byte size {size} which exceeds gRPC's byte size limit {}.",
            i32::MAX
        )));
    }
    let mut message = proto::ModelInferResponse {
        model_name: response.model.to_string(),
        model_version: spec.version_text.clone(),
        id: response.id,
        outputs: Vec::with_capacity(response.outputs.len()),
        raw_output_contents: Vec::with_capacity(response.outputs.len()),
        parameters: response.parameters.into_iter().map(|(name, value)| (name, encode_parameter(value))).collect(),
    };
    for output in response.outputs {
        message.outputs.push(InferOutputTensor {
            name: output.name.to_string(),
            datatype: output.data_type.name().to_owned(),
            shape: output.shape,
            ..InferOutputTensor::default()
        });
        message.raw_output_contents.push(output.data.into_shared());
    }
    Ok(message)
}

fn encode_parameter(value: Parameter) -> proto::InferParameter {
    let choice = match value {
        Parameter::Bool(value) => ParameterChoice::BoolParam(value),
        Parameter::Int(value) => ParameterChoice::Int64Param(value),
        Parameter::Double(value) => ParameterChoice::DoubleParam(value),
        Parameter::Text(value) => ParameterChoice::StringParam(value),
    };
    proto::InferParameter { parameter_choice: Some(choice) }
}
