//! `reshape`: clients see a tensor in one shape, the model sees the same elements in another.

use crate::error::{Error, Result};
use crate::spec::{Spec, TensorSpec};
use crate::tensor::{Name, Shape, Tensor, element_count, format_shape};

/// What has to change shape on its way to the model and back; for most models nothing.
#[derive(Debug, Default)]
pub(crate) struct Reshapes {
    inputs: Vec<Reshape>,
    outputs: Vec<Reshape>,
    /// Whether the first dimension is the batch, which stays.
    batched: bool,
}

#[derive(Debug)]
struct Reshape {
    name: Name,
    from: Shape,
    to: Shape,
}

impl Reshapes {
    pub(crate) fn new(spec: &Spec) -> Self {
        let reshape = |tensor: &TensorSpec, inward: bool| {
            let (outside, inside) = (tensor.dims.clone(), tensor.reshape.clone()?);
            let (from, to) = if inward { (outside, inside) } else { (inside, outside) };
            Some(Reshape { name: tensor.name.clone(), from, to })
        };
        Self {
            inputs: spec.inputs.iter().filter_map(|tensor| reshape(tensor, true)).collect(),
            outputs: spec.outputs.iter().filter_map(|tensor| reshape(tensor, false)).collect(),
            batched: spec.max_batch_size > 0,
        }
    }

    /// Gives inputs the shapes that the model knows.
    ///
    /// # Errors
    /// `INTERNAL` when the two shapes have different numbers of elements.
    pub(crate) fn enter(&self, inputs: &mut [Tensor]) -> Result<()> {
        apply(&self.inputs, self.batched, inputs)
    }

    /// Gives outputs the shapes that clients know. A model may return those itself.
    ///
    /// # Errors
    /// `INTERNAL` for an output that has neither shape.
    pub(crate) fn leave(&self, outputs: &mut [Tensor]) -> Result<()> {
        apply(&self.outputs, self.batched, outputs)
    }
}

fn apply(reshapes: &[Reshape], batched: bool, tensors: &mut [Tensor]) -> Result<()> {
    for Reshape { name, from, to } in reshapes {
        let Some(tensor) = tensors.iter_mut().find(|tensor| tensor.name == *name) else { continue };
        let (batch, dims) = tensor.shape.split_at(usize::from(batched).min(tensor.shape.len()));
        let Some(dims) = rearranged(dims, from, to) else {
            if fits(dims, to) {
                continue;
            }
            return Err(Error::internal(format!(
                "tensor '{name}' has shape {}, which cannot be reshaped from {} to {}",
                format_shape(&tensor.shape),
                format_shape(from),
                format_shape(to)
            )));
        };
        tensor.shape = [batch, &dims].concat();
    }
    Ok(())
}

/// Sizes that fit `from`, as `to` has them: what is open there takes the sizes of what is open in `from`, one after the other.
fn rearranged(sizes: &[i64], from: &[i64], to: &[i64]) -> Option<Shape> {
    let mut open = sizes.iter().zip(from).filter(|(_, declared)| **declared == -1).map(|(&size, _)| size);
    let shape: Shape =
        to.iter().map(|&size| if size == -1 { open.next() } else { Some(size) }).collect::<Option<_>>()?;
    (fits(sizes, from) && element_count(&shape) == element_count(sizes)).then_some(shape)
}

fn fits(sizes: &[i64], declared: &[i64]) -> bool {
    sizes.len() == declared.len()
        && sizes.iter().zip(declared).all(|(&size, &declared)| declared == -1 || declared == size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_and_open_dimensions_find_their_place() {
        for (sizes, from, to, expected) in [
            (&[4][..], &[4][..], &[2, 2][..], Some(vec![2, 2])),
            (&[1], &[1], &[], Some(vec![])),
            (&[], &[], &[1], Some(vec![1])),
            (&[3, 7, 2], &[-1, 7, -1], &[7, -1, 1, -1], Some(vec![7, 3, 1, 2])),
            (&[0, 4], &[-1, 4], &[-1, 2, 2], Some(vec![0, 2, 2])),
            (&[5], &[4], &[2, 2], None),
            (&[2, 2], &[4], &[2, 2], None),
            (&[4], &[4], &[-1], None),
            (&[4], &[4], &[3], None),
        ] {
            assert_eq!(rearranged(sizes, from, to), expected, "{sizes:?} {from:?} {to:?}");
        }
    }

    #[test]
    fn the_batch_stays_in_front() {
        let reshape = Reshape { name: Name::from("x"), from: vec![4], to: vec![2, 2] };
        let data = bytes::Bytes::from_static(&[0; 12]).into();
        let tensor =
            Tensor { name: Name::from("x"), data_type: crate::tensor::DataType::Uint8, shape: vec![3, 4], data };
        let mut tensors = [tensor];

        apply(&[reshape], true, &mut tensors).expect("it fits");

        assert_eq!(tensors[0].shape, [3, 2, 2]);
    }

    #[test]
    fn what_has_its_shape_already_keeps_it() {
        let reshape = Reshape { name: Name::from("x"), from: vec![], to: vec![1] };
        let data = bytes::Bytes::from_static(&[0; 3]).into();
        let tensor =
            Tensor { name: Name::from("x"), data_type: crate::tensor::DataType::Uint8, shape: vec![3, 1], data };
        let mut tensors = [tensor];

        apply(&[reshape], true, &mut tensors).expect("it fits");

        assert_eq!(tensors[0].shape, [3, 1]);
    }

    #[test]
    fn another_shape_than_was_declared_is_told() {
        let reshape = Reshape { name: Name::from("y"), from: vec![2, 2], to: vec![4] };
        let data = bytes::Bytes::from_static(&[0; 6]).into();
        let tensor =
            Tensor { name: Name::from("y"), data_type: crate::tensor::DataType::Uint8, shape: vec![1, 6], data };

        let error = apply(&[reshape], true, &mut [tensor]).expect_err("a fault");

        assert_eq!(error.message, "tensor 'y' has shape [1,6], which cannot be reshaped from [2,2] to [4]");
    }
}
