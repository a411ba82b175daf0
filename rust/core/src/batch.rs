//! Joining the tensors of several requests into one, and splitting a result back into theirs.
//!
//! A batch of one is handed over as it came. Otherwise the rows are copied once, into memory of exactly the right size; on the way back
//! every request gets a slice of the result, without a copy.

use bytes::{Bytes, BytesMut};

use crate::error::{Error, Result};
use crate::host::Task;
use crate::tensor::{DataType, Tensor, element_count};

/// Takes the inputs out of the requests and stacks them along the first dimension. All have the same inputs of the same shape but for that
/// dimension: the scheduler saw to it.
///
/// # Errors
/// `INTERNAL` when that is not so, which would be a bug in windlass.
pub fn join<T: Task>(tasks: &mut [T]) -> Result<Vec<Tensor>> {
    let Some((first, others)) = tasks.split_first_mut() else { return Ok(Vec::new()) };
    let mut inputs = std::mem::take(&mut first.request_mut().inputs);
    if others.is_empty() {
        return Ok(inputs);
    }
    for (index, input) in inputs.iter_mut().enumerate() {
        let parts = others
            .iter()
            .map(|task| same_place(&task.request().inputs, index, input))
            .collect::<Result<Vec<&Tensor>>>()?;
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
    for task in others {
        task.request_mut().inputs.clear();
    }
    Ok(inputs)
}

/// The tensor of another request that belongs under `input`: usually at the same place, since clients of one model order alike.
fn same_place<'a>(tensors: &'a [Tensor], index: usize, input: &Tensor) -> Result<&'a Tensor> {
    let found = match tensors.get(index) {
        Some(tensor) if tensor.name == input.name => Some(tensor),
        _ => tensors.iter().find(|tensor| tensor.name == input.name),
    };
    found
        .filter(|tensor| tensor.shape.get(1..) == input.shape.get(1..))
        .ok_or_else(|| Error::internal(format!("input `{}` cannot be joined: this is a bug in windlass", input.name)))
}

/// Gives every request its rows of every output, in order. Without a batch dimension there is one request, and all is its own.
///
/// # Errors
/// `INTERNAL` when an output has another number of rows than went in: the model's mistake.
pub fn split<T: Task>(outputs: Vec<Tensor>, tasks: &[T], batch_dimension: bool) -> Result<Vec<Vec<Tensor>>> {
    if !batch_dimension {
        return Ok(vec![outputs]);
    }
    if let [task] = tasks {
        for output in &outputs {
            check_rows(output, task.rows())?;
        }
        return Ok(vec![outputs]);
    }
    let rows: usize = tasks.iter().map(Task::rows).sum();
    let mut answers: Vec<Vec<Tensor>> = tasks.iter().map(|_| Vec::with_capacity(outputs.len())).collect();
    for output in outputs {
        check_rows(&output, rows)?;
        let Tensor { name, data_type, shape, data } = output;
        let mut rest = data.into_shared();
        for (task, answer) in tasks.iter().zip(&mut answers) {
            let mut shape = shape.clone();
            shape[0] = task.rows() as i64;
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
