//! Whether the bytes of an input are as many as its shape says, byte strings with their lengths included.

use crate::error::{Error, Result};
use crate::tensor::{Tensor, byte_strings, element_count, format_shape};

/// Checks the bytes of one input. `tag` turns a text into the error of this request.
pub(crate) fn check_size(input: &Tensor, model: &str, tag: impl Fn(String) -> Error) -> Result<()> {
    let name = &input.name;
    let elements = element_count(&input.shape).ok_or_else(|| {
        let shape = format_shape(&input.shape);
        tag(format!("element count for tensor '{name}' exceeds maximum size of {} in shape {shape}", i64::MAX))
    })?;
    let Some(size) = input.data_type.size() else { return check_strings(input, elements, model, tag) };
    let expected = elements
        .checked_mul(size)
        .ok_or_else(|| tag(format!("byte size for tensor '{name}' exceeds maximum size of {}", i64::MAX)))?;
    let found = input.data.len();
    if found == expected {
        return Ok(());
    }
    Err(tag(format!(
        "input byte size mismatch for input '{name}' for model '{model}'. Expected {expected}, got {found}"
    )))
}

/// Whether a tensor that nobody has checked has the bytes its shape says.
pub(crate) fn is_whole(tensor: &Tensor) -> bool {
    let Some(elements) = element_count(&tensor.shape) else { return false };
    let data = tensor.data.as_slice();
    if let Some(size) = tensor.data_type.size() {
        return elements.checked_mul(size) == Some(data.len());
    }
    let (count, used) = byte_strings(data).fold((0, 0), |(count, used), text| (count + 1, used + 4 + text.len()));
    (count, used) == (elements, data.len())
}

fn check_strings(input: &Tensor, elements: usize, model: &str, tag: impl Fn(String) -> Error) -> Result<()> {
    let (name, data) = (&input.name, input.data.as_slice());
    let (count, used) = byte_strings(data).fold((0, 0), |(count, used), element| (count + 1, used + 4 + element.len()));
    let rest = data.len() - used;
    if count > elements || (count == elements && rest > 0) {
        let found = if rest > 0 { count + 1 } else { count };
        return Err(tag(format!(
            "unexpected number of string elements {found} for inference input '{name}' for model '{model}', expecting {elements}"
        )));
    }
    match data[used..].first_chunk::<4>() {
        None if rest == 0 && count == elements => Ok(()),
        None if rest == 0 => Err(tag(format!(
            "expected {elements} string elements for inference input '{name}' for model '{model}', got {count}"
        ))),
        None => Err(tag(format!(
            "incomplete string length indicator for inference input '{name}' for model '{model}', expecting 4 bytes but only {rest} bytes \
             available. Please make sure the string length indicator is in one buffer."
        ))),
        // Clients know this one without the request's id.
        Some(length) => Err(Error::invalid(format!(
            "incomplete string data for inference input '{name}', expecting string of length {} but only {} bytes available",
            u32::from_le_bytes(*length),
            rest - 4
        ))),
    }
}
