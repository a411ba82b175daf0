//! Joining the tensors of several requests into one, and splitting a result back into theirs.
//!
//! A batch of one is handed over as it came. Otherwise the rows are copied once, into memory of exactly the right size; on the way back
//! every request gets a slice of the result, without a copy.

use bytes::{Bytes, BytesMut};

use crate::error::{Error, Result};
use crate::host::Task;
use crate::spec::Spec;
use crate::tensor::{DataType, Name, Shape, Tensor, element_count, format_shape};

/// The inputs of a batch, and where the requests meet in it.
#[derive(Debug)]
pub struct Joined {
    /// What the model is given.
    pub inputs: Vec<Tensor>,
    /// What it takes to give every request its part of the outputs.
    pub seams: Seams,
}

/// Where the requests of a batch meet.
#[derive(Debug)]
pub struct Seams {
    /// The rows of each; nothing without a batch dimension.
    rows: Option<Vec<usize>>,
    /// The shapes that flat outputs have for each request.
    scattered: Vec<(Name, Vec<Shape>)>,
}

/// Takes the inputs out of the requests and stacks them along the first dimension. All have the same inputs of the same shape but for that
/// dimension: the scheduler saw to it. Ragged inputs lie flat behind one another.
///
/// # Errors
/// `INTERNAL` when that is not so, which would be a bug in windlass.
pub fn join<T: Task>(tasks: &mut [T], spec: &Spec) -> Result<Joined> {
    let batched = spec.max_batch_size > 0;
    let rows = batched.then(|| tasks.iter().map(Task::rows).collect());
    let seams = Seams { rows, scattered: spec.ragged.shapes(tasks) };
    let helpers = spec.ragged.helpers(tasks);
    let Some((first, others)) = tasks.split_first_mut() else { return Ok(Joined { inputs: helpers, seams }) };
    let mut inputs = std::mem::take(&mut first.request_mut().inputs);
    for (index, input) in inputs.iter_mut().enumerate() {
        let flat = batched && spec.input(&input.name).is_some_and(|declared| declared.ragged);
        if others.is_empty() && !flat {
            continue;
        }
        let parts = others
            .iter()
            .map(|task| same_place(&task.request().inputs, index, input, flat))
            .collect::<Result<Vec<&Tensor>>>()?;
        stack(input, &parts, flat);
    }
    for task in others {
        task.request_mut().inputs.clear();
    }
    inputs.extend(helpers);
    Ok(Joined { inputs, seams })
}

/// Puts the parts behind what is there.
fn stack(input: &mut Tensor, parts: &[&Tensor], flat: bool) {
    if flat {
        let all = parts.iter().map(|part| &part.shape).chain([&input.shape]);
        input.shape = vec![all.map(|shape| element_count(shape).unwrap_or(0) as i64).sum()];
    } else if let Some(rows) = input.shape.first_mut() {
        *rows += parts.iter().filter_map(|part| part.shape.first()).sum::<i64>();
    }
    if parts.is_empty() {
        return;
    }
    let size = input.data.len() + parts.iter().map(|part| part.data.len()).sum::<usize>();
    let mut joined = BytesMut::with_capacity(size);
    joined.extend_from_slice(input.data.as_slice());
    for part in parts {
        joined.extend_from_slice(part.data.as_slice());
    }
    input.data = joined.into();
}

/// The tensor of another request that belongs under `input`: usually at the same place, since clients of one model order alike.
fn same_place<'a>(tensors: &'a [Tensor], index: usize, input: &Tensor, flat: bool) -> Result<&'a Tensor> {
    let found = match tensors.get(index) {
        Some(tensor) if tensor.name == input.name => Some(tensor),
        _ => tensors.iter().find(|tensor| tensor.name == input.name),
    };
    found
        .filter(|tensor| flat || tensor.shape.get(1..) == input.shape.get(1..))
        .ok_or_else(|| Error::internal(format!("input `{}` cannot be joined: this is a bug in windlass", input.name)))
}

impl Seams {
    /// Gives every request its rows of every output, in order. Without a batch dimension there is one request, and all is its own.
    ///
    /// # Errors
    /// `INTERNAL` when an output has another number of rows or elements than went in: the model's mistake.
    pub fn split(&self, outputs: Vec<Tensor>) -> Result<Vec<Vec<Tensor>>> {
        let Some(rows) = &self.rows else { return Ok(vec![outputs]) };
        if rows.len() == 1 && self.scattered.is_empty() {
            for output in &outputs {
                check_rows(output, rows[0])?;
            }
            return Ok(vec![outputs]);
        }
        let mut answers: Vec<Vec<Tensor>> = rows.iter().map(|_| Vec::with_capacity(outputs.len())).collect();
        for output in outputs {
            let shapes = self.shapes(&output, rows)?;
            let Tensor { name, data_type, data, .. } = output;
            let mut rest = data.into_shared();
            for (shape, answer) in shapes.into_iter().zip(&mut answers) {
                let part = split_off(&mut rest, data_type, &shape)?;
                answer.push(Tensor { name: name.clone(), data_type, shape, data: part.into() });
            }
        }
        Ok(answers)
    }

    /// The shape of an output for each request.
    fn shapes(&self, output: &Tensor, rows: &[usize]) -> Result<Vec<Shape>> {
        let Some((_, shapes)) = self.scattered.iter().find(|(name, _)| *name == output.name) else {
            check_rows(output, rows.iter().sum())?;
            let of = |&rows: &usize| [&[rows as i64], &output.shape[1..]].concat();
            return Ok(rows.iter().map(of).collect());
        };
        let wanted: usize = shapes.iter().filter_map(|shape| element_count(shape)).sum();
        if element_count(&output.shape) != Some(wanted) {
            return Err(Error::internal(format!(
                "output `{}` has shape {}, and its requests have {wanted} elements: the model must return as many as `batch_output` scatters",
                output.name,
                format_shape(&output.shape)
            )));
        }
        Ok(shapes.clone())
    }
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
fn split_off(rest: &mut Bytes, data_type: DataType, shape: &[i64]) -> Result<Bytes> {
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
