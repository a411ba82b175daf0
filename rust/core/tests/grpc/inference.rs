//! Inference that goes well, and requests that do not fit the model.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use windlass_core::frontend::grpc::Effort;
use windlass_core::plane::Settings;
use windlass_core::proto::inference::infer_parameter::ParameterChoice;
use windlass_core::proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use windlass_core::proto::inference::{InferParameter, InferTensorContents, ModelInferRequest};

use crate::client::{Client, RawClient, failure, framed, request, row};
use crate::server::Server;

#[tokio::test]
async fn an_answer_names_everything_and_is_always_raw() {
    let server = Server::start();
    let message = ModelInferRequest { id: "42".into(), ..row(&[1.0, 2.0]) };
    let raw = message.raw_input_contents.clone();

    let answer = Client::new(&server).await.infer(message).await.expect("an answer");

    assert_eq!((&*answer.model_name, &*answer.model_version, &*answer.id), ("mirror", "1", "42"));
    let output = &answer.outputs[0];
    assert_eq!((&*output.name, &*output.datatype, &output.shape[..]), ("OUTPUT0", "FP32", &[1, 2][..]));
    assert_eq!(output.contents, None);
    assert_eq!(answer.raw_output_contents, raw);
}

#[tokio::test]
async fn typed_contents_are_understood() {
    let server = Server::start();
    let contents = InferTensorContents { fp32_contents: vec![1.0, 2.0], ..InferTensorContents::default() };
    let mut message = row(&[1.0, 2.0]);
    let expected = std::mem::take(&mut message.raw_input_contents);
    message.inputs[0].contents = Some(contents);

    let answer = Client::new(&server).await.infer(message).await.expect("an answer");

    assert_eq!(answer.raw_output_contents, expected);
}

#[tokio::test]
async fn outputs_can_be_chosen() {
    let server = Server::start();
    let mut message = row(&[1.0]);
    message.inputs.push(InferInputTensor {
        name: "INPUT1".into(),
        datatype: "BYTES".into(),
        shape: vec![1, 1],
        ..InferInputTensor::default()
    });
    message.raw_input_contents.push(Bytes::from_static(b"\x02\0\0\0hi"));
    message.outputs.push(InferRequestedOutputTensor { name: "OUTPUT1".into(), ..Default::default() });

    let answer = Client::new(&server).await.infer(message).await.expect("an answer");

    assert_eq!(answer.outputs.len(), 1);
    assert_eq!(answer.raw_output_contents, [Bytes::from_static(b"\x02\0\0\0hi")]);
}

#[tokio::test]
async fn a_tensor_larger_than_every_window_arrives_whole() {
    let server = Server::start();
    let values: Vec<f32> = (0..6_000_000).map(|index| index as f32).collect();
    let message = row(&values);
    let raw = message.raw_input_contents.clone();

    let answer = Client::new(&server).await.infer(message).await.expect("an answer");

    assert!(answer.raw_output_contents == raw);
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let server = Server::start();
    let client = Client::new(&server).await;

    let calls = (0..200).map(|index| {
        let mut client = client.clone();
        async move { client.infer(row(&[index as f32])).await.expect("an answer").raw_output_contents.concat() }
    });

    for (index, answer) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!(answer, (index as f32).to_le_bytes());
    }
}

#[tokio::test]
async fn compressed_requests_are_answered_alike() {
    let server = Server::start();
    let values = vec![7.0; 100_000];
    let message = row(&values);
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Deflate] {
        let mut client = Client::new(&server).await.compressing(encoding);

        let answer = client.infer(message.clone()).await.expect("an answer");

        assert!(answer.raw_output_contents == message.raw_input_contents, "{encoding}");
    }
}

#[tokio::test]
async fn who_does_not_compress_is_not_answered_compressed() {
    let server = Server::start();
    let mut head = request(crate::client::INFER);
    head.headers_mut().insert("grpc-accept-encoding", "gzip,deflate,identity".parse().expect("a value"));
    let body = framed(0, &prost::Message::encode_to_vec(&row(&[1.0])));

    let answer = RawClient::new(server.address).await.send(head, body).await.expect("an answer");

    assert_eq!(answer.status(), (0, ""));
    assert_eq!(answer.headers.get("grpc-encoding"), None);
    assert_eq!(answer.body[0], 0);
}

#[tokio::test]
async fn a_server_told_to_compress_answers_all_so_who_read_it() {
    for (level, accepted, expected) in [
        ("low", "identity,deflate,gzip", Some("gzip")),
        ("medium", "deflate", Some("deflate")),
        ("high", "gzip", Some("gzip")),
        ("high", "identity", None),
        ("none", "gzip", None),
    ] {
        let grpc_effort = Effort::parse(level).expect("a level");
        let server = Server::start_with(Settings { grpc_effort, ..Settings::default() });
        let mut head = request(crate::client::INFER);
        head.headers_mut().insert("grpc-accept-encoding", accepted.parse().expect("a value"));
        let body = framed(0, &prost::Message::encode_to_vec(&row(&[7.0; 1000])));

        let answer = RawClient::new(server.address).await.send(head, body).await.expect("an answer");

        assert_eq!(answer.status(), (0, ""));
        let encoding = answer.headers.get("grpc-encoding").map(|name| name.to_str().expect("text"));
        assert_eq!((encoding, answer.body[0]), (expected, u8::from(expected.is_some())), "{level} {accepted}");
        assert_eq!(answer.body.len() < 1000, expected.is_some(), "{level} {accepted}");
    }
}

#[tokio::test]
async fn a_compressed_answer_is_smaller_and_says_how() {
    let server = Server::start();
    let compressed = {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&prost::Message::encode_to_vec(&row(&[7.0; 1000]))).expect("memory");
        encoder.finish().expect("memory")
    };
    let mut head = request(crate::client::INFER);
    head.headers_mut().insert("grpc-encoding", "gzip".parse().expect("a value"));

    let answer = RawClient::new(server.address).await.send(head, framed(1, &compressed)).await.expect("an answer");

    assert_eq!(answer.status(), (0, ""));
    assert_eq!(answer.headers["grpc-encoding"], "gzip");
    assert_eq!(answer.body[0], 1);
    assert!(answer.body.len() < 1000, "{}", answer.body.len());
}

type Misfit = (&'static str, Code, fn(&mut ModelInferRequest));

/// What a request is told, and what has to be wrong with it for that.
fn misfits() -> [Misfit; 9] {
    use Code::{InvalidArgument, NotFound, Unimplemented};
    [
        ("Request for unknown model: 'nobody' is not found", NotFound, |m| {
            m.model_name = "nobody".into();
        }),
        ("Request for unknown model: 'mirror' version 9 is not found", NotFound, |m| {
            m.model_version = "9".into();
        }),
        (
            "failed to get model version from specified version string 'x' (details: stol), version should be an integral value > 0",
            InvalidArgument,
            |m| m.model_version = "x".into(),
        ),
        ("ModelInfer RPC doesn't support models with decoupled transaction policy", Unimplemented, |m| {
            m.model_name = "stream".into();
        }),
        ("unexpected inference output 'OUTPUT9' for model 'mirror'", InvalidArgument, |m| {
            m.outputs = vec![InferRequestedOutputTensor { name: "OUTPUT9".into(), ..Default::default() }];
        }),
        (
            "[request id: 42] inference input 'INPUT0' data-type is 'INT32', but model 'mirror' expects 'FP32'",
            InvalidArgument,
            |m| m.inputs[0].datatype = "INT32".into(),
        ),
        ("[request id: 42] inference request batch-size must be <= 4 for 'mirror'", InvalidArgument, |m| {
            m.inputs[0].shape = vec![5, 1];
        }),
        (
            "[request id: 42] input byte size mismatch for input 'INPUT0' for model 'mirror'. Expected 8, got 4",
            InvalidArgument,
            |m| m.inputs[0].shape = vec![1, 2],
        ),
        ("unable to find data for input tensor 'INPUT0' for model 'mirror' in request.", InvalidArgument, |m| {
            m.raw_input_contents.clear();
        }),
    ]
}

#[tokio::test]
async fn requests_that_do_not_fit_are_told_why() {
    let server = Server::start();
    let mut client = Client::new(&server).await;
    for (expected, code, change) in misfits() {
        let mut message = ModelInferRequest { id: "42".into(), ..row(&[1.0]) };
        change(&mut message);

        assert_eq!(failure(client.infer(message).await), (code, expected.to_owned()));
    }
    client.infer(row(&[1.0])).await.expect("it still serves");
}

#[tokio::test]
async fn a_deadline_that_passes_ends_the_call_and_frees_the_model() {
    let server = Server::start();
    server.gate.shut();
    let mut message = tonic::Request::new(row(&[1.0]));
    message.set_timeout(Duration::from_millis(50));

    let answer: Result<windlass_core::proto::inference::ModelInferResponse, _> =
        Client::new(&server).await.request(crate::client::INFER, message).await;

    // tonic's own clock may be first, which it reports as a cancellation.
    let (code, _) = failure(answer);
    assert!(matches!(code, Code::DeadlineExceeded | Code::Cancelled), "{code}");
    server.gate.cancelled().await;
}

#[tokio::test]
async fn the_largest_elements_of_an_output_come_as_texts() {
    let server = Server::start();
    let classes = |count| InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(count)) };
    let mut message = row(&[1.0, 3.0, 2.0]);
    message.outputs.push(InferRequestedOutputTensor {
        name: "OUTPUT0".into(),
        parameters: BTreeMap::from([("classification".to_owned(), classes(2))]),
    });

    let answer = Client::new(&server).await.infer(message).await.expect("an answer");

    assert_eq!((&answer.outputs[0].datatype[..], &answer.outputs[0].shape[..]), ("BYTES", &[1, 2][..]));
    assert_eq!(answer.raw_output_contents, [&b"\x0a\x00\x00\x003.000000:1\x0a\x00\x00\x002.000000:2"[..]]);
}
