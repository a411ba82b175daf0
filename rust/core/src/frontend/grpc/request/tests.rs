use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::error::Code;
use crate::proto::inference::{ModelConfig, ModelInput, ModelOutput};
use crate::shared_memory::tests::Segment;

fn spec() -> Spec {
    let input = |name: &str| ModelInput { name: name.into(), data_type: 11, dims: vec![2], ..ModelInput::default() };
    let output = ModelOutput { name: "y".into(), data_type: 11, dims: vec![2], ..ModelOutput::default() };
    let config = ModelConfig {
        name: "m".into(),
        input: vec![input("x"), input("z")],
        output: vec![output],
        ..ModelConfig::default()
    };
    Spec::read(1, config, Bytes::new()).expect("a good configuration")
}

fn input(name: &str, datatype: &str, contents: Option<InferTensorContents>) -> InferInputTensor {
    InferInputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: vec![2],
        contents,
        ..InferInputTensor::default()
    }
}

fn fp32(values: &[f32]) -> InferTensorContents {
    InferTensorContents { fp32_contents: values.to_vec(), ..InferTensorContents::default() }
}

fn asking(inputs: Vec<InferInputTensor>, raw: &[&'static [u8]]) -> ModelInferRequest {
    let raw_input_contents = raw.iter().map(|bytes| Bytes::from_static(bytes)).collect();
    ModelInferRequest { inputs, raw_input_contents, ..ModelInferRequest::default() }
}

fn value(choice: ParameterChoice) -> InferParameter {
    InferParameter { parameter_choice: Some(choice) }
}

fn with_parameter(key: &str, choice: ParameterChoice) -> ModelInferRequest {
    ModelInferRequest { parameters: BTreeMap::from([(key.to_owned(), value(choice))]), ..ModelInferRequest::default() }
}

fn fault(message: ModelInferRequest) -> (Code, String) {
    let error = decode(message, &spec(), &Regions::new(false)).expect_err("a fault");
    (error.code, error.message)
}

#[test]
fn raw_contents_are_taken_in_order_and_never_copied() {
    let message =
        asking(vec![input("x", "FP32", None), input("z", "FP32", None)], &[b"12345678", b"abcdefgh", b"more"]);
    let wire = Bytes::from(message.encode_to_vec());

    let (request, _) =
        decode(ModelInferRequest::decode(wire.clone()).expect("a message"), &spec(), &Regions::new(false))
            .expect("a good request");

    let range = wire.as_ptr_range();
    for (input, expected) in request.inputs.iter().zip([b"12345678", b"abcdefgh"]) {
        assert_eq!(input.data.as_slice(), expected);
        assert!(range.contains(&input.data.as_slice().as_ptr()), "a slice of the message");
    }
}

#[test]
fn names_of_the_model_are_shared_with_it() {
    let spec = spec();

    let (request, _) =
        decode(asking(vec![input("x", "FP32", None)], &[b""]), &spec, &Regions::new(false)).expect("a good request");

    assert!(std::sync::Arc::ptr_eq(&request.inputs[0].name, &spec.inputs[0].name));
}

#[test]
fn narrow_integers_are_cut_to_their_type() {
    let contents = InferTensorContents { int_contents: vec![-1, 300], ..InferTensorContents::default() };
    for (datatype, expected) in
        [("INT8", &[0xff, 44][..]), ("INT16", &[0xff, 0xff, 44, 1]), ("INT32", &[0xff, 0xff, 0xff, 0xff, 44, 1, 0, 0])]
    {
        let (request, _) =
            decode(asking(vec![input("x", datatype, Some(contents.clone()))], &[]), &spec(), &Regions::new(false))
                .expect("a good request");
        assert_eq!(request.inputs[0].data.as_slice(), expected, "{datatype}");
    }
    let contents = InferTensorContents { uint_contents: vec![1, 65_537], ..InferTensorContents::default() };
    for (datatype, expected) in
        [("UINT8", &[1, 1][..]), ("UINT16", &[1, 0, 1, 0]), ("UINT32", &[1, 0, 0, 0, 1, 0, 1, 0])]
    {
        let (request, _) =
            decode(asking(vec![input("x", datatype, Some(contents.clone()))], &[]), &spec(), &Regions::new(false))
                .expect("a good request");
        assert_eq!(request.inputs[0].data.as_slice(), expected, "{datatype}");
    }
}

#[test]
fn byte_strings_get_their_lengths() {
    let contents =
        InferTensorContents { bytes_contents: vec![b"hi".to_vec(), vec![]], ..InferTensorContents::default() };

    let (request, _) = decode(asking(vec![input("x", "BYTES", Some(contents))], &[]), &spec(), &Regions::new(false))
        .expect("a good request");

    assert_eq!(request.inputs[0].data.as_slice(), [2, 0, 0, 0, b'h', b'i', 0, 0, 0, 0]);
}

#[test]
fn faults_of_the_data_are_told_in_the_protocols_words() {
    let both = InferTensorContents { int64_contents: vec![1], ..fp32(&[1.0]) };
    for (message, expected) in [
        (
            asking(vec![input("x", "FP32", Some(fp32(&[1.0])))], &[b"1234"]),
            "contents field must not be specified when using raw_input_contents for 'x' for model 'm'",
        ),
        (
            asking(vec![input("x", "FP32", None)], &[]),
            "unable to find data for input tensor 'x' for model 'm' in request.",
        ),
        (
            asking(vec![input("x", "FP32", None), input("z", "FP32", None)], &[b"1234"]),
            "unable to find data for input tensor 'z' for model 'm' in request.",
        ),
        (
            asking(vec![input("x", "INT32", Some(fp32(&[1.0])))], &[]),
            "unexpected explicit tensor data for input tensor 'x' for model 'm' of type 'FP32', expected datatype 'INT32'",
        ),
        (
            asking(vec![input("x", "FP16", Some(fp32(&[1.0])))], &[]),
            "unexpected explicit tensor data for input tensor 'x' for model 'm' of type 'FP32', expected datatype 'FP16'",
        ),
        (
            asking(vec![input("x", "INT64", Some(both))], &[]),
            "unexpected explicit tensor data for input tensor 'x' for model 'm' of type 'FP32', binary data was already supplied.",
        ),
        (
            asking(vec![input("x", "FLOAT", Some(fp32(&[1.0])))], &[]),
            "unexpected explicit tensor data for input tensor 'x' for model 'm' of type 'FP32', expected datatype '<invalid>'",
        ),
        (
            asking(vec![input("x", "FLOAT", None)], &[b"1234"]),
            "[request id: <id_unknown>] inference input 'x' data-type is '<invalid>', but model 'm' expects 'FP32'",
        ),
    ] {
        assert_eq!(fault(message), (Code::InvalidArgument, expected.to_owned()));
    }
}

#[test]
fn faults_of_parameters_are_told_in_the_protocols_words() {
    use ParameterChoice::{BoolParam, Int64Param, StringParam, Uint64Param};
    const RESERVED: &str = "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with \
                            'triton_' are allowed: triton_enable_empty_final_response";
    for (key, choice, expected) in [
        (
            "sequence_id",
            Uint64Param(1),
            "invalid value type for 'sequence_id' parameter, expected int64_param or string_param.",
        ),
        ("sequence_start", Int64Param(1), "invalid value type for 'sequence_start' parameter, expected bool_param."),
        (
            "sequence_end",
            StringParam("yes".into()),
            "invalid value type for 'sequence_end' parameter, expected bool_param.",
        ),
        ("priority", Int64Param(-1), "invalid value for 'priority', expected value >= 0."),
        (
            "priority",
            BoolParam(true),
            "invalid value type for 'priority' parameter, expected int64_param or uint64_param.",
        ),
        ("timeout", Uint64Param(1), "invalid value type for 'timeout' parameter, expected int64_param."),
        (
            "custom",
            Uint64Param(1),
            "invalid value type for 'custom' parameter, expected int64_param, bool_param, or string_param.",
        ),
        ("triton_mine", Int64Param(1), RESERVED),
        (
            EMPTY_FINAL,
            Int64Param(1),
            "invalid value type for 'triton_enable_empty_final_response' parameter, expected bool_param.",
        ),
    ] {
        assert_eq!(fault(with_parameter(key, choice)), (Code::InvalidArgument, expected.to_owned()), "{key}");
    }
}

#[test]
fn parameters_the_protocol_knows_say_what_they_mean() {
    let parameters = BTreeMap::from([
        ("sequence_id".to_owned(), value(ParameterChoice::Int64Param(7))),
        ("sequence_start".to_owned(), value(ParameterChoice::BoolParam(true))),
        ("sequence_end".to_owned(), value(ParameterChoice::BoolParam(false))),
        ("priority".to_owned(), value(ParameterChoice::Uint64Param(2))),
        ("timeout".to_owned(), value(ParameterChoice::Int64Param(1500))),
        ("triton_enable_empty_final_response".to_owned(), value(ParameterChoice::BoolParam(true))),
        ("mine".to_owned(), value(ParameterChoice::DoubleParam(0.5))),
    ]);

    let (request, _) =
        decode(ModelInferRequest { parameters, ..ModelInferRequest::default() }, &spec(), &Regions::new(false))
            .expect("a good request");

    assert_eq!(request.correlation, Correlation::Number(7));
    assert_eq!(request.flags, FLAG_SEQUENCE_START);
    assert_eq!(request.priority, 2);
    assert_eq!(request.timeout, Some(Duration::from_micros(1500)));
    assert_eq!(request.parameters, [("mine".to_owned(), Parameter::Double(0.5))]);
}

#[test]
fn an_output_may_be_asked_for_its_classes() {
    let parameters = BTreeMap::from([("classification".to_owned(), value(ParameterChoice::Int64Param(3)))]);
    let outputs = vec![InferRequestedOutputTensor { name: "y".into(), parameters }];

    let (request, forms) =
        decode(ModelInferRequest { outputs, ..ModelInferRequest::default() }, &spec(), &Regions::new(false))
            .expect("a good request");

    assert_eq!(request.outputs, [Name::from("y")]);
    assert_eq!(forms.named, [(Name::from("y"), Wish { form: Form::Binary, classes: Some(3), slot: None })]);
}

#[test]
fn what_is_wished_of_an_output_has_to_be_right() {
    let asks = |key: &str, choice| {
        let parameters = BTreeMap::from([(key.to_owned(), value(choice))]);
        let output = InferRequestedOutputTensor { name: "y".into(), parameters };
        ModelInferRequest { outputs: vec![output], ..ModelInferRequest::default() }
    };
    for (key, choice, code, expected) in [
        (
            "classification",
            ParameterChoice::BoolParam(true),
            Code::InvalidArgument,
            "invalid value type for 'classification' parameter, expected int64_param",
        ),
        (
            "classification",
            ParameterChoice::Int64Param(-1),
            Code::InvalidArgument,
            "invalid value for 'classification' parameter, expected >= 0",
        ),
        (
            "shared_memory_offset",
            ParameterChoice::Int64Param(3),
            Code::InvalidArgument,
            "'shared_memory_offset' can not be specified without 'shared_memory_region' parameter for tensor 'y'",
        ),
        (
            "shared_memory_region",
            ParameterChoice::StringParam("r".into()),
            Code::InvalidArgument,
            "'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter for tensor 'y'",
        ),
        (
            "shared_memory_region",
            ParameterChoice::Int64Param(7),
            Code::InvalidArgument,
            "invalid value type for 'shared_memory_region' parameter for tensor 'y', expected string_param.",
        ),
        (
            "shared_memory_byte_size",
            ParameterChoice::Int64Param(7),
            Code::InvalidArgument,
            "'shared_memory_byte_size' can not be specified without 'shared_memory_region' parameter for tensor 'y'",
        ),
        (
            "shared_memory_byte_size",
            ParameterChoice::StringParam("x".into()),
            Code::InvalidArgument,
            "invalid value type for 'shared_memory_byte_size' parameter for tensor 'y', expected int64_param.",
        ),
    ] {
        assert_eq!(fault(asks(key, choice)), (code, expected.to_owned()));
    }
}

#[test]
fn a_crowd_of_tensors_is_refused_before_it_is_decoded() {
    let many = |count: usize| [0x2a, 0].repeat(count);

    assert_eq!(refuse_crowd(&many(MAX_TENSORS)), Ok(()));
    let error = refuse_crowd(&many(MAX_TENSORS + 1)).expect_err("a fault");
    assert_eq!(error.message, "a request may have up to 65536 tensors, and this one has more");
}

#[test]
fn a_large_tensor_is_no_crowd() {
    let tensor = Bytes::from(vec![0x2a; 1 << 20]);
    let message = ModelInferRequest { raw_input_contents: vec![tensor], ..ModelInferRequest::default() };

    assert_eq!(refuse_crowd(&message.encode_to_vec()), Ok(()));
}

/// Contents of every type with the bytes they stand for.
fn typed() -> impl Strategy<Value = (&'static str, InferTensorContents, Vec<u8>)> {
    fn flat<T: Copy, const N: usize>(values: &[T], bytes: fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&value| bytes(value)).collect()
    }
    let none = InferTensorContents::default;
    prop_oneof![
        prop::collection::vec(any::<bool>(), 1..9).prop_map(move |v| (
            "BOOL",
            InferTensorContents { bool_contents: v.clone(), ..none() },
            v.iter().map(|&b| u8::from(b)).collect()
        )),
        prop::collection::vec(any::<i8>(), 1..9).prop_map(move |v| (
            "INT8",
            InferTensorContents { int_contents: v.iter().map(|&i| i32::from(i)).collect(), ..none() },
            flat(&v, i8::to_le_bytes)
        )),
        prop::collection::vec(any::<i16>(), 1..9).prop_map(move |v| (
            "INT16",
            InferTensorContents { int_contents: v.iter().map(|&i| i32::from(i)).collect(), ..none() },
            flat(&v, i16::to_le_bytes)
        )),
        prop::collection::vec(any::<i32>(), 1..9).prop_map(move |v| (
            "INT32",
            InferTensorContents { int_contents: v.clone(), ..none() },
            flat(&v, i32::to_le_bytes)
        )),
        prop::collection::vec(any::<i64>(), 1..9).prop_map(move |v| (
            "INT64",
            InferTensorContents { int64_contents: v.clone(), ..none() },
            flat(&v, i64::to_le_bytes)
        )),
        prop::collection::vec(any::<u8>(), 1..9).prop_map(move |v| (
            "UINT8",
            InferTensorContents { uint_contents: v.iter().map(|&i| u32::from(i)).collect(), ..none() },
            v
        )),
        prop::collection::vec(any::<u16>(), 1..9).prop_map(move |v| (
            "UINT16",
            InferTensorContents { uint_contents: v.iter().map(|&i| u32::from(i)).collect(), ..none() },
            flat(&v, u16::to_le_bytes)
        )),
        prop::collection::vec(any::<u32>(), 1..9).prop_map(move |v| (
            "UINT32",
            InferTensorContents { uint_contents: v.clone(), ..none() },
            flat(&v, u32::to_le_bytes)
        )),
        prop::collection::vec(any::<u64>(), 1..9).prop_map(move |v| (
            "UINT64",
            InferTensorContents { uint64_contents: v.clone(), ..none() },
            flat(&v, u64::to_le_bytes)
        )),
        prop::collection::vec(any::<f32>(), 1..9).prop_map(move |v| (
            "FP32",
            InferTensorContents { fp32_contents: v.clone(), ..none() },
            flat(&v, f32::to_le_bytes)
        )),
        prop::collection::vec(any::<f64>(), 1..9).prop_map(move |v| (
            "FP64",
            InferTensorContents { fp64_contents: v.clone(), ..none() },
            flat(&v, f64::to_le_bytes)
        )),
    ]
}

/// Parameters that may say where in shared memory a tensor is.
fn place() -> impl Strategy<Value = BTreeMap<String, InferParameter>> {
    let number = || prop_oneof![0_i64..70, any::<i64>()].prop_map(ParameterChoice::Int64Param);
    let region = prop_oneof![8 => Just("r"), 1 => Just("q"), 1 => Just("")];
    let region = region.prop_map(|name| ParameterChoice::StringParam(name.into()));
    let odd = Just(ParameterChoice::BoolParam(true));
    let parameters = (
        prop::option::weighted(0.9, prop_oneof![9 => region.boxed(), 1 => odd.clone().boxed()]),
        prop::option::of(prop_oneof![9 => number().boxed(), 1 => odd.clone().boxed()]),
        prop::option::weighted(0.9, prop_oneof![9 => number().boxed(), 1 => odd.boxed()]),
    );
    parameters.prop_map(|(region, offset, byte_size)| {
        let keys = ["shared_memory_region", "shared_memory_offset", "shared_memory_byte_size"];
        let choices = keys.into_iter().zip([region, offset, byte_size]);
        let parameter = |choice| InferParameter { parameter_choice: Some(choice) };
        choices.filter_map(|(key, choice)| Some((key.to_owned(), parameter(choice?)))).collect()
    })
}

proptest! {
    #[test]
    fn typed_contents_become_the_bytes_of_their_type((datatype, contents, expected) in typed()) {
        let wire = asking(vec![input("x", datatype, Some(contents))], &[]).encode_to_vec();
        let message = ModelInferRequest::decode(&wire[..]).expect("a message");

        let (request, _) = decode(message, &spec(), &Regions::new(false)).expect("a good request");

        prop_assert_eq!(request.inputs[0].data.as_slice(), &expected[..]);
    }

    #[test]
    fn random_bytes_are_a_fault_or_a_request(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = ModelInferRequest::decode(&bytes[..]) {
            let _ = decode(message, &spec(), &Regions::new(false));
        }
    }

    #[test]
    fn a_place_in_memory_is_a_fault_or_inside_its_region(
        at in place(), into in place(), offset in 0_u64..8, length in 1_u64..56
    ) {
        let segment = Segment::new("grpc_place", &[7; 64]);
        let regions = Regions::new(true);
        regions.register("r", &segment.key, offset, length).expect("it is inside the segment");
        let asked = InferInputTensor { parameters: at.clone(), shape: vec![1], ..input("x", "UINT8", None) };
        let output = InferRequestedOutputTensor { name: "y".into(), parameters: into };
        let message = ModelInferRequest { outputs: vec![output], ..asking(vec![asked], &[b"raw"]) };

        if let Ok((request, forms)) = decode(message, &spec(), &regions) {
            let found = request.inputs[0].data.as_slice();
            if at.contains_key("shared_memory_region") {
                prop_assert!(!found.is_empty() && found.len() as u64 <= length && found.iter().all(|&byte| byte == 7));
            } else {
                prop_assert_eq!(found, &b"raw"[..]);
            }
            prop_assert_eq!(forms.named.len(), 1);
        }
    }

    #[test]
    fn a_mutated_message_is_a_fault_or_a_request(place in any::<prop::sample::Index>(), bits in 1_u8..) {
        let message = ModelInferRequest {
            id: "42".into(),
            parameters: with_parameter("priority", ParameterChoice::Int64Param(1)).parameters,
            outputs: vec![InferRequestedOutputTensor { name: "y".into(), ..InferRequestedOutputTensor::default() }],
            ..asking(vec![input("x", "FP32", None), input("z", "FP32", Some(fp32(&[1.0, 2.0])))], &[])
        };
        let mut wire = message.encode_to_vec();
        let place = place.index(wire.len());
        wire[place] ^= bits;

        if let Ok(message) = ModelInferRequest::decode(&wire[..]) {
            let _ = decode(message, &spec(), &Regions::new(false));
        }
    }
}
