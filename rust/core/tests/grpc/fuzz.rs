//! Some thousands of calls with something wrong in them, the same in every run. `fuzz_watched` has settings, sequences and metadata; the table
//! of all operations is in `tests/http_fuzz`.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use windlass_core::proto::inference::infer_parameter::ParameterChoice;
use windlass_core::proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use windlass_core::proto::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelStreamInferResponse,
};

use crate::client::{Client, INFER, RawClient, STREAM, framed, request, row, words};
use crate::segment::Segment;
use crate::server::Server;

/// A sequence of numbers that looks random and is always the same.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // The shifts of Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    pub(crate) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.roll(3) {
            let at = self.roll(bytes.len() + 1);
            let end = (at + self.roll(12)).min(bytes.len());
            match self.roll(5) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let copy = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, copy));
                }
                3 => bytes.insert(at, [0, 1, 0x7f, 0x80, 0xff][self.roll(5)]),
                _ if at < bytes.len() => bytes[at] ^= 1 << self.roll(8),
                _ => {}
            }
        }
    }
}

/// A request with something of everything.
pub(crate) fn rich() -> ModelInferRequest {
    let value = |choice| InferParameter { parameter_choice: Some(choice) };
    let mut message = row(&[1.0, 2.0]);
    message.id = "42".into();
    message.parameters.insert("priority".into(), value(ParameterChoice::Uint64Param(1)));
    message.parameters.insert("sequence_id".into(), value(ParameterChoice::StringParam("seven".into())));
    message.parameters.insert("sequence_start".into(), value(ParameterChoice::BoolParam(true)));
    message.parameters.insert("timeout".into(), value(ParameterChoice::Int64Param(60_000_000)));
    message.parameters.insert("mine".into(), value(ParameterChoice::StringParam("text".into())));
    message
        .outputs
        .push(InferRequestedOutputTensor { name: "OUTPUT0".into(), ..InferRequestedOutputTensor::default() });
    message
}

/// The same without raw contents.
fn typed() -> ModelInferRequest {
    let contents = InferTensorContents { fp32_contents: vec![1.0, 2.0], ..InferTensorContents::default() };
    let texts = InferTensorContents { bytes_contents: vec![b"hi".to_vec()], ..InferTensorContents::default() };
    let mut message = rich();
    message.raw_input_contents.clear();
    message.inputs[0].contents = Some(contents);
    message.inputs.push(InferInputTensor {
        name: "INPUT1".into(),
        datatype: "BYTES".into(),
        shape: vec![1, 1],
        contents: Some(texts),
        ..InferInputTensor::default()
    });
    message
}

/// The same between places in shared memory.
fn shared() -> ModelInferRequest {
    let value = |choice| InferParameter { parameter_choice: Some(choice) };
    let place = |offset| {
        BTreeMap::from([
            ("shared_memory_region".to_owned(), value(ParameterChoice::StringParam("r".into()))),
            ("shared_memory_offset".to_owned(), value(ParameterChoice::Int64Param(offset))),
            ("shared_memory_byte_size".to_owned(), value(ParameterChoice::Int64Param(8))),
        ])
    };
    let mut message = rich();
    message.raw_input_contents.clear();
    message.inputs[0].parameters = place(0);
    message.outputs[0].parameters = place(8);
    message
}

#[tokio::test]
async fn no_message_is_answered_as_if_the_server_had_failed() {
    const OK: u8 = 0;
    const CLIENTS_FAULTS: [u8; 4] = [3, 5, 8, 12];
    let server = Server::start();
    let mut client = RawClient::new(server.address).await;
    let mut dice = Dice(20_261_121);
    let segment = Segment::new("grpc_fuzz", &[0; 64]);
    server.plane.regions().register("r", &segment.key, 4, 16).expect("a region");
    let seeds = [rich().encode_to_vec(), typed().encode_to_vec(), shared().encode_to_vec()];
    let mut answered = 0;

    for round in 0..4000 {
        let mut message = seeds[round % seeds.len()].clone();
        dice.mutate(&mut message);
        let answer = client.infer(framed(0, &message)).await.expect("an answer");

        let (status, text) = answer.status();
        assert!(status == OK || CLIENTS_FAULTS.contains(&status), "{status} {text}: {message:?}");
        answered += usize::from(status == OK);
    }

    assert!((50..3950).contains(&answered), "{answered}: mutations should neither all harm nor all do nothing");
    Client::new(&server).await.infer(row(&[1.0])).await.expect("it still serves");
}

#[tokio::test]
async fn broken_framing_is_answered_or_ends_the_call() {
    let server = Server::start();
    let mut client = RawClient::new(server.address).await;
    let mut dice = Dice(7);
    let good = framed(0, &rich().encode_to_vec());

    for _ in 0..1000 {
        let mut body = good[..20].to_vec();
        dice.mutate(&mut body);
        body.extend_from_slice(&good[20..]);
        let answer = client.infer(Bytes::from(body)).await.expect("an answer");
        // 13 is what the protocol asks for where a message claims to be compressed and nobody said how.
        assert!([0, 3, 5, 8, 12, 13].contains(&answer.status().0), "{answer:?}");
    }

    Client::new(&server).await.infer(row(&[1.0])).await.expect("it still serves");
}

#[tokio::test]
async fn a_stream_outlives_what_is_wrong_with_its_requests_or_ends_with_the_clients_fault() {
    let server = Server::start();
    let mut client = RawClient::new(server.address).await;
    let mut dice = Dice(20_261_122);
    let seeds = [rich().encode_to_vec(), typed().encode_to_vec(), words("7", &["a", "last:b"]).encode_to_vec()];
    let good = framed(0, &row(&[1.0]).encode_to_vec());
    let (mut ended_well, mut told_of_errors) = (0, 0);

    for round in 0..2000 {
        let mut message = seeds[round % seeds.len()].clone();
        dice.mutate(&mut message);
        let broken = framed(0, &message);
        let mut body = [&good[..], &broken, &good].concat();
        if round % 4 == 0 {
            dice.mutate(&mut body);
        }
        let answer = client.send(request(STREAM), body.into()).await.expect("an answer");

        let (status, text) = answer.status();
        assert!([0, 3, 8, 12, 13].contains(&status), "{status} {text}: {message:?}");
        ended_well += usize::from(status == 0);
        let mut rest = &answer.body[..];
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[1..5].try_into().expect("four")) as usize;
            let answer = ModelStreamInferResponse::decode(&rest[5..][..length]).expect("a message");
            assert!(answer.infer_response.is_some());
            told_of_errors += usize::from(!answer.error_message.is_empty());
            rest = &rest[5 + length..];
        }
    }

    assert!((50..1950).contains(&ended_well) && told_of_errors > 50, "{ended_well} {told_of_errors}");
    Client::new(&server).await.infer(row(&[1.0])).await.expect("it still serves");
}

/// What a client without a compressor of headers sends for one call.
fn conversation() -> Vec<u8> {
    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    }
    let mut headers = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", INFER),
        (":authority", "x"),
        ("content-type", "application/grpc"),
    ] {
        headers.extend([0, name.len() as u8]);
        headers.extend(name.bytes());
        headers.push(value.len() as u8);
        headers.extend(value.bytes());
    }
    let body = framed(0, &rich().encode_to_vec());
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[]), frame(1, 4, 1, &headers), frame(0, 1, 1, &body)]
        .concat()
}

#[tokio::test]
async fn broken_http2_leaves_the_server_serving() {
    let server = Server::start();
    let mut dice = Dice(99);
    let good = conversation();
    let mut sound = TcpStream::connect(server.address).await.expect("a connection");
    sound.write_all(&good).await.expect("a connection");
    let mut answer = Vec::new();
    while !answer.windows(7).any(|part| part == b"OUTPUT0") {
        assert_ne!(
            sound.read_buf(&mut answer).await.expect("a connection"),
            0,
            "the conversation is not sound: {answer:?}"
        );
    }

    for _ in 0..1000 {
        let mut bytes = good.clone();
        dice.mutate(&mut bytes);
        let mut socket = TcpStream::connect(server.address).await.expect("a connection");
        // The server may hang up before everything is sent; if not, it does when nothing more can come.
        if socket.write_all(&bytes).await.is_ok() && socket.shutdown().await.is_ok() {
            let _ = socket.read_to_end(&mut Vec::new()).await;
        }
    }

    Client::new(&server).await.infer(row(&[1.0])).await.expect("it still serves");
}
