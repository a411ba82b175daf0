//! Shared memory over REST: regions are registered, shown and forgotten.

use bytes::{BufMut, BytesMut};

use crate::error::{Code, Error, Result};
use crate::frontend::http::operations::base64;
use crate::frontend::http::response::Response;
use crate::frontend::http::router::Request;
use crate::frontend::json::reader::Number;
use crate::frontend::json::value::Value;
use crate::frontend::json::writer;
use crate::gpu::HANDLE_BYTES;
use crate::shared_memory::{Kind, Memory, Region, Regions, Segment};

/// Answers a request about regions of one kind; an empty name stands for all of them.
pub(super) fn answer(regions: &Regions, kind: Kind, request: Request, name: &str, body: &[u8]) -> Result<Response> {
    match (request, kind) {
        (Request::Status, _) => {
            let mut out = BytesMut::new();
            writer::list(&mut out, regions.status(kind, name)?, |out, region| status(out, &region));
            return Ok(Response::json(out));
        }
        (Request::Register, Kind::System) => register(regions, name, body)?,
        (Request::Register, Kind::Cuda) => register_cuda(regions, name, body)?,
        (Request::Unregister, _) => regions.unregister(kind, name)?,
    }
    Ok(Response::empty(200))
}

fn status(out: &mut BytesMut, region: &Region) {
    out.put_slice(b"{\"name\":");
    writer::string(out, &region.name);
    match &region.memory {
        Memory::System(Segment { key, offset, .. }) => {
            out.put_slice(b",\"key\":");
            writer::string(out, key);
            writer::display(out, format_args!(",\"offset\":{offset}"));
        }
        Memory::Cuda(device, _) => writer::display(out, format_args!(",\"device_id\":{device}")),
    }
    writer::display(out, format_args!(",\"byte_size\":{}}}", region.byte_size));
}

fn register(regions: &Regions, name: &str, body: &[u8]) -> Result<()> {
    regions.check_offered()?;
    let body = Value::parse(body)?;
    let Some(key) = body.member("key") else { return Err(missing("key")) };
    let Value::Text(key) = key else { return Err(Error::invalid("attempt to access JSON non-string as string")) };
    let offset = body.member("offset").map(number).transpose()?.unwrap_or(0);
    let byte_size = number(body.member("byte_size").ok_or_else(|| missing("byte_size"))?)?;
    regions.register(name, key, offset, byte_size)
}

fn register_cuda(regions: &Regions, name: &str, body: &[u8]) -> Result<()> {
    regions.check_offered()?;
    if name.is_empty() {
        return Err(Error::invalid("'region name' is necessary to register cuda shared memory region"));
    }
    let body = Value::parse(body)?;
    let handle = body.member("raw_handle").ok_or_else(|| missing("raw_handle"))?;
    let text = handle.member("b64").ok_or_else(|| absent("b64"))?;
    let field = |name| number(body.member(name).ok_or_else(|| absent(name))?);
    let (byte_size, device) = (field("byte_size")?, field("device_id")?);
    let Value::Text(text) = text else { return Err(Error::invalid("attempt to access JSON non-string as string")) };
    let handle = base64(text).filter(|handle| handle.len() == HANDLE_BYTES);
    let valid = || Error::invalid("'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t");
    regions.register_cuda(name, &handle.ok_or_else(valid)?, i64::try_from(device).unwrap_or(-1), byte_size)
}

fn number(value: &Value) -> Result<u64> {
    match value {
        Value::Number(Number::Unsigned(number)) => Ok(*number),
        _ => Err(Error::invalid("attempt to access JSON non-unsigned-integer as unsigned-integer")),
    }
}

fn missing(field: &str) -> Error {
    Error::invalid(format!("Shared memory register request has no '{field}' field"))
}

fn absent(field: &str) -> Error {
    Error::new(Code::InvalidArgument, format!("attempt to access non-existing object member '{field}'"))
}
