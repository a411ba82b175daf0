//! What REST answers besides inference: health, metadata, configuration, statistics, the repository.

use bytes::{BufMut, BytesMut};

use crate::catalog::IndexEntry;
use crate::control::ControlParameter;
use crate::error::{Code, Error, Result};
use crate::frontend::aside;
use crate::frontend::http::response::Response;
use crate::frontend::http::router::Target;
use crate::frontend::json::value::Value;
use crate::frontend::json::writer;
use crate::model::Model;
use crate::plane::Plane;
use crate::spec::{Spec, TensorSpec};
use crate::statistics::{Total, Totals};

/// A body up to this size is read on the spot.
const LIGHT_JSON_BYTES: usize = 256 * 1024;

/// A probe: the status is the answer.
pub(super) fn probe(ok: bool) -> Response {
    Response::empty(if ok { 200 } else { 400 })
}

/// A probe for people and load balancers.
pub(super) fn plain_probe(name: &str, ok: bool) -> Response {
    let mut response = Response::json(BytesMut::from(format!("{{\"{name}\":{ok}}}").as_str()));
    response.status = if ok { 200 } else { 503 };
    response
}

pub(super) fn model_ready(plane: &Plane, target: &Target<'_>) -> Result<Response> {
    if plane.model_ready(&target.model, target.version)? {
        return Ok(Response::empty(200));
    }
    Err(Error::invalid("Model version not ready"))
}

pub(super) fn server_metadata(plane: &Plane) -> Response {
    let mut out = BytesMut::new();
    out.put_slice(b"{\"name\":");
    writer::string(&mut out, plane.name());
    out.put_slice(b",\"version\":");
    writer::string(&mut out, plane.version());
    out.put_slice(b",\"extensions\":");
    writer::list(&mut out, plane.extensions(), writer::string);
    out.put_u8(b'}');
    Response::json(out)
}

pub(super) fn model_metadata(plane: &Plane, target: &Target<'_>) -> Result<Response> {
    let model = plane.model(&target.model, target.version)?;
    let versions = match target.version {
        "" => plane.ready_versions(&target.model),
        _ => vec![model.spec.version],
    };
    let mut out = BytesMut::new();
    out.put_slice(b"{\"name\":");
    writer::string(&mut out, &model.spec.model);
    out.put_slice(b",\"versions\":");
    writer::list(&mut out, versions, |out, version| writer::display(out, format_args!("\"{version}\"")));
    out.put_slice(b",\"platform\":");
    writer::string(&mut out, &model.spec.platform);
    for (key, tensors) in [("inputs", &model.spec.inputs), ("outputs", &model.spec.outputs)] {
        writer::display(&mut out, format_args!(",\"{key}\":"));
        writer::list(&mut out, tensors, |out, tensor| tensor_metadata(out, &model.spec, tensor));
    }
    out.put_u8(b'}');
    Ok(Response::json(out))
}

fn tensor_metadata(out: &mut BytesMut, spec: &Spec, tensor: &TensorSpec) {
    out.put_slice(b"{\"name\":");
    writer::string(out, &tensor.name);
    writer::display(out, format_args!(",\"datatype\":\"{}\",\"shape\":", tensor.data_type.name()));
    writer::list(out, spec.client_shape(tensor), writer::integer);
    out.put_u8(b'}');
}

pub(super) fn model_config(plane: &Plane, target: &Target<'_>) -> Result<Response> {
    let model = plane.model(&target.model, target.version)?;
    Ok(Response::json(BytesMut::from(&model.spec.config_json[..])))
}

pub(super) fn statistics(plane: &Plane, model: &str, version: &str) -> Result<Response> {
    if !model.is_empty() && !version.is_empty() {
        plane.statistics(model, "")?;
    }
    let rows = plane.statistics(model, version)?;
    let mut out = BytesMut::new();
    out.put_slice(b"{\"model_stats\":");
    writer::list(&mut out, rows, |out, (model, totals)| model_statistics(out, &model, &totals));
    out.put_u8(b'}');
    Ok(Response::json(out))
}

fn model_statistics(out: &mut BytesMut, model: &Model, totals: &Totals) {
    out.put_slice(b"{\"name\":");
    writer::string(out, &model.spec.model);
    writer::display(
        out,
        format_args!(
            ",\"version\":\"{}\",\"last_inference\":{},\"inference_count\":{},\"execution_count\":{},\"inference_stats\":{{",
            model.spec.version, totals.last_inference_ms, totals.inference_count, totals.execution_count
        ),
    );
    let requests = [
        ("success", totals.success),
        ("fail", totals.fail),
        ("queue", totals.queue),
        ("compute_input", totals.compute_input),
        ("compute_infer", totals.compute_infer),
        ("compute_output", totals.compute_output),
        ("cache_hit", totals.cache_hit),
        ("cache_miss", totals.cache_miss),
    ];
    members(out, &requests);
    out.put_slice(b"},\"response_stats\":{");
    for (place, response) in totals.responses.iter().enumerate() {
        writer::display(out, format_args!("{}\"{place}\":{{", if place > 0 { "," } else { "" }));
        let responses = [
            ("compute_infer", response.infer),
            ("compute_output", response.output),
            ("success", response.success),
            ("fail", response.fail),
            ("empty_response", response.empty),
            ("cancel", response.cancel),
        ];
        members(out, &responses);
        out.put_u8(b'}');
    }
    out.put_slice(b"},\"batch_stats\":");
    writer::list(out, &totals.batches, |out, (size, batch)| {
        writer::display(out, format_args!("{{\"batch_size\":{size},"));
        members(
            out,
            &[("compute_input", batch.input), ("compute_infer", batch.infer), ("compute_output", batch.output)],
        );
        out.put_u8(b'}');
    });
    out.put_slice(b",\"memory_usage\":[]}");
}

fn members(out: &mut BytesMut, members: &[(&str, Total)]) {
    for (index, (name, total)) in members.iter().enumerate() {
        let (comma, Total { count, ns }) = (if index > 0 { "," } else { "" }, total);
        writer::display(out, format_args!("{comma}\"{name}\":{{\"count\":{count},\"ns\":{ns}}}"));
    }
}

pub(super) fn index(plane: &Plane, body: &[u8]) -> Result<Response> {
    let only_ready = match body.trim_ascii() {
        b"" => false,
        text => match Value::parse(text)?.member("ready") {
            None => false,
            Some(Value::Bool(ready)) => *ready,
            Some(_) => return Err(Error::invalid("Invalid value for 'ready': expected a boolean")),
        },
    };
    let mut out = BytesMut::new();
    writer::list(&mut out, plane.index(only_ready), |out, entry| index_entry(out, &entry));
    Ok(Response::json(out))
}

fn index_entry(out: &mut BytesMut, entry: &IndexEntry) {
    out.put_slice(b"{\"name\":");
    writer::string(out, &entry.model);
    if let Some(version) = entry.version {
        writer::display(out, format_args!(",\"version\":\"{version}\""));
    }
    if let Some(state) = entry.state {
        writer::display(out, format_args!(",\"state\":\"{}\"", state.name()));
    }
    if !entry.reason.is_empty() {
        out.put_slice(b",\"reason\":");
        writer::string(out, &entry.reason);
    }
    out.put_u8(b'}');
}

pub(super) fn named_repository() -> Error {
    Error::new(Code::Unsupported, "'repository_name' specification is not supported")
}

pub(super) async fn load(plane: &Plane, model: &str, body: BytesMut) -> Result<Response> {
    // Files travel in the text of a load request.
    let parameters = aside::run(body.len() > LIGHT_JSON_BYTES, move || load_parameters(&body)).await?;
    plane.load(model.to_owned(), parameters).await?;
    Ok(Response::empty(200))
}

fn load_parameters(body: &[u8]) -> Result<Vec<(String, ControlParameter)>> {
    let parameter = |(name, value): (String, Value)| {
        let Value::Text(text) = value else {
            return Err(Error::invalid("attempt to access JSON non-string as string"));
        };
        let value = if name.starts_with("file:") {
            let bytes = base64(&text);
            ControlParameter::Bytes(
                bytes.ok_or_else(|| Error::invalid(format!("load parameter '{name}' is not valid base64")))?,
            )
        } else if name == "config" {
            ControlParameter::Text(text)
        } else {
            return Err(Error::invalid("unexpected error on creating Triton parameter"));
        };
        Ok((name, value))
    };
    parameters_of(body)?.into_iter().map(parameter).collect()
}

pub(super) async fn unload(plane: &Plane, model: &str, body: &[u8]) -> Result<Response> {
    let dependents = match parameters_of(body)?.iter().find(|(name, _)| name == "unload_dependents") {
        None => false,
        Some((_, Value::Bool(value))) => *value,
        Some(_) => {
            return Err(Error::invalid(
                "Unable to parse 'unload_dependents': attempt to access JSON non-boolean as boolean",
            ));
        }
    };
    plane.unload(model.to_owned(), dependents).await?;
    Ok(Response::empty(200))
}

fn parameters_of(body: &[u8]) -> Result<Vec<(String, Value)>> {
    if body.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let Value::Object(members) = Value::parse(body)? else { return Ok(Vec::new()) };
    match members.into_iter().find(|(name, _)| name == "parameters") {
        None => Ok(Vec::new()),
        Some((_, Value::Object(parameters))) => Ok(parameters),
        Some(_) => Err(Error::invalid("attempt to get members for non-object")),
    }
}

/// Decodes standard base64, with or without padding.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut bits = 0_u32;
        for &letter in group {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_with_and_without_padding() {
        for (text, expected) in
            [("", &b""[..]), ("aGk=", b"hi"), ("aGk", b"hi"), ("aGkh", b"hi!"), ("/+8=", &[0xff, 0xef])]
        {
            assert_eq!(base64(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["a b", "a", "aGkha", "aG=kh"] {
            assert_eq!(base64(text), None, "{text}");
        }
    }
}
