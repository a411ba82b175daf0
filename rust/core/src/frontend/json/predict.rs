//! Plain JSON for people who know no protocol: `{"INPUT0": [[1, 2]]}` in, `{"OUTPUT0": [[3]]}` out.
//!
//! Types come from the model, shapes from the nesting of the arrays. A model with a batch dimension also takes a single sample without one,
//! and then answers without one.

use bytes::{BufMut, BytesMut};

use crate::error::{Error, Result};
use crate::frontend::json::reader::{Kind, Reader, check};
use crate::frontend::json::value::utf8;
use crate::frontend::json::{elements, writer};
use crate::request::{Request, Response};
use crate::spec::{Spec, TensorSpec};
use crate::tensor::{DataType, Shape, Tensor, byte_strings};

/// A request, and whether its answer is that of a single sample.
#[derive(Debug)]
pub struct Predict {
    /// The request.
    pub request: Request,
    /// Whether the batch dimension was left out.
    pub single: bool,
}

/// Decodes a body for a model.
///
/// # Errors
/// `INVALID_ARG` that tells what was expected under which name.
pub fn decode_predict(body: &[u8], spec: &Spec) -> Result<Predict> {
    decode(body, spec).map_err(|error| check(body).err().unwrap_or(error))
}

fn decode(body: &[u8], spec: &Spec) -> Result<Predict> {
    let mut reader = Reader::new(body);
    if reader.peek()? != Kind::Object {
        return Err(Error::invalid(format!(
            "expected an object with the inputs of model '{}' by name: {}",
            spec.model,
            names(&spec.inputs)
        )));
    }
    let mut request = Request::default();
    let mut single = spec.max_batch_size > 0;
    reader.object(|reader, key| {
        let key = utf8(key)?;
        let Some(input) = spec.input(&key) else {
            return Err(Error::invalid(format!(
                "unexpected inference input '{key}' for model '{}', which has {}",
                spec.model,
                names(&spec.inputs)
            )));
        };
        let (tensor, whole_batch) = read_tensor(reader, input, spec)?;
        single &= !whole_batch;
        request.inputs.push(tensor);
        Ok(())
    })?;
    reader.finish()?;
    Ok(Predict { request, single })
}

/// Reads one input; true when it has a batch dimension of its own.
fn read_tensor(reader: &mut Reader<'_>, input: &TensorSpec, spec: &Spec) -> Result<(Tensor, bool)> {
    let mut shape = measure(reader.clone(), &input.name)?;
    let mut data = BytesMut::new();
    if matches!(input.data_type, DataType::Fp16 | DataType::Bf16) {
        return Err(Error::invalid(format!(
            "receiving {} data via JSON is not supported. Please use the binary data format for input {}",
            input.data_type.name(),
            input.name
        )));
    }
    if shape.is_empty() {
        // A bare value stands for an array of one.
        let start = reader.clone();
        reader.skip()?;
        let text = [b"[", start.until(reader), b"]"].concat();
        elements::read(&mut Reader::new(&text), input.data_type, 1, &mut data)?;
        shape = vec![1; input.dims.len().min(1)];
    } else {
        let found = elements::read(reader, input.data_type, usize::MAX, &mut data)?;
        if Some(found) != crate::tensor::element_count(&shape) {
            return Err(Error::invalid(format!("input '{}': the arrays differ in length", input.name)));
        }
    }
    let whole_batch = spec.max_batch_size == 0 || shape.len() > input.dims.len();
    if !whole_batch {
        shape.insert(0, 1);
    }
    Ok((Tensor { name: input.name.clone(), data_type: input.data_type, shape, data: data.into() }, whole_batch))
}

/// The shape told by the first element at every depth; whether all others agree shows in the number of elements.
fn measure(mut reader: Reader<'_>, name: &str) -> Result<Shape> {
    let mut shape = Vec::new();
    if reader.peek()? != Kind::Array {
        return Ok(shape);
    }
    let (mut length, mut inner) = (0, None);
    reader.array(|reader| {
        length += 1;
        if reader.peek()? == Kind::Array {
            let this = measure(reader.clone(), name)?;
            if *inner.get_or_insert_with(|| this.clone()) != this {
                return Err(Error::invalid(format!("input '{name}': the arrays differ in length")));
            }
        }
        reader.skip()
    })?;
    shape.push(length);
    shape.extend(inner.unwrap_or_default());
    Ok(shape)
}

fn names(tensors: &[TensorSpec]) -> String {
    tensors.iter().map(|tensor| format!("'{}'", tensor.name)).collect::<Vec<_>>().join(", ")
}

/// Encodes a response as one object of nested arrays.
///
/// # Errors
/// `INVALID_ARG` for an output that JSON cannot carry.
pub fn encode_predict(response: &Response, single: bool) -> Result<BytesMut> {
    let mut out = BytesMut::new();
    out.put_u8(b'{');
    for (index, output) in response.outputs.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        writer::string(&mut out, &output.name);
        out.put_u8(b':');
        let shape = if single && output.shape.first() == Some(&1) { &output.shape[1..] } else { &output.shape[..] };
        nested(&mut out, shape, output.data_type, &mut output.data.as_slice())?;
    }
    out.put_u8(b'}');
    Ok(out)
}

fn nested(out: &mut BytesMut, shape: &[i64], data_type: DataType, data: &mut &[u8]) -> Result<()> {
    match shape {
        [] => {
            let mut one = BytesMut::new();
            row(&mut one, 1, data_type, data)?;
            out.put_slice(&one[1..one.len() - 1]);
            Ok(())
        }
        [length] => row(out, *length as usize, data_type, data),
        [length, inner @ ..] => {
            out.put_u8(b'[');
            for index in 0..*length {
                if index > 0 {
                    out.put_u8(b',');
                }
                nested(out, inner, data_type, data)?;
            }
            out.put_u8(b']');
            Ok(())
        }
    }
}

fn row(out: &mut BytesMut, length: usize, data_type: DataType, data: &mut &[u8]) -> Result<()> {
    let size = match data_type.size() {
        Some(size) => length * size,
        None => byte_strings(data).take(length).map(|element| element.len() + 4).sum(),
    };
    let (row, rest) = data.split_at(size.min(data.len()));
    *data = rest;
    elements::write(out, data_type, row)
}
