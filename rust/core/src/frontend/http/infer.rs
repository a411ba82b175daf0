//! Inference over REST: the protocol's form, and plain JSON.

use bytes::BytesMut;

use crate::error::{Code, Error, Result};
use crate::frontend::Door;
use crate::frontend::http::compression;
use crate::frontend::http::head::Head;
use crate::frontend::http::response::Response;
use crate::frontend::http::router::Target;
use crate::frontend::json::{decode_infer, decode_predict, decode_raw, encode_infer, encode_predict};

/// Answers an inference request.
pub(super) async fn infer(door: &Door, head: &Head, target: &Target<'_>, body: BytesMut) -> Result<Response> {
    let model = door.plane.model(&target.model, target.version)?;
    refuse_decoupled(model.spec.decoupled)?;
    let max_bytes = door.plane.http_max_input_bytes();
    let encoding = compression::requested(head.content_encoding.as_deref())?;
    let mut body = compression::decompress(encoding, body, max_bytes)?;
    let (request, forms) = match json_length(head, body.len())? {
        Some(0) => decode_raw(body, &model.spec)?,
        Some(length) => {
            let json = body.split_to(length);
            decode_infer(&json, body, &model.spec, max_bytes)?
        }
        None => decode_infer(&body, BytesMut::new(), &model.spec, max_bytes)?,
    };
    let answer = model.submit(request, &door.reactor)?.await?;
    let encoded = encode_infer(answer, &forms, &model.spec)?;
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
    Ok(compression::compress(compression::accepted(head.accept_encoding.as_deref()), response))
}

/// Answers plain JSON. Without a name, the server has to have one model only.
pub(super) async fn predict(door: &Door, head: &Head, name: Option<&str>, body: BytesMut) -> Result<Response> {
    let models = door.plane.models();
    let name = match (name, models.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, []) => return Err(Error::new(Code::NotFound, "no model is ready: POST /v2/repository/index tells why")),
        (None, several) => {
            return Err(Error::invalid(format!(
                "several models are served, name one of them: /predict/{}",
                several.join(", /predict/")
            )));
        }
    };
    let model = door.plane.model(name, "")?;
    refuse_decoupled(model.spec.decoupled)?;
    let encoding = compression::requested(head.content_encoding.as_deref())?;
    let body = compression::decompress(encoding, body, door.plane.http_max_input_bytes())?;
    let predict = decode_predict(&body, &model.spec)?;
    drop(body);
    let answer = model.submit(predict.request, &door.reactor)?.await?;
    let response = Response::json(encode_predict(&answer, predict.single)?);
    Ok(compression::compress(compression::accepted(head.accept_encoding.as_deref()), response))
}

fn refuse_decoupled(decoupled: bool) -> Result<()> {
    if decoupled {
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
