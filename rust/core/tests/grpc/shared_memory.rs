//! Tensors that stay in the client's memory.

use std::collections::BTreeMap;

use tonic::Code;
use windlass_core::proto::inference::infer_parameter::ParameterChoice;
use windlass_core::proto::inference::model_infer_request::InferRequestedOutputTensor;
use windlass_core::proto::inference::{
    CudaSharedMemoryRegisterRequest, CudaSharedMemoryRegisterResponse, CudaSharedMemoryStatusRequest,
    CudaSharedMemoryStatusResponse, CudaSharedMemoryUnregisterRequest, CudaSharedMemoryUnregisterResponse,
    InferParameter, InferTensorContents, ModelInferRequest, SystemSharedMemoryRegisterRequest,
    SystemSharedMemoryRegisterResponse, SystemSharedMemoryStatusRequest, SystemSharedMemoryStatusResponse,
    SystemSharedMemoryUnregisterRequest, SystemSharedMemoryUnregisterResponse,
};

use crate::client::{Client, failure, row};
use crate::segment::Segment;
use crate::server::Server;

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn place(region: &str, offset: i64, byte_size: i64) -> BTreeMap<String, InferParameter> {
    let value = |choice| InferParameter { parameter_choice: Some(choice) };
    BTreeMap::from([
        ("shared_memory_region".to_owned(), value(ParameterChoice::StringParam(region.to_owned()))),
        ("shared_memory_offset".to_owned(), value(ParameterChoice::Int64Param(offset))),
        ("shared_memory_byte_size".to_owned(), value(ParameterChoice::Int64Param(byte_size))),
    ])
}

/// Two numbers from one place, and back to another.
fn between(from: BTreeMap<String, InferParameter>, to: BTreeMap<String, InferParameter>) -> ModelInferRequest {
    let mut message = row(&[0.0, 0.0]);
    message.raw_input_contents.clear();
    message.inputs[0].parameters = from;
    message.outputs.push(InferRequestedOutputTensor { name: "OUTPUT0".into(), parameters: to });
    message
}

async fn register(client: &mut Client, name: &str, segment: &Segment, byte_size: u64) {
    let request =
        SystemSharedMemoryRegisterRequest { name: name.into(), key: segment.key.clone(), offset: 0, byte_size };
    let answer = client.call::<_, SystemSharedMemoryRegisterResponse>("SystemSharedMemoryRegister", request).await;
    answer.expect("a region");
}

#[tokio::test]
async fn inputs_are_read_from_a_region_and_outputs_written_to_one() {
    let server = Server::start();
    let segment = Segment::new("grpc_infer", &floats(&[0.0, 1.0, 2.5, 0.0, 0.0]));
    let mut client = Client::new(&server).await;
    register(&mut client, "r", &segment, 20).await;

    let answer = client.infer(between(place("r", 4, 8), place("r", 12, 8))).await.expect("an answer");

    assert_eq!(answer.outputs[0].shape, [1, 2]);
    assert_eq!(answer.raw_output_contents, [b""]);
    assert_eq!(segment.floats(), [0.0, 1.0, 2.5, 1.0, 2.5]);
}

#[tokio::test]
async fn regions_are_shown_and_forgotten() {
    let server = Server::start();
    let segment = Segment::new("grpc_status", &floats(&[1.0, 2.0]));
    let mut client = Client::new(&server).await;
    register(&mut client, "r", &segment, 8).await;

    let all = SystemSharedMemoryStatusRequest::default();
    let answer: SystemSharedMemoryStatusResponse =
        client.call("SystemSharedMemoryStatus", all.clone()).await.expect("all");
    let region = &answer.regions["r"];
    assert_eq!((&region.name[..], &region.key, region.offset, region.byte_size), ("r", &segment.key, 0, 8));
    let again = SystemSharedMemoryRegisterRequest { name: "r".into(), ..SystemSharedMemoryRegisterRequest::default() };
    let answer = client.call::<_, SystemSharedMemoryRegisterResponse>("SystemSharedMemoryRegister", again).await;
    assert_eq!(failure(answer), (Code::AlreadyExists, "shared memory region 'r' already in manager".to_owned()));
    let gone = SystemSharedMemoryUnregisterRequest { name: "r".into() };
    let answer = client.call::<_, SystemSharedMemoryUnregisterResponse>("SystemSharedMemoryUnregister", gone).await;
    answer.expect("it was there");
    let answer: SystemSharedMemoryStatusResponse = client.call("SystemSharedMemoryStatus", all).await.expect("all");
    assert!(answer.regions.is_empty());
    let named = SystemSharedMemoryStatusRequest { name: "r".into() };
    let answer = client.call::<_, SystemSharedMemoryStatusResponse>("SystemSharedMemoryStatus", named).await;
    assert_eq!(failure(answer), (Code::NotFound, "Unable to find system shared memory region: 'r'".to_owned()));
}

#[tokio::test]
async fn a_place_in_a_region_has_to_be_right() {
    let server = Server::start();
    let segment = Segment::new("grpc_place", &floats(&[1.0, 2.5]));
    let mut client = Client::new(&server).await;
    register(&mut client, "r", &segment, 8).await;
    let (good, none) = (|| place("r", 0, 8), BTreeMap::new);
    let mut contents = between(good(), none());
    contents.inputs[0].contents =
        Some(InferTensorContents { fp32_contents: vec![1.0], ..InferTensorContents::default() });
    for (message, code, text) in [
        (between(place("x", 0, 8), none()), Code::NotFound, "Unable to find shared memory region: 'x'"),
        (
            between(place("r", 4, 8), none()),
            Code::InvalidArgument,
            "Invalid offset + byte size for shared memory region: 'r'",
        ),
        (between(place("r", -4, 8), none()), Code::InvalidArgument, "Invalid offset for shared memory region: 'r'"),
        (
            between(good(), place("r", 0, 4)),
            Code::InvalidArgument,
            "shared memory size specified with the request for output 'OUTPUT0' (4 bytes) should be at least 8 bytes to hold the results",
        ),
        (
            contents,
            Code::InvalidArgument,
            "unexpected 'content' provided when using shared memory for input tensor 'INPUT0' for model 'mirror'",
        ),
    ] {
        assert_eq!(failure(client.infer(message).await), (code, text.to_owned()));
    }
}

#[tokio::test]
async fn memory_of_gpus_is_refused() {
    let server = Server::start();
    let mut client = Client::new(&server).await;

    let request = CudaSharedMemoryRegisterRequest { name: "c".into(), ..CudaSharedMemoryRegisterRequest::default() };
    let answer = client.call::<_, CudaSharedMemoryRegisterResponse>("CudaSharedMemoryRegister", request).await;
    let text = "failed to register CUDA shared memory region: 'c', GPUs not supported".to_owned();
    assert_eq!(failure(answer), (Code::Unimplemented, text));
    let all = CudaSharedMemoryStatusRequest::default();
    let answer: CudaSharedMemoryStatusResponse = client.call("CudaSharedMemoryStatus", all).await.expect("none");
    assert!(answer.regions.is_empty());
    let gone = CudaSharedMemoryUnregisterRequest { name: "c".into() };
    let answer = client.call::<_, CudaSharedMemoryUnregisterResponse>("CudaSharedMemoryUnregister", gone).await;
    answer.expect("it does not have to be there");
}
