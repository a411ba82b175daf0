//! The rpcs, by name; what each means is in `operations` and `infer`.

use bytes::Bytes;
use prost::Message;

use crate::error::Result;
use crate::frontend::Door;
use crate::frontend::grpc::message::Reply;
use crate::frontend::grpc::refusal::Refusal;
use crate::frontend::grpc::{infer, operations, shared_memory};
use crate::proto::inference as proto;

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rpc {
    Check,
    CudaSharedMemoryRegister,
    CudaSharedMemoryStatus,
    CudaSharedMemoryUnregister,
    ModelConfig,
    ModelInfer,
    ModelMetadata,
    ModelReady,
    ModelStatistics,
    RepositoryIndex,
    RepositoryModelLoad,
    RepositoryModelUnload,
    ServerLive,
    ServerMetadata,
    ServerReady,
    SystemSharedMemoryRegister,
    SystemSharedMemoryStatus,
    SystemSharedMemoryUnregister,
}

const INFERENCE: &str = "/inference.GRPCInferenceService/";
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// Rpcs of the inference service, the one called most in front.
const OFFERED: [(&str, Rpc); 17] = [
    ("ModelInfer", Rpc::ModelInfer),
    ("ModelConfig", Rpc::ModelConfig),
    ("ModelMetadata", Rpc::ModelMetadata),
    ("ModelReady", Rpc::ModelReady),
    ("ModelStatistics", Rpc::ModelStatistics),
    ("RepositoryIndex", Rpc::RepositoryIndex),
    ("RepositoryModelLoad", Rpc::RepositoryModelLoad),
    ("RepositoryModelUnload", Rpc::RepositoryModelUnload),
    ("ServerLive", Rpc::ServerLive),
    ("ServerMetadata", Rpc::ServerMetadata),
    ("ServerReady", Rpc::ServerReady),
    ("SystemSharedMemoryRegister", Rpc::SystemSharedMemoryRegister),
    ("SystemSharedMemoryStatus", Rpc::SystemSharedMemoryStatus),
    ("SystemSharedMemoryUnregister", Rpc::SystemSharedMemoryUnregister),
    ("CudaSharedMemoryRegister", Rpc::CudaSharedMemoryRegister),
    ("CudaSharedMemoryStatus", Rpc::CudaSharedMemoryStatus),
    ("CudaSharedMemoryUnregister", Rpc::CudaSharedMemoryUnregister),
];

impl Rpc {
    /// The rpc of that path.
    ///
    /// # Errors
    /// UNIMPLEMENTED for all that is not offered.
    pub(super) fn find(path: &str) -> std::result::Result<Self, Refusal> {
        if path == HEALTH_CHECK {
            return Ok(Self::Check);
        }
        let offered = path.strip_prefix(INFERENCE).and_then(|name| OFFERED.iter().find(|row| row.0 == name));
        offered.map(|row| row.1).ok_or_else(|| Refusal::unimplemented(format!("this server does not offer `{path}`")))
    }

    /// Answers a message.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a message that is none; what the operation says.
    pub(super) async fn answer(self, door: &Door, message: Bytes) -> std::result::Result<Reply, Refusal> {
        let plane = &*door.plane;
        match self {
            Self::ModelInfer => infer::infer(door, message).await,
            Self::RepositoryModelLoad => reply(operations::load(plane, decode(message)?).await),
            Self::RepositoryModelUnload => reply(operations::unload(plane, decode(message)?).await),
            Self::Check => Reply::new(&operations::check(plane)),
            Self::ModelConfig => reply(operations::model_config(plane, &decode(message)?)),
            Self::ModelMetadata => reply(operations::model_metadata(plane, &decode(message)?)),
            Self::ModelReady => reply(operations::model_ready(plane, &decode(message)?)),
            Self::ModelStatistics => reply(operations::model_statistics(plane, &decode(message)?)),
            Self::RepositoryIndex => reply(operations::repository_index(plane, &decode(message)?)),
            Self::ServerLive => Reply::new(&operations::server_live(plane)),
            Self::ServerMetadata => Reply::new(&operations::server_metadata(plane)),
            Self::ServerReady => Reply::new(&operations::server_ready(plane)),
            Self::SystemSharedMemoryRegister => reply(shared_memory::register(plane.regions(), &decode(message)?)),
            Self::SystemSharedMemoryStatus => reply(shared_memory::status(plane.regions(), &decode(message)?)),
            Self::SystemSharedMemoryUnregister => reply(shared_memory::unregister(plane.regions(), &decode(message)?)),
            Self::CudaSharedMemoryRegister => reply(shared_memory::register_cuda(plane.regions(), &decode(message)?)),
            Self::CudaSharedMemoryStatus => reply(shared_memory::cuda_status(plane.regions(), &decode(message)?)),
            Self::CudaSharedMemoryUnregister => {
                let _: proto::CudaSharedMemoryUnregisterRequest = decode(message)?;
                reply(shared_memory::unregister_cuda(plane.regions()))
            }
        }
    }
}

/// Decodes a message.
///
/// # Errors
/// `INVALID_ARGUMENT` for bytes that are none.
pub(super) fn decode<M: Message + Default>(message: Bytes) -> std::result::Result<M, Refusal> {
    M::decode(message).map_err(|error| Refusal::invalid(error.to_string()))
}

fn reply(message: Result<impl Message>) -> std::result::Result<Reply, Refusal> {
    Reply::new(&message?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rpcs_are_found_by_their_path() {
        assert_eq!(Rpc::find("/inference.GRPCInferenceService/ModelInfer"), Ok(Rpc::ModelInfer));
        assert_eq!(Rpc::find("/grpc.health.v1.Health/Check"), Ok(Rpc::Check));
    }

    #[test]
    fn what_is_not_offered_is_named() {
        for path in ["/inference.GRPCInferenceService/TraceSetting", "/inference.Other/ModelInfer", "/", ""] {
            let refusal = Rpc::find(path).expect_err("a refusal");
            assert_eq!((refusal.status, &refusal.message[..]), (12, &*format!("this server does not offer `{path}`")));
        }
    }
}
