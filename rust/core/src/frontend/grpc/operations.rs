//! What gRPC answers besides inference: metadata, configuration, statistics, the repository.

use crate::control::ControlParameter;
use crate::error::{Code, Error, Result};
use crate::plane::Plane;
use crate::proto::health::HealthCheckResponse;
use crate::proto::health::health_check_response::ServingStatus;
use crate::proto::inference as proto;
use crate::proto::inference::model_metadata_response::TensorMetadata;
use crate::proto::inference::model_repository_parameter::ParameterChoice;
use crate::proto::inference::repository_index_response::ModelIndex;
use crate::spec::{Spec, TensorSpec};
use crate::statistics::{BatchTotals, ResponseTotals, Total, Totals};

/// gRPC's own health check. The service asked about does not matter: there is one server behind all.
pub(super) fn check(plane: &Plane) -> HealthCheckResponse {
    let status = if plane.ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}

pub(super) fn server_live(plane: &Plane) -> proto::ServerLiveResponse {
    proto::ServerLiveResponse { live: plane.live() }
}

pub(super) fn server_ready(plane: &Plane) -> proto::ServerReadyResponse {
    proto::ServerReadyResponse { ready: plane.ready() }
}

pub(super) fn model_ready(plane: &Plane, request: &proto::ModelReadyRequest) -> Result<proto::ModelReadyResponse> {
    Ok(proto::ModelReadyResponse { ready: plane.model_ready(&request.name, &request.version)? })
}

pub(super) fn server_metadata(plane: &Plane) -> proto::ServerMetadataResponse {
    proto::ServerMetadataResponse {
        name: plane.name().to_owned(),
        version: plane.version().to_owned(),
        extensions: plane.extensions().map(str::to_owned).collect(),
    }
}

pub(super) fn model_metadata(
    plane: &Plane,
    request: &proto::ModelMetadataRequest,
) -> Result<proto::ModelMetadataResponse> {
    let model = plane.model(&request.name, &request.version)?;
    let versions = match request.version.as_str() {
        "" => plane.ready_versions(&request.name),
        _ => vec![model.spec.version],
    };
    let tensors = |tensors: &[TensorSpec]| tensors.iter().map(|tensor| tensor_metadata(&model.spec, tensor)).collect();
    Ok(proto::ModelMetadataResponse {
        name: model.spec.model.to_string(),
        versions: versions.iter().map(i64::to_string).collect(),
        platform: model.spec.platform.clone(),
        inputs: tensors(&model.spec.inputs),
        outputs: tensors(&model.spec.outputs),
    })
}

fn tensor_metadata(spec: &Spec, tensor: &TensorSpec) -> TensorMetadata {
    TensorMetadata {
        name: tensor.name.to_string(),
        datatype: tensor.data_type.name().to_owned(),
        shape: spec.client_shape(tensor),
    }
}

pub(super) fn model_config(plane: &Plane, request: &proto::ModelConfigRequest) -> Result<proto::ModelConfigResponse> {
    let model = plane.model(&request.name, &request.version)?;
    Ok(proto::ModelConfigResponse { config: Some(model.spec.config.clone()) })
}

pub(super) fn model_statistics(
    plane: &Plane,
    request: &proto::ModelStatisticsRequest,
) -> Result<proto::ModelStatisticsResponse> {
    let rows = plane.statistics(&request.name, &request.version)?;
    let row = |(model, totals): (std::sync::Arc<crate::model::Model>, Totals)| statistics(&model.spec, &totals);
    Ok(proto::ModelStatisticsResponse { model_stats: rows.into_iter().map(row).collect() })
}

fn statistics(spec: &Spec, totals: &Totals) -> proto::ModelStatistics {
    let batch = |(&size, batch): (&usize, &BatchTotals)| proto::InferBatchStatistics {
        batch_size: size as u64,
        compute_input: duration(batch.input),
        compute_infer: duration(batch.infer),
        compute_output: duration(batch.output),
    };
    let response = |(place, response): (usize, &ResponseTotals)| {
        let statistics = proto::InferResponseStatistics {
            compute_infer: duration(response.infer),
            compute_output: duration(response.output),
            success: duration(response.success),
            fail: duration(response.fail),
            empty_response: duration(response.empty),
            cancel: duration(response.cancel),
        };
        (place.to_string(), statistics)
    };
    proto::ModelStatistics {
        name: spec.model.to_string(),
        version: spec.version_text.clone(),
        last_inference: totals.last_inference_ms,
        inference_count: totals.inference_count,
        execution_count: totals.execution_count,
        inference_stats: Some(proto::InferStatistics {
            success: duration(totals.success),
            fail: duration(totals.fail),
            queue: duration(totals.queue),
            compute_input: duration(totals.compute_input),
            compute_infer: duration(totals.compute_infer),
            compute_output: duration(totals.compute_output),
            cache_hit: duration(totals.cache_hit),
            cache_miss: duration(totals.cache_miss),
        }),
        batch_stats: totals.batches.iter().map(batch).collect(),
        response_stats: totals.responses.iter().enumerate().map(response).collect(),
        ..proto::ModelStatistics::default()
    }
}

#[allow(clippy::unnecessary_wraps)] // the shape of a message's field
fn duration(total: Total) -> Option<proto::StatisticDuration> {
    Some(proto::StatisticDuration { count: total.count, ns: total.ns })
}

pub(super) fn repository_index(
    plane: &Plane,
    request: &proto::RepositoryIndexRequest,
) -> Result<proto::RepositoryIndexResponse> {
    refuse_repository_name(&request.repository_name)?;
    let entry = |entry: crate::catalog::IndexEntry| ModelIndex {
        name: entry.model.to_string(),
        version: entry.version.map(|version| version.to_string()).unwrap_or_default(),
        state: entry.state.map(|state| state.name().to_owned()).unwrap_or_default(),
        reason: entry.reason,
    };
    Ok(proto::RepositoryIndexResponse { models: plane.index(request.ready).into_iter().map(entry).collect() })
}

pub(super) async fn load(
    plane: &Plane,
    request: proto::RepositoryModelLoadRequest,
) -> Result<proto::RepositoryModelLoadResponse> {
    refuse_repository_name(&request.repository_name)?;
    let mut parameters = Vec::with_capacity(request.parameters.len());
    for (name, parameter) in request.parameters {
        let wrong = |expected: &str| {
            Error::invalid(format!("invalid value type for load parameter '{name}', expected {expected}."))
        };
        let value = match parameter.parameter_choice {
            Some(ParameterChoice::StringParam(text)) if name == "config" => ControlParameter::Text(text),
            _ if name == "config" => return Err(wrong("string_param")),
            Some(ParameterChoice::BytesParam(bytes)) if name.starts_with("file:") => ControlParameter::Bytes(bytes),
            _ if name.starts_with("file:") => return Err(wrong("bytes_param")),
            _ => return Err(Error::invalid(format!("unrecognized load parameter '{name}'."))),
        };
        parameters.push((name, value));
    }
    plane.load(request.model_name, parameters).await?;
    Ok(proto::RepositoryModelLoadResponse {})
}

pub(super) async fn unload(
    plane: &Plane,
    request: proto::RepositoryModelUnloadRequest,
) -> Result<proto::RepositoryModelUnloadResponse> {
    refuse_repository_name(&request.repository_name)?;
    let mut dependents = false;
    for (name, parameter) in request.parameters {
        match (name.as_str(), parameter.parameter_choice) {
            ("unload_dependents", Some(ParameterChoice::BoolParam(value))) => dependents = value,
            ("unload_dependents", _) => {
                return Err(Error::invalid(
                    "invalid value type for 'unload_dependents' parameter, expected bool_param.",
                ));
            }
            (name, _) => return Err(Error::invalid(format!("unrecognized unload parameter '{name}'."))),
        }
    }
    plane.unload(request.model_name, dependents).await?;
    Ok(proto::RepositoryModelUnloadResponse {})
}

fn refuse_repository_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::Unsupported, "'repository_name' specification is not supported"))
}
