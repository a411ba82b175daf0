//! What the configuration says instances are to execute before clients do: requests of zeros, of random numbers, or of a file's bytes.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::proto::inference::model_warmup::input::InputDataType;
use crate::proto::inference::{ModelWarmup, model_warmup};
use crate::request::{FLAG_SEQUENCE_END, FLAG_SEQUENCE_START, Request};
use crate::sequence::{Memory, inject};
use crate::spec::{Files, Spec};
use crate::tensor::{DataType, Name, Shape, Tensor, element_count};

/// Requests that are executed together, some number of times.
#[derive(Debug)]
pub(super) struct Sample {
    name: String,
    /// Requests of a batch.
    pub(super) batch_size: usize,
    /// How often.
    pub(super) count: usize,
    /// What every request carries.
    inputs: Vec<Input>,
}

#[derive(Debug)]
struct Input {
    name: Name,
    data_type: DataType,
    /// Its dimensions, with those of the batch.
    shape: Shape,
    data: Bytes,
}

impl Sample {
    /// The samples of a version, but for those of no requests.
    ///
    /// # Errors
    /// `INVALID_ARG` for an input without a type, a size or data, and for a file of another size than its tensor.
    pub(super) fn read_all(spec: &Spec, files: &Files) -> Result<Vec<Self>> {
        let samples = spec.config.model_warmup.iter().filter(|sample| sample.batch_size > 0);
        samples.map(|sample| Self::read(sample, spec, files)).collect()
    }

    fn read(config: &ModelWarmup, spec: &Spec, files: &Files) -> Result<Self> {
        let batching = spec.max_batch_size > 0;
        // Whatever else it names is not for this model.
        let known = |(name, _): &(&String, &model_warmup::Input)| spec.input(name).is_some() || is_made(spec, name);
        let read = |(name, input): (&String, &model_warmup::Input)| Input::read(name, input, spec, files);
        Ok(Self {
            name: config.name.clone(),
            // A model without a batch dimension takes one.
            batch_size: if batching { config.batch_size as usize } else { 1 },
            count: config.count.max(1) as usize,
            inputs: config.inputs.iter().filter(known).map(read).collect::<Result<_>>()?,
        })
    }

    /// One of its requests, as a client would send it.
    pub(super) fn request(&self, spec: &Spec) -> Request {
        let given = self.inputs.iter().filter(|input| !is_made(spec, &input.name));
        Request { inputs: given.map(Input::tensor).collect(), ..Request::default() }
    }

    /// The same as an instance gets it: a sequence of its own, where the model has sequences. What the server makes for these may be given
    /// by the sample.
    pub(super) fn executed(&self, spec: &Spec, memory: Option<&Memory>) -> Request {
        let mut request = self.request(spec);
        if spec.sequence.is_some() {
            request.flags = FLAG_SEQUENCE_START | FLAG_SEQUENCE_END;
            inject(&mut request, spec, true, memory.map(Memory::inputs).unwrap_or_default());
        }
        for input in &self.inputs {
            match request.inputs.iter_mut().find(|made| made.name == input.name) {
                Some(made) => *made = input.tensor(),
                None => request.inputs.push(input.tensor()),
            }
        }
        request
    }

    /// The sample did not go well.
    pub(super) fn failed(&self, reasons: &str) -> Error {
        Error::invalid(format!("failed to run warmup sample '{}': {reasons}", self.name))
    }
}

impl Input {
    fn read(name: &str, config: &model_warmup::Input, spec: &Spec, files: &Files) -> Result<Self> {
        let wrong = |what: String| Error::invalid(format!("warmup setting expects {what}"));
        let tag = |error: Error| error.with_request_id("");
        let elements = element_count(&config.dims)
            .ok_or_else(|| wrong(format!("all variable-size dimensions are specified for input '{name}'")))?;
        let data_type = DataType::from_config(config.data_type).ok_or_else(|| {
            let (model, expected) =
                (&spec.model, spec.input(name).map_or("another type", |input| input.data_type.name()));
            let text =
                format!("inference input '{name}' data-type is '<invalid>', but model '{model}' expects '{expected}'");
            tag(Error::invalid(text))
        })?;
        let size = data_type.size().map(|size| size.saturating_mul(elements));
        // An empty byte string is its length, zero.
        let length = size.unwrap_or(elements.saturating_mul(4));
        let data = match &config.input_data_type {
            Some(InputDataType::ZeroData(_)) => zeros(length, name)?.into(),
            Some(InputDataType::RandomData(_)) => randomised(name, data_type, zeros(length, name)?),
            Some(InputDataType::InputDataFile(file)) => {
                let data = files.get(&format!("warmup/{file}")).cloned().unwrap_or_default();
                let (needed, found) = (size.unwrap_or(data.len()), data.len());
                if found < needed {
                    let text = format!("{needed} bytes, but the data provided from {file} only has {found} bytes");
                    return Err(tag(wrong(text)));
                }
                data.slice(..needed)
            }
            None => return Err(tag(wrong(format!("input '{name}' to have input_data_type set")))),
        };
        let batch = (spec.max_batch_size > 0).then_some(1);
        let shape = batch.into_iter().chain(config.dims.iter().copied()).collect();
        Ok(Self { name: Name::from(name), data_type, shape, data })
    }

    fn tensor(&self) -> Tensor {
        let (name, shape, data) = (self.name.clone(), self.shape.clone(), self.data.clone().into());
        Tensor { name, data_type: self.data_type, shape, data }
    }
}

/// Whether the server makes that input for the model's sequences.
fn is_made(spec: &Spec, input: &str) -> bool {
    spec.sequence.as_ref().is_some_and(|sequence| sequence.makes(input))
}

fn zeros(length: usize, input: &str) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    data.try_reserve_exact(length).map_err(|_| {
        let text = format!("warmup setting expects {length} bytes for input '{input}': more than there is memory for");
        Error::invalid(text)
    })?;
    data.resize(length, 0);
    Ok(data)
}

/// Fills in numbers that look random and are the same at every load: any integer, and fractions from 1 to 2, so that none is infinite.
/// Byte strings stay empty.
fn randomised(input: &str, data_type: DataType, mut data: Vec<u8>) -> Bytes {
    let Some(size) = data_type.size() else { return data.into() };
    blake3::Hasher::new().update(input.as_bytes()).finalize_xof().fill(&mut data);
    // The bits of an element to keep, and those to set: a fraction is what it is but for its sign and exponent.
    let (keep, set): (u64, u64) = match data_type {
        DataType::Bool => (1, 0),
        DataType::Fp16 => (0x03ff, 0x3c00),
        DataType::Bf16 => (0x007f, 0x3f80),
        DataType::Fp32 => (0x007f_ffff, 0x3f80_0000),
        DataType::Fp64 => (0x000f_ffff_ffff_ffff, 0x3ff0_0000_0000_0000),
        _ => return data.into(),
    };
    let (keep, set) = (keep.to_le_bytes(), set.to_le_bytes());
    for element in data.chunks_exact_mut(size) {
        for (byte, (keep, set)) in element.iter_mut().zip(keep.iter().zip(&set)) {
            *byte = (*byte & keep) | set;
        }
    }
    data.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::proto::inference::model_config::SchedulingChoice;
    use crate::proto::inference::model_sequence_batching::{Control, ControlInput, StrategyChoice, StrategyDirect};
    use crate::proto::inference::{ModelConfig, ModelInput, ModelSequenceBatching};

    const FP32: i32 = 11;
    const BYTES: i32 = 13;

    fn given(data_type: i32, dims: &[i64], data: InputDataType) -> model_warmup::Input {
        model_warmup::Input { data_type, dims: dims.to_vec(), input_data_type: Some(data) }
    }

    fn config(data_type: i32, inputs: &[(&str, model_warmup::Input)]) -> ModelConfig {
        let inputs: BTreeMap<_, _> = inputs.iter().map(|(name, input)| ((*name).to_owned(), input.clone())).collect();
        ModelConfig {
            name: "m".into(),
            max_batch_size: 8,
            input: vec![ModelInput { name: "x".into(), data_type, dims: vec![-1], ..ModelInput::default() }],
            model_warmup: vec![ModelWarmup { name: "w".into(), batch_size: 2, inputs, count: 0 }],
            ..ModelConfig::default()
        }
    }

    fn read(config: ModelConfig, files: &[(&str, &[u8])]) -> Result<(Spec, Vec<Sample>)> {
        let files = files.iter().map(|(path, data)| ((*path).to_owned(), Bytes::copy_from_slice(data))).collect();
        let spec = Spec::read(1, config, Bytes::new())?;
        let samples = Sample::read_all(&spec, &files)?;
        Ok((spec, samples))
    }

    fn bytes(config: ModelConfig, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
        let (spec, samples) = read(config, files)?;
        Ok(samples[0].executed(&spec, None).inputs[0].data.as_slice().to_vec())
    }

    #[test]
    fn zeros_are_as_many_as_the_tensor_needs_and_byte_strings_are_empty() {
        let numbers = bytes(config(FP32, &[("x", given(FP32, &[3], InputDataType::ZeroData(true)))]), &[]);
        let strings = bytes(config(BYTES, &[("x", given(BYTES, &[3], InputDataType::RandomData(true)))]), &[]);

        assert_eq!(numbers.expect("a good sample"), [0; 12]);
        assert_eq!(strings.expect("a good sample"), [0; 12], "three lengths of nothing");
    }

    #[test]
    fn a_file_gives_its_first_bytes_and_must_have_enough() {
        let file = || config(FP32, &[("x", given(FP32, &[1], InputDataType::InputDataFile("f".into())))]);

        let long = bytes(file(), &[("warmup/f", b"123456")]).expect("a good sample");
        let short = bytes(file(), &[("warmup/f", b"123")]).expect_err("too short");

        assert_eq!(long, b"1234");
        assert!(short.message.ends_with("expects 4 bytes, but the data provided from f only has 3 bytes"), "{short:?}");
    }

    #[test]
    fn random_fractions_are_numbers_and_the_same_every_time() {
        let random = || bytes(config(FP32, &[("x", given(FP32, &[1000], InputDataType::RandomData(true)))]), &[]);
        let data = random().expect("a good sample");
        let (numbers, _) = data.as_chunks::<4>();

        assert!(numbers.iter().all(|bytes| (1.0..2.0).contains(&f32::from_le_bytes(*bytes))));
        assert!(numbers.iter().any(|bytes| bytes != &numbers[0]));
        assert_eq!(random().expect("a good sample"), data);
    }

    #[test]
    fn what_the_model_does_not_know_is_left_out() {
        let sample = given(FP32, &[1], InputDataType::ZeroData(true));
        let (spec, samples) = read(config(FP32, &[("x", sample.clone()), ("y", sample)]), &[]).expect("a good sample");

        assert_eq!(samples[0].request(&spec).inputs.len(), 1);
    }

    #[test]
    fn samples_of_no_requests_are_none_and_a_model_without_batches_takes_one() {
        let sample = given(FP32, &[1], InputDataType::ZeroData(true));
        let mut none = config(FP32, &[("x", sample.clone())]);
        none.model_warmup[0].batch_size = 0;
        let mut flat = config(FP32, &[("x", sample)]);
        flat.max_batch_size = 0;

        assert!(read(none, &[]).expect("a good sample").1.is_empty());
        let (spec, samples) = read(flat, &[]).expect("a good sample");
        assert_eq!((samples[0].batch_size, samples[0].count), (1, 1));
        assert_eq!(samples[0].request(&spec).inputs[0].shape, [1]);
    }

    #[test]
    fn sequences_begin_and_the_sample_may_say_what_the_model_is_told() {
        let control = |name: &str, kind| ControlInput {
            name: name.into(),
            control: vec![Control { kind, int32_false_true: vec![0, 1], ..Control::default() }],
        };
        let sequences = ModelSequenceBatching {
            control_input: vec![control("start", 0), control("end", 2)],
            strategy_choice: Some(StrategyChoice::Direct(StrategyDirect::default())),
            ..ModelSequenceBatching::default()
        };
        let zero = |data_type| given(data_type, &[1], InputDataType::ZeroData(true));
        let mut config = config(FP32, &[("x", zero(FP32)), ("end", zero(8))]);
        config.scheduling_choice = Some(SchedulingChoice::SequenceBatching(sequences));

        let (spec, samples) = read(config, &[]).expect("a good sample");

        assert_eq!(samples[0].request(&spec).inputs.len(), 1, "clients give no controls");
        let told: Vec<(String, Vec<u8>)> = samples[0]
            .executed(&spec, None)
            .inputs
            .iter()
            .map(|input| (input.name.to_string(), input.data.as_slice().to_vec()))
            .collect();
        assert_eq!(told[1..], [("start".to_owned(), vec![1, 0, 0, 0]), ("end".to_owned(), vec![0; 4])]);
    }

    proptest! {
        #[test]
        fn whatever_a_configuration_says_is_read_or_refused(
            data_type in -1..20_i32,
            dims in prop::collection::vec(prop_oneof![-2..5_i64, Just(i64::MAX), Just(1 << 61)], 0..4),
            kind in 0..4,
            file in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let data = match kind {
                0 => Some(InputDataType::ZeroData(true)),
                1 => Some(InputDataType::RandomData(true)),
                2 => Some(InputDataType::InputDataFile("f".into())),
                _ => None,
            };
            let input = model_warmup::Input { data_type, dims: dims.clone(), input_data_type: data };

            if let Ok((spec, samples)) = read(config(FP32, &[("x", input)]), &[("warmup/f", &file)]) {
                let request = samples[0].request(&spec);
                let input = &request.inputs[0];
                prop_assert_eq!(&input.shape[1..], &dims[..]);
                if let Some(size) = input.data_type.size() {
                    prop_assert_eq!(Some(input.data.len()), element_count(&dims).map(|count| count * size));
                }
            }
        }
    }
}
