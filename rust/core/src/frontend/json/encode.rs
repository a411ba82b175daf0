//! An inference response: its JSON, and the binary outputs behind it.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::Result;
use crate::frontend::json::{elements, parameter, writer};
use crate::frontend::outputs::{Form, OutputForms};
use crate::request::{Parameter, Response};
use crate::spec::Spec;

/// A response, ready to be written.
#[derive(Debug)]
pub struct Encoded {
    /// Its JSON.
    pub header: BytesMut,
    /// Its binary outputs, in their order.
    pub tail: Vec<Bytes>,
    /// The size of the JSON, where binary outputs follow.
    pub json_length: Option<usize>,
}

/// Encodes a response.
///
/// # Errors
/// `INVALID_ARG` for an output that JSON cannot carry and that was not asked for in binary; else as `OutputForms::fulfil`.
pub fn encode_infer(mut response: Response, forms: &OutputForms, spec: &Spec) -> Result<Encoded> {
    forms.fulfil(&mut response, spec)?;
    let expected: usize = response.outputs.iter().map(|output| output.data.len() * 5 + 128).sum();
    let mut out = BytesMut::with_capacity(expected.min(1 << 20) + 128);
    let mut tail = Vec::new();
    let mut fault = None;
    out.put_u8(b'{');
    if !response.id.is_empty() {
        out.put_slice(b"\"id\":");
        writer::string(&mut out, &response.id);
        out.put_u8(b',');
    }
    out.put_slice(b"\"model_name\":");
    writer::string(&mut out, &response.model);
    out.put_slice(b",\"model_version\":\"");
    out.put_slice(spec.version_text.as_bytes());
    out.put_slice(b"\",");
    if !response.parameters.is_empty() {
        parameters(&mut out, &response.parameters);
    }
    out.put_slice(b"\"outputs\":");
    writer::list(&mut out, response.outputs, |out, output| {
        out.put_slice(b"{\"name\":");
        writer::string(out, &output.name);
        out.put_slice(b",\"datatype\":\"");
        out.put_slice(output.data_type.name().as_bytes());
        out.put_slice(b"\",\"shape\":");
        writer::list(out, &output.shape, |out, &size| writer::integer(out, size));
        match forms.of(&output.name) {
            _ if forms.is_elsewhere(&output.name) => {}
            Form::Binary => {
                out.put_slice(b",\"parameters\":{\"binary_data_size\":");
                writer::integer(out, output.data.len());
                out.put_u8(b'}');
                tail.push(output.data.into_shared());
            }
            Form::Json => {
                out.put_slice(b",\"data\":");
                fault = elements::write(out, output.data_type, output.data.as_slice()).err().or(fault.take());
            }
        }
        out.put_u8(b'}');
    });
    out.put_u8(b'}');
    if let Some(fault) = fault {
        return Err(fault);
    }
    tail.retain(|part| !part.is_empty());
    let json_length = (!tail.is_empty()).then_some(out.len());
    Ok(Encoded { header: out, tail, json_length })
}

fn parameters(out: &mut BytesMut, parameters: &[(String, Parameter)]) {
    out.put_slice(b"\"parameters\":{");
    for (index, (name, value)) in parameters.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        writer::string(out, name);
        out.put_u8(b':');
        parameter::write(out, value);
    }
    out.put_slice(b"},");
}
