use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::proto::inference::{ModelConfig, ModelInput};
use crate::statistics::Spent;
use crate::tensor::Name;

const BOOL: i32 = 1;
const INT32: i32 = 8;
const FP16: i32 = 10;
const STRING: i32 = 13;

fn spec(inputs: &[(&str, i32, &[i64])]) -> Spec {
    let input = |&(name, data_type, dims): &(&str, i32, &[i64])| ModelInput {
        name: name.into(),
        data_type,
        dims: dims.to_vec(),
        ..ModelInput::default()
    };
    let config = ModelConfig {
        name: "m".into(),
        max_batch_size: 8,
        input: inputs.iter().map(input).collect(),
        ..ModelConfig::default()
    };
    Spec::read(1, config, Bytes::new()).expect("a good configuration")
}

fn model() -> Spec {
    spec(&[("text", STRING, &[1]), ("flag", BOOL, &[1]), ("n", INT32, &[-1]), ("half", FP16, &[1])])
}

fn fault(body: &str) -> String {
    decode_generate(body.as_bytes(), &model(), 1000).expect_err(body).message
}

#[test]
fn members_are_inputs_or_parameters() {
    let body = r#"{"text":"hi","parameters":{"stream":true,"temperature":0.5,"flag" : true,"parameters":2},"id":"7","n" : [ 1, 2, 3 ] }"#;

    let request = decode_generate(body.as_bytes(), &model(), 1000).expect("a good request");

    assert_eq!(request.id, "7");
    let inputs: Vec<_> =
        request.inputs.iter().map(|input| (&*input.name, &input.shape[..], input.data.as_slice())).collect();
    assert_eq!(
        inputs,
        [
            ("text", &[1, 1][..], &b"\x02\0\0\0hi"[..]),
            ("flag", &[1, 1], &[1]),
            ("n", &[1, 3], &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]),
        ]
    );
    let parameter = |name: &str, value| (name.to_owned(), value);
    assert_eq!(
        request.parameters,
        [
            parameter("stream", Parameter::Bool(true)),
            parameter("temperature", Parameter::Double(0.5)),
            parameter("parameters", Parameter::Int(2)),
            parameter("id", Parameter::Text("7".into())),
        ]
    );
}

#[test]
fn no_elements_make_one_row() {
    for (body, expected) in [(r#"{"n":[]}"#, [1, 0]), (r#"{"text":[]}"#, [1, 1])] {
        let request = decode_generate(body.as_bytes(), &model(), 1000).expect("a good request");
        assert_eq!(request.inputs[0].shape, expected, "{body}");
    }
}

#[test]
fn the_number_of_elements_makes_the_shape() {
    for (declared, count, expected) in [
        (&[-1, 1][..], 2, Some(&[2, 1][..])),
        (&[-1, -1], 3, Some(&[1, 3])),
        (&[-1, -1], 0, Some(&[1, 0])),
        (&[-1, 2, -1], 4, Some(&[1, 2, 2])),
        (&[-1, 2, -1], 3, None),
        (&[-1, -1, -1, 3], 6, Some(&[1, 1, 2, 3])),
        (&[2], 2, Some(&[2])),
        (&[1], 2, None),
        (&[], 1, Some(&[])),
        (&[], 2, None),
        (&[0], 0, Some(&[0])),
        (&[0, -1], 3, None),
        (&[0, -1], 0, Some(&[0, 1])),
        (&[i64::MAX, 2], 2, None),
    ] {
        assert_eq!(shape(declared, count).as_deref(), expected, "{declared:?} {count}");
    }
}

#[test]
fn faults_are_told_in_the_protocols_words() {
    let kind = |what: &str| format!("Unable to parse 'data': attempt to access JSON {what}");
    let parameter =
        |name| format!("parameter '{name}' has invalid type. It should be either 'int', 'bool', or 'string'.");
    for (body, expected) in [
        ("", "failed to parse the request JSON buffer: The document is empty. at 0".into()),
        ("{", "failed to parse the request JSON buffer: Missing a name for object member. at 1".into()),
        (r#"{"n":"a","x":}"#, "failed to parse the request JSON buffer: Invalid value. at 13".into()),
        ("[]", "attempt to get members for non-object".into()),
        (r#"{"id":5}"#, "Unable to parse 'id': attempt to access JSON non-string as string".into()),
        (r#"{"text":5}"#, "Unable to parse JSON bytes array: attempt to access JSON non-string as string".into()),
        (r#"{"n":1.5}"#, kind("non-signed-integer as signed-integer")),
        (r#"{"n":null}"#, kind("non-signed-integer as signed-integer")),
        (r#"{"n":{"a":1}}"#, kind("non-signed-integer as signed-integer")),
        (r#"{"flag":1}"#, kind("non-boolean as boolean")),
        (r#"{"n":[[1,2]]}"#, "Unable to parse 'data': Shape does not match true shape of 'data' field".into()),
        (r#"{"n":[[],1]}"#, "Failed to parse 'data' field: shape does not match true shape".into()),
        (r#"{"x":[1]}"#, parameter("x")),
        (r#"{"x":null}"#, parameter("x")),
        (
            r#"{"parameters":5}"#,
            "Expected JSON object for keyword: 'parameters': attempt to access JSON non-object as object".into(),
        ),
        (r#"{"parameters":{"y":{}}}"#, format!("Converting keyword: 'parameters': {}", parameter("y"))),
        (
            r#"{"text":"a","parameters":{"text":"b"},"id":"7"}"#,
            "Converting keyword: 'parameters': [request id: 7] input 'text' already exists in request".into(),
        ),
        (
            r#"{"half":1}"#,
            "receiving FP16 data via JSON is not supported. Please use the binary data format for input half".into(),
        ),
    ] {
        assert_eq!(fault(body), expected, "{body}");
    }
    let many = format!(r#"{{"n":[{}1]}}"#, "1,".repeat(300));
    assert_eq!(
        fault(&many),
        "request size of 1204 bytes with input 'n' of size 1204 bytes exceeds the maximum allowed input size of 1000. Use \
         --http-max-input-size to increase the limit."
    );
    let spec = spec(&[("parameters", INT32, &[1])]);
    let clash = decode_generate(br#"{"parameters":1}"#, &spec, 1000).expect_err("a clash").message;
    assert_eq!(clash, "Keyword 'parameters' for nested schema also given as input tensor name");
}

fn output(name: &str, values: &[i32], shape: &[i64]) -> Tensor {
    let data: BytesMut = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { name: Name::from(name), data_type: DataType::Int32, shape: shape.to_vec(), data: data.into() }
}

#[test]
fn an_answer_is_flat_and_in_order_and_names_that_clash_are_settled() {
    let response = Response {
        id: "7".into(),
        model: Name::from("m"),
        version: 1,
        parameters: vec![("said".into(), Parameter::Text("x".into())), ("id".into(), Parameter::Int(3))],
        outputs: vec![
            output("zeta", &[1], &[1, 1]),
            output("alpha", &[1, 2], &[1, 2]),
            output("said", &[9], &[1]),
            output("none", &[], &[0]),
        ],
        spent: Spent::default(),
    };

    let json = encode_generate(&response, &model()).expect("JSON");

    assert_eq!(
        std::str::from_utf8(&json),
        Ok(r#"{"alpha":[1,2],"id":"7","model_name":"m","model_version":"1","none":[],"said":"x","zeta":1}"#)
    );
}

proptest! {
    #[test]
    fn whatever_is_sent_it_is_read_or_refused(body in r#"[{}\[\]":,a-z0-9\\.-]{0,60}"#) {
        let _ = decode_generate(body.as_bytes(), &model(), 1000);
    }

    #[test]
    fn a_shape_has_as_many_elements_as_were_given(declared in prop::collection::vec(-1_i64..4, 0..4), count in 0_usize..40) {
        if let Some(shape) = shape(&declared, count) {
            prop_assert_eq!(element_count(&shape), Some(count));
            prop_assert!(shape.iter().zip(&declared).all(|(size, declared)| *declared < 0 || size == declared));
        }
    }
}
