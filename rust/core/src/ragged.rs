//! Ragged batches: requests of different shapes share a batch. Their elements lie one behind the other in a tensor of one dimension, helper
//! tensors tell the model where each request's begin, and outputs that are just as flat are given back in the shapes of an input.

use bytes::{BufMut, BytesMut};

use crate::error::{Error, Result};
use crate::host::Task;
use crate::proto::inference::batch_input::Kind;
use crate::proto::inference::{BatchInput, ModelConfig};
use crate::spec::TensorSpec;
use crate::tensor::{DataType, Name, Shape, Tensor, element_count};

/// What a model says of its ragged batches.
#[derive(Clone, Debug, Default)]
pub struct Ragged {
    helpers: Vec<Helper>,
    scattered: Vec<Scattered>,
}

/// A tensor that is made for a batch.
#[derive(Clone, Debug)]
struct Helper {
    kind: Kind,
    targets: Vec<Name>,
    data_type: DataType,
    source: Name,
}

/// A flat output, and the input whose shapes it is given back in.
#[derive(Clone, Debug)]
struct Scattered {
    target: Name,
    source: Name,
    /// What it declares; open dimensions take the sizes of the source.
    dims: Shape,
}

impl Ragged {
    /// Reads `batch_input` and `batch_output`.
    ///
    /// # Errors
    /// `INVALID_ARG` for what names nothing, which the Python side should have found before.
    pub(crate) fn read(config: &ModelConfig, outputs: &[TensorSpec]) -> Result<Self> {
        let helpers = config.batch_input.iter().map(Helper::read).collect::<Result<_>>()?;
        let mut scattered = Vec::new();
        for output in &config.batch_output {
            for (target, source) in output.target_name.iter().zip(output.source_input.iter().cycle()) {
                let declared = outputs
                    .iter()
                    .find(|declared| *declared.name == **target)
                    .ok_or_else(|| Error::invalid(format!("unknown target output name '{target}'")))?;
                scattered.push(Scattered {
                    target: declared.name.clone(),
                    source: Name::from(source.as_str()),
                    dims: declared.dims.clone(),
                });
            }
        }
        Ok(Self { helpers, scattered })
    }

    /// The helper tensors of a batch, made from the inputs as they came.
    pub(crate) fn helpers<T: Task>(&self, tasks: &[T]) -> Vec<Tensor> {
        let mut tensors = Vec::new();
        for helper in &self.helpers {
            let sources = tasks.iter().map(|task| find(task, &helper.source)).collect::<Option<Vec<&Tensor>>>();
            // An input that was left out leaves its helpers out.
            let Some(sources) = sources else { continue };
            let (shape, values) = helper.measure(&sources);
            tensors.extend(helper.targets.iter().map(|target| helper.tensor(target, shape.clone(), &values)));
        }
        tensors
    }

    /// The shapes in which flat outputs are given back, one for each request.
    pub(crate) fn shapes<T: Task>(&self, tasks: &[T]) -> Vec<(Name, Vec<Shape>)> {
        let shapes = |scattered: &Scattered| {
            let shape = |task: &T| find(task, &scattered.source).map(|source| scattered.shape(&source.shape));
            Some((scattered.target.clone(), tasks.iter().map(shape).collect::<Option<_>>()?))
        };
        self.scattered.iter().filter_map(shapes).collect()
    }
}

fn find<'a, T: Task>(task: &'a T, name: &str) -> Option<&'a Tensor> {
    task.request().inputs.iter().find(|input| *input.name == *name)
}

impl Helper {
    fn read(input: &BatchInput) -> Result<Self> {
        let [source] = input.source_input.as_slice() else {
            return Err(Error::invalid(format!(
                "batch input kind '{}' expects 1 source input, got {}",
                input.kind().as_str_name(),
                input.source_input.len()
            )));
        };
        let data_type = DataType::from_config(input.data_type)
            .filter(|data_type| matches!(data_type, DataType::Int32 | DataType::Fp32))
            .ok_or_else(|| Error::invalid("batch input data type must be TYPE_INT32 or TYPE_FP32"))?;
        let targets = input.target_name.iter().map(|name| Name::from(name.as_str())).collect();
        Ok(Self { kind: input.kind(), targets, data_type, source: Name::from(source.as_str()) })
    }

    /// Shape and values. Elements are counted with the batch of a request; the shape of an item is told for each row, without it.
    fn measure(&self, sources: &[&Tensor]) -> (Shape, Vec<i64>) {
        let counts = sources.iter().map(|source| element_count(&source.shape).unwrap_or(0) as i64);
        let items = || sources.iter().flat_map(|source| (0..source.shape[0]).flat_map(|_| source.shape[1..].to_vec()));
        let accumulated = counts.clone().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        let values: Vec<i64> = match self.kind {
            Kind::BatchElementCount => counts.collect(),
            Kind::BatchAccumulatedElementCount => accumulated.collect(),
            Kind::BatchAccumulatedElementCountWithZero => std::iter::once(0).chain(accumulated).collect(),
            Kind::BatchMaxElementCountAsShape => vec![0; counts.max().unwrap_or(0) as usize],
            Kind::BatchItemShape | Kind::BatchItemShapeFlatten => items().collect(),
        };
        let shape = if self.kind == Kind::BatchItemShape {
            let rows = sources.iter().map(|source| source.shape[0]).sum();
            vec![rows, sources.first().map_or(0, |source| source.shape.len() as i64 - 1)]
        } else {
            vec![values.len() as i64]
        };
        (shape, values)
    }

    fn tensor(&self, name: &str, shape: Shape, values: &[i64]) -> Tensor {
        let mut data = BytesMut::with_capacity(values.len() * 4);
        for &value in values {
            if self.data_type == DataType::Fp32 {
                data.put_f32_le(value as f32);
            } else {
                data.put_i32_le(value as i32);
            }
        }
        Tensor { name: Name::from(name), data_type: self.data_type, shape, data: data.into() }
    }
}

impl Scattered {
    fn shape(&self, source: &[i64]) -> Shape {
        let open = |(place, &size): (usize, &i64)| {
            if size == -1 { source.get(place + 1).copied().unwrap_or(1) } else { size }
        };
        source.first().copied().into_iter().chain(self.dims.iter().enumerate().map(open)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Data;

    fn tensor(shape: &[i64]) -> Tensor {
        let data = Data::from(BytesMut::new());
        Tensor { name: Name::from("x"), data_type: DataType::Fp32, shape: shape.to_vec(), data }
    }

    fn helper(kind: Kind) -> Helper {
        Helper { kind, targets: vec![Name::from("h")], data_type: DataType::Int32, source: Name::from("x") }
    }

    #[test]
    fn each_kind_measures_in_its_way() {
        let tensors = [tensor(&[1, 3, 2]), tensor(&[2, 1, 4])];
        for (kind, shape, values) in [
            (Kind::BatchElementCount, vec![2], vec![6, 8]),
            (Kind::BatchAccumulatedElementCount, vec![2], vec![6, 14]),
            (Kind::BatchAccumulatedElementCountWithZero, vec![3], vec![0, 6, 14]),
            (Kind::BatchMaxElementCountAsShape, vec![8], vec![0; 8]),
            (Kind::BatchItemShape, vec![3, 2], vec![3, 2, 1, 4, 1, 4]),
            (Kind::BatchItemShapeFlatten, vec![6], vec![3, 2, 1, 4, 1, 4]),
        ] {
            let found = helper(kind).measure(&tensors.iter().collect::<Vec<_>>());
            assert_eq!(found, (shape, values), "{kind:?}");
        }
    }

    #[test]
    fn helpers_are_whole_numbers_or_floats() {
        let whole = helper(Kind::BatchElementCount).tensor("h", vec![1], &[6]);
        let float = Helper { data_type: DataType::Fp32, ..helper(Kind::BatchElementCount) }.tensor("h", vec![1], &[6]);

        assert_eq!((whole.data_type, whole.data.as_slice()), (DataType::Int32, &6_i32.to_le_bytes()[..]));
        assert_eq!((float.data_type, float.data.as_slice()), (DataType::Fp32, &6_f32.to_le_bytes()[..]));
    }

    #[test]
    fn open_dimensions_of_a_flat_output_are_those_of_its_source() {
        let scattered = Scattered { target: Name::from("y"), source: Name::from("x"), dims: vec![-1, 2, -1, -1] };

        assert_eq!(scattered.shape(&[3, 5, 7, 4]), [3, 5, 2, 4, 1]);
    }
}
