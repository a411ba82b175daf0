//! Joining the tensors of several requests into one, and splitting a result back into theirs.
//!
//! A batch of one is handed over as it came. Otherwise the rows are copied once, into memory of exactly the right size; on the way back
//! every request gets a slice of the result, without a copy.

use bytes::{Bytes, BytesMut};

use crate::error::{Error, Result};
use crate::instance::Job;
use crate::tensor::{DataType, Tensor, element_count};

/// Takes the inputs out of the jobs and stacks them along the first dimension. All jobs have the same inputs of the same shape but for that
/// dimension: the scheduler saw to it.
///
/// # Errors
/// `INTERNAL` when that is not so, which would be a bug in windlass.
pub fn join(jobs: &mut [Job]) -> Result<Vec<Tensor>> {
    let Some((first, others)) = jobs.split_first_mut() else { return Ok(Vec::new()) };
    let mut inputs = std::mem::take(&mut first.request.inputs);
    if others.is_empty() {
        return Ok(inputs);
    }
    for (index, input) in inputs.iter_mut().enumerate() {
        let parts =
            others.iter().map(|job| same_place(&job.request.inputs, index, input)).collect::<Result<Vec<&Tensor>>>()?;
        let size = input.data.len() + parts.iter().map(|part| part.data.len()).sum::<usize>();
        let mut joined = BytesMut::with_capacity(size);
        joined.extend_from_slice(input.data.as_slice());
        for part in &parts {
            joined.extend_from_slice(part.data.as_slice());
        }
        let rows: i64 = parts.iter().filter_map(|part| part.shape.first()).sum();
        if let Some(size) = input.shape.first_mut() {
            *size += rows;
        }
        input.data = joined.into();
    }
    for job in others {
        job.request.inputs.clear();
    }
    Ok(inputs)
}

/// The tensor of another job that belongs under `input`: usually at the same place, since clients of one model order alike.
fn same_place<'a>(tensors: &'a [Tensor], index: usize, input: &Tensor) -> Result<&'a Tensor> {
    let found = match tensors.get(index) {
        Some(tensor) if tensor.name == input.name => Some(tensor),
        _ => tensors.iter().find(|tensor| tensor.name == input.name),
    };
    found
        .filter(|tensor| tensor.shape.get(1..) == input.shape.get(1..))
        .ok_or_else(|| Error::internal(format!("input `{}` cannot be joined: this is a bug in windlass", input.name)))
}

/// Gives every job its rows of every output, in the order of the jobs. Without a batch dimension there is one job, and all is its own.
///
/// # Errors
/// `INTERNAL` when an output has another number of rows than went in: the model's mistake.
pub fn split(outputs: Vec<Tensor>, jobs: &[Job], batch_dimension: bool) -> Result<Vec<Vec<Tensor>>> {
    if !batch_dimension {
        return Ok(vec![outputs]);
    }
    if let [job] = jobs {
        for output in &outputs {
            check_rows(output, job.rows)?;
        }
        return Ok(vec![outputs]);
    }
    let rows: usize = jobs.iter().map(|job| job.rows).sum();
    let mut answers: Vec<Vec<Tensor>> = jobs.iter().map(|_| Vec::with_capacity(outputs.len())).collect();
    for output in outputs {
        check_rows(&output, rows)?;
        let Tensor { name, data_type, shape, data } = output;
        let mut rest = data.into_shared();
        for (job, answer) in jobs.iter().zip(&mut answers) {
            let mut shape = shape.clone();
            shape[0] = job.rows as i64;
            let part = split_rows(&mut rest, data_type, &shape)?;
            answer.push(Tensor { name: name.clone(), data_type, shape, data: part.into() });
        }
    }
    Ok(answers)
}

fn check_rows(output: &Tensor, rows: usize) -> Result<()> {
    match output.shape.first() {
        Some(&found) if usize::try_from(found) == Ok(rows) => Ok(()),
        found => {
            let found = found.map_or_else(|| "no dimension".to_owned(), |rows| format!("{rows} rows"));
            Err(Error::internal(format!(
                "output `{}` has {found} for a batch of {rows}: the model must return one row per row it is given",
                output.name
            )))
        }
    }
}

/// Cuts the bytes of a tensor of that shape off the front.
fn split_rows(rest: &mut Bytes, data_type: DataType, shape: &[i64]) -> Result<Bytes> {
    let elements = element_count(shape).unwrap_or(0);
    let size = match data_type.size() {
        Some(size) => elements * size,
        None => byte_string_size(rest, elements)
            .ok_or_else(|| Error::internal("a BYTES output ends before its last element: this is a bug in windlass"))?,
    };
    if size > rest.len() {
        return Err(Error::internal("an output is shorter than its shape: this is a bug in windlass"));
    }
    Ok(rest.split_to(size))
}

/// Bytes of the first `elements` byte strings, lengths included.
fn byte_string_size(data: &[u8], elements: usize) -> Option<usize> {
    (0..elements).try_fold(0_usize, |offset, _| {
        let length = data.get(offset..)?.first_chunk::<4>()?;
        Some(offset + 4 + u32::from_le_bytes(*length) as usize)
    })
}
