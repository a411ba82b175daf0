//! The flat JSON of `generate`: inputs and parameters by name in, outputs and parameters by name out.
//!
//! Types come from the model, shapes from the number of elements: dimensions that are given divide it, the innermost that is not takes the
//! rest, and all others are one.

use bytes::{BufMut, BytesMut};

use crate::error::{Error, Result};
use crate::frontend::json::reader::{Kind, Reader, check};
use crate::frontend::json::value::{Value, utf8};
use crate::frontend::json::{elements, parameter, writer};
use crate::request::{Parameter, Request, Response};
use crate::spec::{Spec, TensorSpec};
use crate::tensor::{DataType, Shape, Tensor, element_count};

/// The key whose members are taken as if they stood beside it.
const NESTED: &str = "parameters";

/// Decodes a body for a model.
///
/// # Errors
/// `INVALID_ARG` in the words of the protocol; a fault of syntax comes before any other.
pub fn decode_generate(body: &[u8], spec: &Spec, max_bytes: usize) -> Result<Request> {
    let mut decoder = Decoder { spec, max_bytes, body, tensor_bytes: 0, request: Request::default() };
    decoder.decode().map_err(|error| check(body).err().unwrap_or(error))?;
    Ok(decoder.request)
}

struct Decoder<'a> {
    spec: &'a Spec,
    max_bytes: usize,
    body: &'a [u8],
    /// Of all inputs so far.
    tensor_bytes: usize,
    request: Request,
}

impl Decoder<'_> {
    fn decode(&mut self) -> Result<()> {
        let mut reader = Reader::new(self.body);
        if reader.peek()? != Kind::Object {
            return Err(Error::invalid("attempt to get members for non-object"));
        }
        reader.object(|reader, key| {
            let key = utf8(key)?;
            match key.as_str() {
                NESTED => self.nested(reader),
                "id" => {
                    self.request.id = id(reader)?;
                    self.member(reader, key)
                }
                _ => self.member(reader, key),
            }
        })?;
        reader.finish()
    }

    fn nested(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        if self.spec.input(NESTED).is_some() {
            return Err(Error::invalid(format!(
                "Keyword '{NESTED}' for nested schema also given as input tensor name"
            )));
        }
        if reader.peek()? != Kind::Object {
            return Err(Error::invalid(format!(
                "Expected JSON object for keyword: '{NESTED}': attempt to access JSON non-object as object"
            )));
        }
        reader.object(|reader, key| {
            let key = utf8(key)?;
            self.member(reader, key)
                .map_err(|error| Error::new(error.code, format!("Converting keyword: '{NESTED}': {}", error.message)))
        })
    }

    /// Takes a member for an input, where the model has one of that name, and for a parameter otherwise.
    fn member(&mut self, reader: &mut Reader<'_>, key: String) -> Result<()> {
        let Some(input) = self.spec.input(&key) else {
            let value = parameter::read(&key, Value::read(reader)?)?;
            self.request.parameters.push((key, value));
            return Ok(());
        };
        if self.request.inputs.iter().any(|other| other.name == input.name) {
            // The id may stand behind.
            let id = Value::parse(self.body)?.member("id").and_then(|id| id.text().map(str::to_owned));
            return Err(Error::invalid(format!("input '{key}' already exists in request"))
                .with_request_id(&id.unwrap_or_default()));
        }
        let tensor = self.tensor(reader, input)?;
        self.request.inputs.push(tensor);
        Ok(())
    }

    fn tensor(&mut self, reader: &mut Reader<'_>, input: &TensorSpec) -> Result<Tensor> {
        let TensorSpec { name, data_type, .. } = input;
        if matches!(data_type, DataType::Fp16 | DataType::Bf16) {
            return Err(Error::invalid(format!(
                "receiving {} data via JSON is not supported. Please use the binary data format for input {name}",
                data_type.name()
            )));
        }
        // Past the spaces, so that the text begins with the value.
        reader.peek()?;
        let start = reader.clone();
        let count = count(reader)?;
        let mut shape = shape(&self.spec.client_shape(input), count).ok_or_else(|| {
            Error::invalid(format!("The schema can not convert input '{name}' to tensor with proper shape"))
        })?;
        if self.spec.max_batch_size > 0 {
            // No elements make no batch of no rows, but a row that is too short.
            shape[0] = shape[0].max(1);
        }
        self.tensor_bytes = self.tensor_bytes.saturating_add(count.saturating_mul(data_type.size().unwrap_or(4)));
        if self.tensor_bytes > self.max_bytes {
            return Err(Error::invalid(format!(
                "request size of {} bytes with input '{name}' of size {} bytes exceeds the maximum allowed input size of {}. Use \
                 --http-max-input-size to increase the limit.",
                self.tensor_bytes,
                count * data_type.size().unwrap_or(4),
                self.max_bytes
            )));
        }
        let mut data = BytesMut::new();
        let text = start.until(reader);
        let found = if text.starts_with(b"[") {
            elements::read(&mut Reader::new(text), *data_type, count, &mut data)?
        } else {
            // A bare value stands for an array of one.
            elements::read(&mut Reader::new(&[b"[", text, b"]"].concat()), *data_type, 1, &mut data)?
        };
        if found < count {
            return Err(Error::invalid("Failed to parse 'data' field: shape does not match true shape"));
        }
        Ok(Tensor { name: name.clone(), data_type: *data_type, shape, data: data.into() })
    }
}

fn id(reader: &mut Reader<'_>) -> Result<String> {
    match Value::read(&mut reader.clone())? {
        Value::Text(id) => Ok(id),
        _ => Err(Error::invalid("Unable to parse 'id': attempt to access JSON non-string as string")),
    }
}

/// Passes over a value; how many elements it has: those of an array, or one.
fn count(reader: &mut Reader<'_>) -> Result<usize> {
    if reader.peek()? != Kind::Array {
        reader.skip()?;
        return Ok(1);
    }
    let mut count = 0;
    reader.array(|reader| {
        count += 1;
        reader.skip()
    })?;
    Ok(count)
}

/// The shape of so many elements; none where they do not fit.
fn shape(declared: &[i64], count: usize) -> Option<Shape> {
    let mut given = declared.iter().filter(|&&size| size >= 0);
    let given = given.try_fold(1_i64, |product, &size| product.checked_mul(size))?;
    let count = i64::try_from(count).ok()?;
    let rest = count.checked_div(given).unwrap_or(1);
    let innermost = declared.iter().rposition(|&size| size < 0);
    let size = |(place, &size): (usize, &i64)| match size {
        0.. => size,
        _ if Some(place) == innermost => rest,
        _ => 1,
    };
    let shape: Shape = declared.iter().enumerate().map(size).collect();
    (element_count(&shape) == usize::try_from(count).ok()).then_some(shape)
}

/// Encodes an answer as one flat object, its keys in alphabetical order. Where names clash, the protocol's win over parameters, and those
/// over outputs.
///
/// # Errors
/// `INVALID_ARG` for an output that JSON cannot carry.
pub fn encode_generate(response: &Response, spec: &Spec) -> Result<BytesMut> {
    let mut members = vec![("model_name", Member::Text(&response.model))];
    members.push(("model_version", Member::Text(&spec.version_text)));
    if !response.id.is_empty() {
        members.push(("id", Member::Text(&response.id)));
    }
    members.extend(response.parameters.iter().map(|(name, value)| (name.as_str(), Member::Parameter(value))));
    members.extend(response.outputs.iter().map(|output| (&*output.name, Member::Output(output))));
    members.sort_by_key(|(name, _)| *name);
    members.dedup_by_key(|(name, _)| *name);
    let mut out = BytesMut::with_capacity(128);
    out.put_u8(b'{');
    for (index, (name, member)) in members.into_iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        writer::string(&mut out, name);
        out.put_u8(b':');
        match member {
            Member::Text(text) => writer::string(&mut out, text),
            Member::Parameter(value) => parameter::write(&mut out, value),
            Member::Output(output) => write_output(&mut out, output)?,
        }
    }
    out.put_u8(b'}');
    Ok(out)
}

enum Member<'a> {
    Text(&'a str),
    Parameter(&'a Parameter),
    Output(&'a Tensor),
}

fn write_output(out: &mut BytesMut, output: &Tensor) -> Result<()> {
    if element_count(&output.shape) != Some(1) {
        return elements::write(out, output.data_type, output.data.as_slice());
    }
    let mut array = BytesMut::new();
    elements::write(&mut array, output.data_type, output.data.as_slice())?;
    out.put_slice(&array[1..array.len() - 1]);
    Ok(())
}

#[cfg(test)]
mod tests;
