//! `ModelInfer`: from the message to the model and back.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::Error;
use crate::frontend::fields::Way;
use crate::frontend::grpc::message::{Extra, Reply};
use crate::frontend::grpc::refusal::Refusal;
use crate::frontend::grpc::request::{decode, refuse_crowd};
use crate::frontend::grpc::service::{self, Inbound};
use crate::frontend::outputs::OutputForms;
use crate::frontend::{Door, aside};
use crate::proto::inference as proto;
use crate::proto::inference::infer_parameter::ParameterChoice;
use crate::proto::inference::model_infer_response::InferOutputTensor;
use crate::request::{Parameter, Response};
use crate::shared_memory::Regions;
use crate::spec::Spec;

/// The key of `ModelInferResponse.raw_output_contents` on the wire: field 6, of bytes.
pub(super) const RAW_OUTPUT_CONTENTS: u8 = 6 << 3 | 2;

/// Answers an inference request.
pub(super) async fn infer(door: &Door, message: Bytes, inbound: &Inbound<'_>) -> Result<Reply, Refusal> {
    if door.plane.stopping() {
        return Err(Refusal::stopping());
    }
    refuse_crowd(&message)?;
    let message: proto::ModelInferRequest = service::decode(message)?;
    let model = door.plane.model(&message.model_name, &message.model_version)?;
    if model.spec.decoupled {
        return Err(Refusal::unimplemented("ModelInfer RPC doesn't support models with decoupled transaction policy"));
    }
    let (regions, spec) = (Arc::clone(door.plane.regions()), Arc::clone(&model.spec));
    let long = takes_long(&message, &regions);
    let (mut request, forms) = aside::run(long, move || decode(message, &spec, &regions)).await?;
    door.accept(&mut request, &model.spec.model, (Way::Grpc, inbound.headers), inbound.read)?;
    let trace = request.trace.clone();
    let response = model.submit(request, &door.reactor)?.await?;
    let heavy = forms.are_heavy(&response.outputs);
    let spec = Arc::clone(&model.spec);
    Ok(aside::run(heavy, move || encode(response, &forms, &spec)).await?.of_trace(trace))
}

/// Whether reading a request may take so long that nobody else should wait for it: its tensors are in shared memory.
pub(super) fn takes_long(message: &proto::ModelInferRequest, regions: &Regions) -> bool {
    regions.take_long() && message.inputs.iter().any(|input| !input.parameters.is_empty())
}

/// Encodes an answer.
fn encode(response: Response, forms: &OutputForms, spec: &Spec) -> Result<Reply, Refusal> {
    let (message, fields) = message_of(response, forms, spec)?;
    Reply::with(&message, Extra { wrapper: None, key: RAW_OUTPUT_CONTENTS, fields })
}

/// An answer as a message, and its raw contents: one for each output.
///
/// # Errors
/// What keeps an output from its form.
pub(super) fn message_of(
    mut response: Response,
    forms: &OutputForms,
    spec: &Spec,
) -> Result<(proto::ModelInferResponse, Vec<Bytes>), Error> {
    forms.fulfil(&mut response, spec)?;
    let mut message = proto::ModelInferResponse {
        model_name: response.model.to_string(),
        model_version: spec.version_text.clone(),
        id: response.id,
        outputs: Vec::with_capacity(response.outputs.len()),
        parameters: response.parameters.into_iter().map(|(name, value)| (name, encode_parameter(value))).collect(),
        ..proto::ModelInferResponse::default()
    };
    let mut contents: Vec<Bytes> = Vec::with_capacity(response.outputs.len());
    for output in response.outputs {
        message.outputs.push(InferOutputTensor {
            name: output.name.to_string(),
            datatype: output.data_type.name().to_owned(),
            shape: output.shape,
            ..InferOutputTensor::default()
        });
        contents.push(output.data.into_shared());
    }
    Ok((message, contents))
}

pub(super) fn encode_parameter(value: Parameter) -> proto::InferParameter {
    let choice = match value {
        Parameter::Bool(value) => ParameterChoice::BoolParam(value),
        Parameter::Int(value) => ParameterChoice::Int64Param(value),
        Parameter::Double(value) => ParameterChoice::DoubleParam(value),
        Parameter::Text(value) => ParameterChoice::StringParam(value),
    };
    proto::InferParameter { parameter_choice: Some(choice) }
}
