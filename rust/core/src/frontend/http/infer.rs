//! Inference over REST: the protocol's form, and plain JSON.

use std::sync::Arc;

use bytes::BytesMut;

use crate::error::{Code, Error, Result};
use crate::frontend::Door;
use crate::frontend::aside;
use crate::frontend::fields::Way;
use crate::frontend::http::compression;
use crate::frontend::http::head::Head;
use crate::frontend::http::response::Response;
use crate::frontend::http::router::Target;
use crate::frontend::json::{Encoded, decode_infer, decode_predict, decode_raw, encode_infer, encode_predict};
use crate::frontend::outputs::OutputForms;
use crate::model::Model;
use crate::plane::Plane;
use crate::request::{Request, Response as Answer};
use crate::spec::Spec;
use crate::tensor::Name;
use crate::trace::Event;

/// JSON up to this size is read on the spot: that takes less than a millisecond.
const LIGHT_JSON_BYTES: usize = 256 * 1024;
/// Outputs up to this size become JSON on the spot: written out, numbers take longer than read in.
const LIGHT_OUTPUT_BYTES: usize = 64 * 1024;

/// Answers an inference request.
pub(super) async fn infer(door: &Door, head: &Head, target: &Target<'_>, body: BytesMut) -> Result<Response> {
    let model = door.plane.model(&target.model, target.version)?;
    refuse_decoupled(&model.spec)?;
    let max_bytes = door.plane.http_max_input_bytes();
    let Some(encoding) = compression::requested(head.content_encoding.as_deref()) else {
        return Ok(compression::unsupported());
    };
    let body = compression::decompress(encoding, body, max_bytes).await?;
    let (mut request, forms) = decode(head, body, &model.spec, &door.plane).await?;
    door.accept(&mut request, &model.spec.model, (Way::Http, head), head.read)?;
    let trace = request.trace.clone();
    let mut response = answer(door, head, &model, request, forms).await.unwrap_or_else(Response::from);
    if let Some(trace) = &trace {
        trace.note(Event::HttpSendStart);
    }
    response.trace = trace;
    Ok(response)
}

async fn answer(door: &Door, head: &Head, model: &Model, request: Request, forms: OutputForms) -> Result<Response> {
    let answer = model.submit(request, &door.reactor)?.await?;
    let encoded = encode(answer, forms, &model.spec).await?;
    let binary = encoded.json_length.is_some();
    let content_type = if binary { "application/octet-stream" } else { "application/json" };
    let response = Response {
        status: 200,
        content_type: Some(content_type),
        json_length: encoded.json_length,
        body: encoded.header,
        tail: encoded.tail,
        ..Response::default()
    };
    Ok(compression::compress(compression::accepted(head.accept_encoding.as_deref()), response).await)
}

async fn decode(head: &Head, mut body: BytesMut, spec: &Arc<Spec>, plane: &Plane) -> Result<(Request, OutputForms)> {
    let (json, tail) = match json_length(head, body.len())? {
        Some(0) => return decode_raw(body, spec),
        Some(length) => (body.split_to(length), body),
        None => (body, BytesMut::new()),
    };
    let (spec, regions, max_bytes) = (Arc::clone(spec), Arc::clone(plane.regions()), plane.http_max_input_bytes());
    let long = json.len() > LIGHT_JSON_BYTES || (regions.take_long() && speaks_of_memory(&json));
    aside::run(long, move || decode_infer(&json, tail, &spec, &regions, max_bytes)).await
}

fn speaks_of_memory(json: &[u8]) -> bool {
    let word = b"shared_memory_region";
    json.windows(word.len()).any(|window| window == word)
}

async fn encode(answer: Answer, forms: OutputForms, spec: &Arc<Spec>) -> Result<Encoded> {
    let heavy = forms.are_heavy(&answer.outputs);
    let spec = Arc::clone(spec);
    aside::run(heavy, move || encode_infer(answer, &forms, &spec)).await
}

/// Answers plain JSON. Without a name, the server has to have one model only.
pub(super) async fn predict(door: &Door, head: &Head, name: Option<&str>, body: BytesMut) -> Result<Response> {
    let model = match name {
        Some(name) => door.plane.model(name, "")?,
        None => door.plane.model(&only_model(door)?, "")?,
    };
    refuse_decoupled(&model.spec)?;
    let Some(encoding) = compression::requested(head.content_encoding.as_deref()) else {
        return Ok(compression::unsupported());
    };
    let body = compression::decompress(encoding, body, door.plane.http_max_input_bytes()).await?;
    let spec = Arc::clone(&model.spec);
    let mut predict = aside::run(body.len() > LIGHT_JSON_BYTES, move || decode_predict(&body, &spec)).await?;
    door.accept(&mut predict.request, &model.spec.model, (Way::Http, head), head.read)?;
    let answer = model.submit(predict.request, &door.reactor)?.await?;
    let heavy = answer.outputs.iter().map(|output| output.data.len()).sum::<usize>() > LIGHT_OUTPUT_BYTES;
    let response = Response::json(aside::run(heavy, move || encode_predict(&answer, predict.single)).await?);
    Ok(compression::compress(compression::accepted(head.accept_encoding.as_deref()), response).await)
}

fn only_model(door: &Door) -> Result<Name> {
    match door.plane.models().as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::new(Code::NotFound, "no model is ready: POST /v2/repository/index tells why")),
        several => Err(Error::invalid(format!(
            "several models are served, name one of them: /predict/{}",
            several.join(", /predict/")
        ))),
    }
}

fn refuse_decoupled(spec: &Spec) -> Result<()> {
    if spec.decoupled {
        return Err(Error::new(
            Code::Unsupported,
            "HTTP end point doesn't support models with decoupled transaction policy",
        ));
    }
    Ok(())
}

/// The length of the JSON before the tensors, as the client tells it.
fn json_length(head: &Head, body_length: usize) -> Result<Option<usize>> {
    let Some(text) = &head.json_length else { return Ok(None) };
    let text = String::from_utf8_lossy(text);
    let length: i64 = text
        .trim()
        .parse()
        .map_err(|_| Error::invalid(format!("Unable to parse Inference-Header-Content-Length, got: {text}")))?;
    match usize::try_from(length) {
        Ok(length) if length <= body_length => Ok(Some(length)),
        _ => Err(Error::invalid(format!("inference header size should be in range (0, {body_length}), got: {text}"))),
    }
}
