//! An inference request: its JSON, and the binary tail behind it.

use std::time::Duration;

use bytes::BytesMut;

use crate::error::{Error, Result};
use crate::frontend::json::reader::{Kind, Number, Reader, check};
use crate::frontend::json::value::{Value, utf8};
use crate::frontend::json::{elements, parameter};
use crate::frontend::outputs::{Form, OutputForms, Wish};
use crate::request::{Correlation, FLAG_SEQUENCE_END, FLAG_SEQUENCE_START, Request};
use crate::shared_memory::{Regions, Slot};
use crate::spec::{Spec, TensorSpec};
use crate::tensor::{Data, DataType, Name, Shape, Tensor, element_count, format_shape};

/// Decodes a request for a model: `header` is its JSON, `tail` what follows it. Tensors in the tail are not copied.
///
/// # Errors
/// `INVALID_ARG` in the words of the protocol; a fault of syntax comes before any other.
pub fn decode_infer(
    header: &[u8],
    tail: BytesMut,
    spec: &Spec,
    regions: &Regions,
    max_bytes: usize,
) -> Result<(Request, OutputForms)> {
    let (request, forms) = (Request::default(), OutputForms::default());
    let decoder = Decoder { spec, regions, max_bytes, request, forms, drafts: Vec::new() };
    decoder.decode(header, tail).map_err(|error| check(header).err().unwrap_or(error))
}

struct Decoder<'a> {
    spec: &'a Spec,
    regions: &'a Regions,
    max_bytes: usize,
    request: Request,
    forms: OutputForms,
    drafts: Vec<Draft<'a>>,
}

/// An input as far as it has been read.
#[derive(Default)]
struct Draft<'a> {
    name: Option<Name>,
    data_type: Option<String>,
    shape: Option<Shape>,
    /// Where its elements start in the text.
    data: Option<Reader<'a>>,
    /// They, or what is wrong with them, which is told once it is sure that they count.
    decoded: Option<Result<BytesMut>>,
    binary_size: Option<usize>,
    place: Place,
}

/// Where in shared memory a tensor is.
#[derive(Default)]
struct Place {
    region: Option<String>,
    offset: u64,
    byte_size: u64,
}

impl<'a> Decoder<'a> {
    fn decode(mut self, header: &'a [u8], mut tail: BytesMut) -> Result<(Request, OutputForms)> {
        let mut reader = Reader::new(header);
        if reader.peek()? != Kind::Object {
            check(header)?;
            return Err(missing("inputs"));
        }
        let mut inputs_seen = false;
        reader.object(|reader, key| match key {
            b"id" => {
                self.request.id = text(reader, "id")?;
                Ok(())
            }
            b"parameters" => self.parameters(reader),
            b"inputs" => {
                inputs_seen = true;
                self.inputs(reader)
            }
            b"outputs" => self.outputs(reader),
            _ => reader.skip(),
        })?;
        reader.finish()?;
        if !inputs_seen {
            return Err(missing("inputs"));
        }
        for draft in std::mem::take(&mut self.drafts) {
            let tensor = self.tensor(draft, &mut tail)?;
            self.request.inputs.push(tensor);
        }
        if !tail.is_empty() {
            return Err(Error::invalid(format!("unexpected additional input data for model '{}'", self.spec.model)));
        }
        Ok((self.request, self.forms))
    }

    fn inputs(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        expect(reader, Kind::Array, "inputs", "non-array as array")?;
        self.drafts.reserve(self.spec.inputs.len());
        reader.array(|reader| {
            expect(reader, Kind::Object, "inputs", "non-object as object")?;
            let mut draft = Draft::default();
            reader.object(|reader, key| match key {
                b"name" => {
                    let name = text(reader, "name")?;
                    let known = self.spec.input(&name).map(|input| input.name.clone());
                    draft.name = Some(known.unwrap_or_else(|| Name::from(name)));
                    Ok(())
                }
                b"datatype" => {
                    draft.data_type = Some(text(reader, "datatype")?);
                    Ok(())
                }
                b"shape" => {
                    draft.shape = Some(shape(reader)?);
                    Ok(())
                }
                b"parameters" => draft.parameters(reader),
                b"data" => self.data(&mut draft, reader),
                _ => reader.skip(),
            })?;
            self.drafts.push(draft);
            Ok(())
        })
    }

    /// Decodes the elements at once where type and shape are known, as clients write them; otherwise remembers the place.
    fn data(&self, draft: &mut Draft<'a>, reader: &mut Reader<'a>) -> Result<()> {
        draft.data = Some(reader.clone());
        let (Some(name), Some(data_type), Some(shape)) = (&draft.name, &draft.data_type, &draft.shape) else {
            return reader.skip();
        };
        if draft.binary_size.is_some() || draft.place.region.is_some() {
            return reader.skip();
        }
        let start = reader.clone();
        let decoded = self.elements(reader, name, data_type, shape);
        if decoded.is_err() {
            *reader = start;
            reader.skip()?;
        }
        draft.decoded = Some(decoded);
        Ok(())
    }

    fn elements(&self, reader: &mut Reader<'_>, name: &str, data_type: &str, shape: &[i64]) -> Result<BytesMut> {
        let data_type = DataType::from_name(data_type)
            .ok_or_else(|| Error::invalid(format!("invalid datatype for input {name}")))?;
        if matches!(data_type, DataType::Fp16 | DataType::Bf16) {
            return Err(Error::invalid(format!(
                "receiving {} data via JSON is not supported. Please use the binary data format for input {name}",
                data_type.name()
            )));
        }
        let count = count(name, shape)?;
        // A byte string is at least its length and its two quotes.
        let size = data_type.size().unwrap_or(4);
        let bytes = count.checked_mul(size).ok_or_else(|| {
            Error::invalid(format!("byte size overflow for input '{name}': shape {}", format_shape(shape)))
        })?;
        if bytes > self.max_bytes {
            return Err(Error::invalid(format!(
                "JSON input '{name}' has a byte_size ({bytes} bytes) that exceeds the maximum allowed value of {} bytes. Use \
                 --http-max-input-size to increase the limit.",
                self.max_bytes
            )));
        }
        expect(reader, Kind::Array, "data", "non-array as array")?;
        // A shape is a promise: no more is set aside than the text can hold, two bytes an element at the least.
        let mut out = BytesMut::with_capacity(bytes.min(reader.remaining().saturating_mul(size) / 2 + size));
        let found = elements::read(reader, data_type, count, &mut out)?;
        if found < count {
            return Err(Error::invalid("Failed to parse 'data' field: shape does not match true shape"));
        }
        Ok(out)
    }

    fn tensor(&self, draft: Draft<'_>, tail: &mut BytesMut) -> Result<Tensor> {
        let name = draft.name.ok_or_else(|| missing("name"))?;
        let type_name = draft.data_type.ok_or_else(|| missing("datatype"))?;
        let shape = draft.shape.ok_or_else(|| missing("shape"))?;
        let set: Vec<&str> = [
            (draft.data.is_some(), "'data'"),
            (draft.binary_size.is_some(), "'binary_data_size'"),
            (draft.place.region.is_some(), "'shared_memory_region'"),
        ]
        .into_iter()
        .filter_map(|(set, what)| set.then_some(what))
        .collect();
        if set.len() != 1 {
            let found =
                if set.is_empty() { "But no field is set".to_owned() } else { format!("But set {}", set.join(" ")) };
            return Err(Error::invalid(format!(
                "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in \
                 'parameters'. {found}"
            )));
        }
        let slot = draft.place.slot(self.regions)?;
        let data: Data = match (slot, draft.binary_size, draft.decoded, draft.data) {
            (Some(slot), ..) => self.shared(&name, &slot)?,
            (None, Some(size), _, _) => {
                if tail.len() < size {
                    return Err(Error::invalid(format!(
                        "unexpected size for input '{name}', expecting {} additional bytes for model '{}'",
                        size - tail.len(),
                        self.spec.model
                    )));
                }
                tail.split_to(size).into()
            }
            (None, None, Some(decoded), _) => decoded?.into(),
            (None, None, None, place) => {
                let mut reader = place.unwrap_or_else(|| Reader::new(b""));
                self.elements(&mut reader, &name, &type_name, &shape)?.into()
            }
        };
        let Some(data_type) = DataType::from_name(&type_name) else {
            let expected = self.spec.input(&name).map_or("a known type", |input| input.data_type.name());
            return Err(Error::invalid(format!(
                "inference input '{name}' data-type is '<invalid>', but model '{}' expects '{expected}'",
                self.spec.model
            ))
            .with_request_id(&self.request.id));
        };
        Ok(Tensor { name, data_type, shape, data })
    }

    /// The bytes of an input in shared memory; of one that the model will not be given, none.
    fn shared(&self, name: &str, slot: &Slot) -> Result<Data> {
        let is_wanted = self.spec.input(name).is_some() && self.request.inputs.iter().all(|other| &*other.name != name);
        if is_wanted { slot.read() } else { Ok(BytesMut::new().into()) }
    }

    fn outputs(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        expect(reader, Kind::Array, "outputs", "non-array as array")?;
        reader.array(|reader| {
            expect(reader, Kind::Object, "outputs", "non-object as object")?;
            let (mut name, mut wish) = (None, Wish::default());
            reader.object(|reader, key| match key {
                b"name" => {
                    name = Some(text(reader, "name")?);
                    Ok(())
                }
                b"parameters" => {
                    wish = output_wish(&Value::read(reader)?, self.regions)?;
                    Ok(())
                }
                _ => reader.skip(),
            })?;
            let name = name.ok_or_else(|| missing("name"))?;
            let known = self.spec.output(&name).map(|output| output.name.clone());
            let name = known.unwrap_or_else(|| Name::from(name));
            self.request.outputs.push(name.clone());
            self.forms.named.push((name, wish));
            Ok(())
        })
    }

    fn parameters(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        if reader.peek()? != Kind::Object {
            return Err(Error::invalid("failed to get request params.: attempt to get members for non-object"));
        }
        reader.object(|reader, key| {
            let key = utf8(key)?;
            let value = Value::read(reader)?;
            self.parameter(key, value)
        })
    }

    fn parameter(&mut self, key: String, value: Value) -> Result<()> {
        let request = &mut self.request;
        match (key.as_str(), value) {
            ("sequence_id", Value::Number(Number::Unsigned(number))) => {
                request.correlation = if number == 0 { Correlation::None } else { Correlation::Number(number) };
            }
            ("sequence_id", Value::Text(text)) => {
                request.correlation = if text.is_empty() { Correlation::None } else { Correlation::Text(text) };
            }
            ("sequence_id", _) => return Err(kind("sequence_id", "non-string as string")),
            ("sequence_start", value) => request.flags |= flag("sequence_start", &value, FLAG_SEQUENCE_START)?,
            ("sequence_end", value) => request.flags |= flag("sequence_end", &value, FLAG_SEQUENCE_END)?,
            ("priority", value) => request.priority = unsigned("priority", &value)?,
            ("timeout", value) => request.timeout = Some(Duration::from_micros(unsigned("timeout", &value)?)),
            ("binary_data_output", Value::Bool(binary)) => {
                self.forms.default = if binary { Form::Binary } else { Form::Json };
            }
            ("binary_data_output", _) => return Err(kind("binary_data_output", "non-boolean as boolean")),
            (key, _) if key.starts_with("triton_") => {
                return Err(Error::invalid(
                    "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
                ));
            }
            (_, value) => {
                let value = parameter::read(&key, value)?;
                request.parameters.push((key, value));
            }
        }
        Ok(())
    }
}

impl Draft<'_> {
    fn parameters(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        expect(reader, Kind::Object, "parameters", "non-object as object")?;
        reader.object(|reader, key| match key {
            b"binary_data_size" => {
                let size = unsigned("binary_data_size", &Value::read(reader)?)?;
                self.binary_size = Some(usize::try_from(size).unwrap_or(usize::MAX));
                Ok(())
            }
            b"shared_memory_region" | b"shared_memory_offset" | b"shared_memory_byte_size" => {
                let key = utf8(key)?;
                self.place.set(&key, &Value::read(reader)?)
            }
            _ => reader.skip(),
        })
    }
}

impl Place {
    fn set(&mut self, key: &str, value: &Value) -> Result<()> {
        match (key, value) {
            ("shared_memory_region", Value::Text(name)) => self.region = Some(name.clone()),
            ("shared_memory_region", _) => return Err(kind(key, "non-string as string")),
            ("shared_memory_offset", value) => self.offset = unsigned(key, value)?,
            _ => self.byte_size = unsigned(key, value)?,
        }
        Ok(())
    }

    fn slot(&self, regions: &Regions) -> Result<Option<Slot>> {
        self.region.as_deref().map(|name| regions.slot(name, self.offset, self.byte_size)).transpose()
    }
}

/// Decodes a body that is nothing but the bytes of the only input.
///
/// # Errors
/// `INVALID_ARG` when the model has several inputs or the shape cannot be told from the size.
pub fn decode_raw(body: BytesMut, spec: &Spec) -> Result<(Request, OutputForms)> {
    let fault = |message: String| Error::invalid(message).with_request_id("");
    let [input] = spec.inputs.as_slice() else {
        return Err(fault(format!(
            "Raw request must only have 1 input (found 1) to be deduced but got {} inputs in '{}' model configuration",
            spec.inputs.len(),
            spec.model
        )));
    };
    let (shape, data) = raw_shape(input, body).map_err(fault)?;
    let batch = (spec.max_batch_size > 0).then_some(1);
    let shape = batch.into_iter().chain(shape).collect();
    let tensor = Tensor { name: input.name.clone(), data_type: input.data_type, shape, data: data.into() };
    let request = Request { inputs: vec![tensor], ..Request::default() };
    Ok((request, OutputForms { named: Vec::new(), default: Form::Binary }))
}

fn raw_shape(input: &TensorSpec, body: BytesMut) -> std::result::Result<(Shape, BytesMut), String> {
    let name = &input.name;
    let Some(size) = input.data_type.size() else {
        if input.dims != [1] {
            return Err(format!("For BYTE datatype raw input '{name}', the model must have input shape [1]"));
        }
        let mut data = BytesMut::with_capacity(body.len() + 4);
        data.extend_from_slice(&(body.len() as u32).to_le_bytes());
        data.extend_from_slice(&body);
        return Ok((vec![1], data));
    };
    let open = input.dims.iter().filter(|&&dim| dim == -1).count();
    if open > 1 {
        return Err(format!(
            "The shape of the raw input '{name}' can not be deduced because there are more than one variable-sized dimension"
        ));
    }
    let fixed: i64 = input.dims.iter().filter(|&&dim| dim != -1).product();
    let elements = (body.len() / size) as i64;
    let rest = if fixed > 0 { elements / fixed } else { 0 };
    Ok((input.dims.iter().map(|&dim| if dim == -1 { rest } else { dim }).collect(), body))
}

fn output_wish(parameters: &Value, regions: &Regions) -> Result<Wish> {
    let Value::Object(members) = parameters else { return Err(kind("parameters", "non-object as object")) };
    let (mut place, mut form, mut classes) = (Place::default(), Form::Json, None);
    for (key, value) in members {
        match (key.as_str(), value) {
            ("shared_memory_region" | "shared_memory_offset" | "shared_memory_byte_size", value) => {
                place.set(key, value)?;
            }
            ("binary_data", Value::Bool(binary)) => form = if *binary { Form::Binary } else { Form::Json },
            ("binary_data", _) => return Err(kind("binary_data", "non-boolean as boolean")),
            ("classification", Value::Number(Number::Unsigned(count))) => {
                classes = Some(usize::try_from(*count).unwrap_or(usize::MAX));
            }
            ("classification", _) => {
                return Err(Error::invalid(
                    "Unable to set 'classification': attempt to access JSON non-unsigned-integer as unsigned-integer",
                ));
            }
            _ => {}
        }
    }
    for (other, name) in [(classes.is_some(), "classification"), (form == Form::Binary, "binary_data")] {
        if place.region.is_some() && other {
            return Err(Error::invalid(format!("Output can't set both 'shared_memory_region' and '{name}'")));
        }
    }
    Ok(Wish { form, classes: classes.filter(|&count| count > 0), slot: place.slot(regions)? })
}

fn shape(reader: &mut Reader<'_>) -> Result<Shape> {
    const FAULT: &str = "non-unsigned-integer as unsigned-integer";
    expect(reader, Kind::Array, "shape", "non-array as array")?;
    let mut shape = Vec::with_capacity(4);
    reader.array(|reader| {
        expect(reader, Kind::Number, "shape", FAULT)?;
        match reader.number()? {
            Number::Unsigned(size) => {
                // A size beyond 63 bits is negative, as the protocol's integers are; the checks of the shape tell so.
                shape.push(size as i64);
                Ok(())
            }
            _ => Err(kind("shape", FAULT)),
        }
    })?;
    Ok(shape)
}

fn count(name: &str, shape: &[i64]) -> Result<usize> {
    if shape.iter().any(|&size| size < 0) {
        return Err(Error::invalid(format!(
            "invalid shape for input '{name}': shape {} contains one or more invalid dimensions",
            format_shape(shape)
        )));
    }
    element_count(shape).ok_or_else(|| {
        Error::invalid(format!(
            "invalid shape for input '{name}': shape {} causes total element count to exceed maximum size of {}",
            format_shape(shape),
            i64::MAX
        ))
    })
}

fn text(reader: &mut Reader<'_>, field: &str) -> Result<String> {
    expect(reader, Kind::String, field, "non-string as string")?;
    utf8(&reader.string()?)
}

fn flag(field: &str, value: &Value, flag: u32) -> Result<u32> {
    match value {
        Value::Bool(true) => Ok(flag),
        Value::Bool(false) => Ok(0),
        _ => Err(kind(field, "non-boolean as boolean")),
    }
}

fn unsigned(field: &str, value: &Value) -> Result<u64> {
    match value {
        Value::Number(Number::Unsigned(number)) => Ok(*number),
        _ => Err(kind(field, "non-unsigned-integer as unsigned-integer")),
    }
}

fn expect(reader: &mut Reader<'_>, wanted: Kind, field: &str, fault: &str) -> Result<()> {
    if reader.peek()? == wanted { Ok(()) } else { Err(kind(field, fault)) }
}

fn kind(field: &str, fault: &str) -> Error {
    Error::invalid(format!("Unable to parse '{field}': attempt to access JSON {fault}"))
}

fn missing(field: &str) -> Error {
    Error::invalid(format!("Unable to parse '{field}': attempt to access non-existing object member '{field}'"))
}
