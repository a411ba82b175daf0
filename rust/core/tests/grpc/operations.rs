//! Everything but inference.

use std::collections::BTreeMap;

use tonic::Code;
use windlass_core::proto::health::health_check_response::ServingStatus;
use windlass_core::proto::health::{HealthCheckRequest, HealthCheckResponse};
use windlass_core::proto::inference::model_repository_parameter::ParameterChoice;
use windlass_core::proto::inference::*;

use crate::client::{Client, failure, row};
use crate::server::Server;

async fn health(client: &mut Client) -> HealthCheckResponse {
    let request = tonic::Request::new(HealthCheckRequest { service: "whatever".into() });
    client.request("/grpc.health.v1.Health/Check", request).await.expect("an answer")
}

fn parameter(name: &str, choice: ParameterChoice) -> BTreeMap<String, ModelRepositoryParameter> {
    BTreeMap::from([(name.to_owned(), ModelRepositoryParameter { parameter_choice: Some(choice) })])
}

#[tokio::test]
async fn a_server_is_live_before_it_is_ready() {
    let server = Server::bare();
    let mut client = Client::new(&server).await;

    let live: ServerLiveResponse = client.call("ServerLive", ServerLiveRequest {}).await.expect("an answer");
    let ready: ServerReadyResponse = client.call("ServerReady", ServerReadyRequest {}).await.expect("an answer");
    assert_eq!((live.live, ready.ready), (true, false));
    assert_eq!(health(&mut client).await.status(), ServingStatus::NotServing);

    server.plane.start();

    let ready: ServerReadyResponse = client.call("ServerReady", ServerReadyRequest {}).await.expect("an answer");
    assert!(ready.ready);
    assert_eq!(health(&mut client).await.status(), ServingStatus::Serving);
}

#[tokio::test]
async fn a_model_is_ready_or_unknown() {
    let server = Server::start();
    let mut client = Client::new(&server).await;
    let ask = |name: &str, version: &str| ModelReadyRequest { name: name.into(), version: version.into() };

    let ready: ModelReadyResponse = client.call("ModelReady", ask("mirror", "1")).await.expect("an answer");
    let unknown = client.call::<_, ModelReadyResponse>("ModelReady", ask("nobody", "")).await;

    assert!(ready.ready);
    assert_eq!(failure(unknown), (Code::NotFound, "Request for unknown model: 'nobody' is not found".to_owned()));
}

#[tokio::test]
async fn the_server_says_what_it_is_and_what_its_models_are() {
    let server = Server::start();
    let mut client = Client::new(&server).await;

    let about: ServerMetadataResponse =
        client.call("ServerMetadata", ServerMetadataRequest {}).await.expect("an answer");
    let ask = ModelMetadataRequest { name: "mirror".into(), version: String::new() };
    let model: ModelMetadataResponse = client.call("ModelMetadata", ask).await.expect("an answer");

    assert_eq!((&*about.name, &*about.version), ("windlass", "1.2.3"));
    assert!(about.extensions.contains(&"statistics".to_owned()), "{:?}", about.extensions);
    assert_eq!((&*model.name, &*model.platform, model.versions), ("mirror", "mirror", vec!["1".to_owned()]));
    let tensors: Vec<_> =
        model.inputs.iter().map(|tensor| (&*tensor.name, &*tensor.datatype, &tensor.shape[..])).collect();
    assert_eq!(tensors, [("INPUT0", "FP32", &[-1, -1][..]), ("INPUT1", "BYTES", &[-1, -1])]);
}

#[tokio::test]
async fn a_model_tells_its_configuration() {
    let server = Server::start();
    let ask = ModelConfigRequest { name: "mirror".into(), version: "1".into() };

    let answer: ModelConfigResponse = Client::new(&server).await.call("ModelConfig", ask).await.expect("an answer");

    let config = answer.config.expect("a configuration");
    assert_eq!((&*config.name, config.max_batch_size), ("mirror", 4));
}

#[tokio::test]
async fn statistics_count_what_was_answered() {
    let server = Server::start();
    let mut client = Client::new(&server).await;
    client.infer(row(&[1.0])).await.expect("an answer");
    let ask = |name: &str, version: &str| ModelStatisticsRequest { name: name.into(), version: version.into() };

    let one: ModelStatisticsResponse = client.call("ModelStatistics", ask("mirror", "")).await.expect("an answer");
    let all: ModelStatisticsResponse = client.call("ModelStatistics", ask("", "")).await.expect("an answer");
    let unknown = client.call::<_, ModelStatisticsResponse>("ModelStatistics", ask("nobody", "")).await;

    let model = &one.model_stats[0];
    assert_eq!((&*model.name, &*model.version, model.inference_count, model.execution_count), ("mirror", "1", 1, 1));
    let totals = model.inference_stats.as_ref().expect("totals");
    assert_eq!(totals.success.as_ref().map(|total| total.count), Some(1));
    assert_eq!(totals.cache_hit.as_ref().map(|total| total.count), Some(0));
    assert_eq!(all.model_stats.len(), 2);
    assert_eq!(failure(unknown), (Code::InvalidArgument, "requested model 'nobody' is not available".to_owned()));
}

#[tokio::test]
async fn the_index_lists_models_with_empty_reasons() {
    let server = Server::start();

    let ask = RepositoryIndexRequest { repository_name: String::new(), ready: true };
    let index: RepositoryIndexResponse =
        Client::new(&server).await.call("RepositoryIndex", ask).await.expect("an answer");

    let lines: Vec<_> = index.models.iter().map(|m| (&*m.name, &*m.version, &*m.state, &*m.reason)).collect();
    assert_eq!(lines, [("mirror", "1", "READY", ""), ("stream", "1", "READY", "")]);
}

#[tokio::test]
async fn loading_and_unloading_is_passed_on_with_its_parameters() {
    let server = Server::start();
    let mut client = Client::new(&server).await;

    let load = RepositoryModelLoadRequest {
        model_name: "new".into(),
        parameters: parameter("config", ParameterChoice::StringParam("{}".into())),
        ..RepositoryModelLoadRequest::default()
    };
    let _: RepositoryModelLoadResponse = client.call("RepositoryModelLoad", load).await.expect("an answer");
    assert_eq!(server.ledger.last(), "load new [(\"config\", Text(\"{}\"))]");

    let unload = RepositoryModelUnloadRequest {
        model_name: "new".into(),
        parameters: parameter("unload_dependents", ParameterChoice::BoolParam(true)),
        ..RepositoryModelUnloadRequest::default()
    };
    let _: RepositoryModelUnloadResponse = client.call("RepositoryModelUnload", unload).await.expect("an answer");
    assert_eq!(server.ledger.last(), "unload new true");
}

#[tokio::test]
async fn what_cannot_be_loaded_is_told() {
    let server = Server::start();
    let mut client = Client::new(&server).await;
    let load = |name: &str, parameters| RepositoryModelLoadRequest {
        model_name: name.into(),
        parameters,
        ..RepositoryModelLoadRequest::default()
    };
    for (request, code, expected) in [
        (
            load("broken", BTreeMap::new()),
            Code::Internal,
            "failed to load 'broken', failed to poll from model repository",
        ),
        (
            load("new", parameter("config", ParameterChoice::BoolParam(true))),
            Code::InvalidArgument,
            "invalid value type for load parameter 'config', expected string_param.",
        ),
        (
            load("new", parameter("file:1/model.onnx", ParameterChoice::StringParam("x".into()))),
            Code::InvalidArgument,
            "invalid value type for load parameter 'file:1/model.onnx', expected bytes_param.",
        ),
        (
            load("new", parameter("colour", ParameterChoice::StringParam("red".into()))),
            Code::InvalidArgument,
            "unrecognized load parameter 'colour'.",
        ),
        (
            RepositoryModelLoadRequest { repository_name: "r".into(), ..load("new", BTreeMap::new()) },
            Code::Unimplemented,
            "'repository_name' specification is not supported",
        ),
    ] {
        let answer = client.call::<_, RepositoryModelLoadResponse>("RepositoryModelLoad", request).await;
        assert_eq!(failure(answer), (code, expected.to_owned()));
    }
}

#[tokio::test]
async fn what_is_not_offered_says_so() {
    let server = Server::start();
    let mut client = Client::new(&server).await;

    for rpc in ["X"] {
        let answer = client.call::<_, ServerLiveResponse>(rpc, ServerLiveRequest {}).await;
        let expected = format!("this server does not offer `/inference.GRPCInferenceService/{rpc}`");
        assert_eq!(failure(answer), (Code::Unimplemented, expected));
    }
}
