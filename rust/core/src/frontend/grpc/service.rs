//! Every rpc of the service, each one line: what it means is in `operations` and `infer`.

use std::sync::Arc;

use tonic::{Code, Request, Response, Status, Streaming};

use crate::frontend::grpc::{infer, operations};
use crate::frontend::{Door, status};
use crate::proto::inference as proto;
use crate::proto::inference::grpc_inference_service_server::GrpcInferenceService;

pub(super) struct Service(pub(super) Arc<Door>);

type Answer<T> = Result<Response<T>, Status>;

fn answer<T>(result: crate::error::Result<T>) -> Answer<T> {
    result.map(Response::new).map_err(status::grpc)
}

/// Writes the rpcs that this server does not offer.
macro_rules! unoffered {
    ($($name:ident($request:ty) -> $response:ty;)*) => {
        $(
            #[doc = "Not offered."]
            fn $name<'life0, 'async_trait>(
                &'life0 self,
                _: Request<$request>,
            ) -> std::pin::Pin<Box<dyn Future<Output = Answer<$response>> + Send + 'async_trait>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                Box::pin(async {
                    Err(Status::new(Code::Unimplemented, concat!("this server does not offer `", stringify!($name), "`")))
                })
            }
        )*
    };
}

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    async fn server_live(&self, _: Request<proto::ServerLiveRequest>) -> Answer<proto::ServerLiveResponse> {
        Ok(Response::new(proto::ServerLiveResponse { live: self.0.plane.live() }))
    }

    async fn server_ready(&self, _: Request<proto::ServerReadyRequest>) -> Answer<proto::ServerReadyResponse> {
        Ok(Response::new(proto::ServerReadyResponse { ready: self.0.plane.ready() }))
    }

    async fn model_ready(&self, request: Request<proto::ModelReadyRequest>) -> Answer<proto::ModelReadyResponse> {
        let request = request.into_inner();
        answer(operations::model_ready(&self.0.plane, &request))
    }

    async fn server_metadata(&self, _: Request<proto::ServerMetadataRequest>) -> Answer<proto::ServerMetadataResponse> {
        Ok(Response::new(operations::server_metadata(&self.0.plane)))
    }

    async fn model_metadata(
        &self,
        request: Request<proto::ModelMetadataRequest>,
    ) -> Answer<proto::ModelMetadataResponse> {
        answer(operations::model_metadata(&self.0.plane, &request.into_inner()))
    }

    async fn model_infer(&self, request: Request<proto::ModelInferRequest>) -> Answer<proto::ModelInferResponse> {
        answer(infer::infer(&self.0, request.into_inner()).await)
    }

    async fn model_config(&self, request: Request<proto::ModelConfigRequest>) -> Answer<proto::ModelConfigResponse> {
        answer(operations::model_config(&self.0.plane, &request.into_inner()))
    }

    async fn model_statistics(
        &self,
        request: Request<proto::ModelStatisticsRequest>,
    ) -> Answer<proto::ModelStatisticsResponse> {
        answer(operations::model_statistics(&self.0.plane, &request.into_inner()))
    }

    async fn repository_index(
        &self,
        request: Request<proto::RepositoryIndexRequest>,
    ) -> Answer<proto::RepositoryIndexResponse> {
        answer(operations::repository_index(&self.0.plane, &request.into_inner()))
    }

    async fn repository_model_load(
        &self,
        request: Request<proto::RepositoryModelLoadRequest>,
    ) -> Answer<proto::RepositoryModelLoadResponse> {
        answer(operations::load(&self.0.plane, request.into_inner()).await)
    }

    async fn repository_model_unload(
        &self,
        request: Request<proto::RepositoryModelUnloadRequest>,
    ) -> Answer<proto::RepositoryModelUnloadResponse> {
        answer(operations::unload(&self.0.plane, request.into_inner()).await)
    }

    type ModelStreamInferStream = tokio_stream::Empty<Result<proto::ModelStreamInferResponse, Status>>;

    async fn model_stream_infer(
        &self,
        _: Request<Streaming<proto::ModelInferRequest>>,
    ) -> Answer<Self::ModelStreamInferStream> {
        Err(Status::new(Code::Unimplemented, "this server does not offer `model_stream_infer`"))
    }

    unoffered! {
        system_shared_memory_status(proto::SystemSharedMemoryStatusRequest) -> proto::SystemSharedMemoryStatusResponse;
        system_shared_memory_register(proto::SystemSharedMemoryRegisterRequest) -> proto::SystemSharedMemoryRegisterResponse;
        system_shared_memory_unregister(proto::SystemSharedMemoryUnregisterRequest) -> proto::SystemSharedMemoryUnregisterResponse;
        cuda_shared_memory_status(proto::CudaSharedMemoryStatusRequest) -> proto::CudaSharedMemoryStatusResponse;
        cuda_shared_memory_register(proto::CudaSharedMemoryRegisterRequest) -> proto::CudaSharedMemoryRegisterResponse;
        cuda_shared_memory_unregister(proto::CudaSharedMemoryUnregisterRequest) -> proto::CudaSharedMemoryUnregisterResponse;
        trace_setting(proto::TraceSettingRequest) -> proto::TraceSettingResponse;
        log_settings(proto::LogSettingsRequest) -> proto::LogSettingsResponse;
    }
}
