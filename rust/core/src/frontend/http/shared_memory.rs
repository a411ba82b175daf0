//! Shared memory over REST: regions are registered, shown and forgotten.

use bytes::{BufMut, BytesMut};

use crate::error::{Code, Error, Result};
use crate::frontend::http::operations::base64;
use crate::frontend::http::response::Response;
use crate::frontend::http::router::{Memory, Request};
use crate::frontend::json::reader::Number;
use crate::frontend::json::value::Value;
use crate::frontend::json::writer;
use crate::shared_memory::{Region, Regions};

/// Bytes of a handle to memory of a GPU.
const HANDLE_BYTES: usize = 64;

/// Answers a request about regions of one kind; an empty name stands for all of them.
pub(super) fn answer(regions: &Regions, memory: Memory, request: Request, name: &str, body: &[u8]) -> Result<Response> {
    match (memory, request) {
        (Memory::System, Request::Status) => {
            let mut out = BytesMut::new();
            writer::list(&mut out, regions.status(name)?, |out, region| status(out, &region));
            Ok(Response::json(out))
        }
        (Memory::System, Request::Register) => register(regions, name, body),
        (Memory::System, Request::Unregister) => regions.unregister(name).map(|()| Response::empty(200)),
        (Memory::Cuda, Request::Status) => regions.cuda_status(name).map(|()| Response::json(BytesMut::from("[]"))),
        (Memory::Cuda, Request::Register) => register_cuda(regions, name, body),
        (Memory::Cuda, Request::Unregister) => regions.unregister_cuda().map(|()| Response::empty(200)),
    }
}

fn status(out: &mut BytesMut, region: &Region) {
    out.put_slice(b"{\"name\":");
    writer::string(out, &region.name);
    out.put_slice(b",\"key\":");
    writer::string(out, &region.key);
    writer::display(out, format_args!(",\"offset\":{},\"byte_size\":{}}}", region.offset, region.byte_size));
}

fn register(regions: &Regions, name: &str, body: &[u8]) -> Result<Response> {
    regions.check_offered()?;
    let body = Value::parse(body)?;
    let Some(key) = body.member("key") else { return Err(missing("key")) };
    let Value::Text(key) = key else { return Err(Error::invalid("attempt to access JSON non-string as string")) };
    let offset = body.member("offset").map(number).transpose()?.unwrap_or(0);
    let byte_size = number(body.member("byte_size").ok_or_else(|| missing("byte_size"))?)?;
    regions.register(name, key, offset, byte_size)?;
    Ok(Response::empty(200))
}

fn register_cuda(regions: &Regions, name: &str, body: &[u8]) -> Result<Response> {
    regions.check_offered()?;
    if name.is_empty() {
        return Err(Error::invalid("'region name' is necessary to register cuda shared memory region"));
    }
    let body = Value::parse(body)?;
    let handle = body.member("raw_handle").ok_or_else(|| missing("raw_handle"))?;
    let text = handle.member("b64").ok_or_else(|| absent("b64"))?;
    for field in ["byte_size", "device_id"] {
        number(body.member(field).ok_or_else(|| absent(field))?)?;
    }
    let Value::Text(text) = text else { return Err(Error::invalid("attempt to access JSON non-string as string")) };
    if base64(text).is_none_or(|handle| handle.len() != HANDLE_BYTES) {
        return Err(Error::invalid("'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t"));
    }
    Err(regions.refuse_cuda(name))
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
