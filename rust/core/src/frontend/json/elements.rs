//! The elements of one tensor: nested or flat JSON arrays straight into its bytes, and its bytes as a flat JSON array.

use bytes::{BufMut, BytesMut};

use crate::error::{Error, Result};
use crate::frontend::json::reader::{Kind, Number, Reader};
use crate::frontend::json::writer;
use crate::tensor::{DataType, byte_strings};

/// Reads arrays of any nesting into `out`: at most `count` elements.
///
/// # Errors
/// `INVALID_ARG` for a value of the wrong kind, an integer out of range, or too many elements.
pub(super) fn read(reader: &mut Reader<'_>, data_type: DataType, count: usize, out: &mut BytesMut) -> Result<usize> {
    let mut left = count;
    match data_type {
        DataType::Bool => fill(reader, out, &mut left, |r, out| {
            expect(r, Kind::Bool, "non-boolean as boolean")?;
            out.put_u8(u8::from(r.bool()?));
            Ok(())
        }),
        DataType::Uint8 => fill(reader, out, &mut left, |r, out| unsigned::<u8>(r).map(|v| out.put_u8(v))),
        DataType::Uint16 => fill(reader, out, &mut left, |r, out| unsigned::<u16>(r).map(|v| out.put_u16_le(v))),
        DataType::Uint32 => fill(reader, out, &mut left, |r, out| unsigned::<u32>(r).map(|v| out.put_u32_le(v))),
        DataType::Uint64 => fill(reader, out, &mut left, |r, out| unsigned::<u64>(r).map(|v| out.put_u64_le(v))),
        DataType::Int8 => fill(reader, out, &mut left, |r, out| signed::<i8>(r).map(|v| out.put_i8(v))),
        DataType::Int16 => fill(reader, out, &mut left, |r, out| signed::<i16>(r).map(|v| out.put_i16_le(v))),
        DataType::Int32 => fill(reader, out, &mut left, |r, out| signed::<i32>(r).map(|v| out.put_i32_le(v))),
        DataType::Int64 => fill(reader, out, &mut left, |r, out| signed::<i64>(r).map(|v| out.put_i64_le(v))),
        DataType::Fp32 => fill(reader, out, &mut left, |r, out| double(r).map(|v| out.put_f32_le(v as f32))),
        DataType::Fp64 => fill(reader, out, &mut left, |r, out| double(r).map(|v| out.put_f64_le(v))),
        DataType::Bytes => fill(reader, out, &mut left, |r, out| {
            if r.peek()? != Kind::String {
                return Err(Error::invalid(
                    "Unable to parse JSON bytes array: attempt to access JSON non-string as string",
                ));
            }
            let element = r.string()?;
            out.put_u32_le(element.len() as u32);
            out.put_slice(&element);
            Ok(())
        }),
        DataType::Fp16 | DataType::Bf16 => Err(Error::invalid(format!(
            "receiving {} data via JSON is not supported. Please use the binary data format",
            data_type.name()
        ))),
    }?;
    Ok(count - left)
}

#[inline]
fn fill<F>(reader: &mut Reader<'_>, out: &mut BytesMut, left: &mut usize, element: F) -> Result<()>
where
    F: Fn(&mut Reader<'_>, &mut BytesMut) -> Result<()> + Copy,
{
    reader.array(|reader| {
        if reader.at_array() {
            return fill(reader, out, left, element);
        }
        if *left == 0 {
            return Err(Error::invalid("Unable to parse 'data': Shape does not match true shape of 'data' field"));
        }
        *left -= 1;
        element(reader, out)
    })
}

fn expect(reader: &mut Reader<'_>, kind: Kind, fault: &str) -> Result<()> {
    if reader.peek()? == kind { Ok(()) } else { Err(wrong_kind(fault)) }
}

/// The text for a value of another kind than was expected.
pub(super) fn wrong_kind(fault: &str) -> Error {
    Error::invalid(format!("Unable to parse 'data': attempt to access JSON {fault}"))
}

#[inline]
fn double(reader: &mut Reader<'_>) -> Result<f64> {
    expect(reader, Kind::Number, "non-number as double")?;
    reader.number().map(Number::as_f64)
}

fn signed<T: TryFrom<i64>>(reader: &mut Reader<'_>) -> Result<T> {
    const FAULT: &str = "non-signed-integer as signed-integer";
    expect(reader, Kind::Number, FAULT)?;
    let value = match reader.number()? {
        Number::Unsigned(value) => i64::try_from(value).map_err(|_| out_of_range(value))?,
        Number::Signed(value) => value,
        Number::Double(_) => return Err(wrong_kind(FAULT)),
    };
    T::try_from(value).map_err(|_| out_of_range(value))
}

fn unsigned<T: TryFrom<u64>>(reader: &mut Reader<'_>) -> Result<T> {
    const FAULT: &str = "non-unsigned-integer as unsigned-integer";
    expect(reader, Kind::Number, FAULT)?;
    match reader.number()? {
        Number::Unsigned(value) => T::try_from(value).map_err(|_| out_of_range(value)),
        _ => Err(wrong_kind(FAULT)),
    }
}

fn out_of_range(value: impl std::fmt::Display) -> Error {
    Error::invalid(format!("Unable to parse 'data': {value} is out of the range of the tensor's data type"))
}

/// Writes the elements as one flat array, from the bytes of a tensor.
///
/// # Errors
/// `INVALID_ARG` for the types that JSON does not carry.
pub(super) fn write(out: &mut BytesMut, data_type: DataType, data: &[u8]) -> Result<()> {
    match data_type {
        DataType::Bool => writer::list(out, data, |out, &value| {
            out.put_slice(if value == 0 { b"false" } else { b"true" });
        }),
        DataType::Uint8 => writer::list(out, data, |out, &value| writer::integer(out, value)),
        DataType::Int8 => writer::list(out, data, |out, &value| writer::integer(out, value as i8)),
        DataType::Uint16 => numbers(out, data, |out, b| writer::integer(out, u16::from_le_bytes(b))),
        DataType::Int16 => numbers(out, data, |out, b| writer::integer(out, i16::from_le_bytes(b))),
        DataType::Uint32 => numbers(out, data, |out, b| writer::integer(out, u32::from_le_bytes(b))),
        DataType::Int32 => numbers(out, data, |out, b| writer::integer(out, i32::from_le_bytes(b))),
        DataType::Uint64 => numbers(out, data, |out, b| writer::integer(out, u64::from_le_bytes(b))),
        DataType::Int64 => numbers(out, data, |out, b| writer::integer(out, i64::from_le_bytes(b))),
        DataType::Fp32 => numbers(out, data, |out, b| writer::double(out, f64::from(f32::from_le_bytes(b)))),
        DataType::Fp64 => numbers(out, data, |out, b| writer::double(out, f64::from_le_bytes(b))),
        // Bytes that are no text cannot be JSON: what is not UTF-8 is shown as U+FFFD, so that the answer stays readable. Clients that
        // need the bytes ask for binary outputs.
        DataType::Bytes => writer::list(out, byte_strings(data), |out, element| {
            writer::string(out, &String::from_utf8_lossy(element));
        }),
        DataType::Fp16 | DataType::Bf16 => {
            return Err(Error::invalid(format!(
                "sending {} data via JSON is not supported. Please use the binary data format for output",
                data_type.name()
            )));
        }
    }
    Ok(())
}

#[inline]
fn numbers<const N: usize>(out: &mut BytesMut, data: &[u8], mut write: impl FnMut(&mut BytesMut, [u8; N])) {
    let (elements, _) = data.as_chunks::<N>();
    writer::list(out, elements, |out, bytes| write(out, *bytes));
}
