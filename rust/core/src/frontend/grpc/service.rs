//! The rpcs, by name; what each means is in `operations` and `infer`.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use prost::Message;

use crate::error::Result;
use crate::frontend::access::Category;
use crate::frontend::fields::Way;
use crate::frontend::grpc::message::Reply;
use crate::frontend::grpc::refusal::Refusal;
use crate::frontend::grpc::{infer, operations, settings, shared_memory};
use crate::frontend::{Door, aside};

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
    LogSettings,
    RepositoryIndex,
    RepositoryModelLoad,
    RepositoryModelUnload,
    ServerLive,
    ServerMetadata,
    ServerReady,
    SystemSharedMemoryRegister,
    SystemSharedMemoryStatus,
    SystemSharedMemoryUnregister,
    TraceSetting,
}

const INFERENCE: &str = "/inference.GRPCInferenceService/";
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// Rpcs of the inference service, the one called most in front.
const OFFERED: [(&str, Rpc); 19] = [
    ("ModelInfer", Rpc::ModelInfer),
    ("LogSettings", Rpc::LogSettings),
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
    ("TraceSetting", Rpc::TraceSetting),
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

    /// What it is restricted as.
    fn category(self) -> Category {
        match self {
            Self::Check | Self::ModelReady | Self::ServerLive | Self::ServerReady => Category::Health,
            Self::ModelMetadata | Self::ServerMetadata => Category::Metadata,
            Self::ModelConfig => Category::ModelConfig,
            Self::ModelInfer => Category::Inference,
            Self::ModelStatistics => Category::Statistics,
            Self::RepositoryIndex | Self::RepositoryModelLoad | Self::RepositoryModelUnload => {
                Category::ModelRepository
            }
            Self::SystemSharedMemoryRegister
            | Self::SystemSharedMemoryStatus
            | Self::SystemSharedMemoryUnregister
            | Self::CudaSharedMemoryRegister
            | Self::CudaSharedMemoryStatus
            | Self::CudaSharedMemoryUnregister => Category::SharedMemory,
            Self::TraceSetting => Category::Trace,
            Self::LogSettings => Category::Logging,
        }
    }

    /// Answers a message.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a message that is none; what the operation says.
    pub(super) async fn answer(
        self,
        door: &Door,
        message: Bytes,
        inbound: &Inbound<'_>,
    ) -> std::result::Result<Reply, Refusal> {
        let plane = &*door.plane;
        if let Err(field) = plane.restrictions(Way::Grpc).check(self.category(), inbound.headers) {
            return Err(Refusal::restricted(field));
        }
        match self {
            Self::ModelInfer => infer::infer(door, message, inbound).await,
            Self::RepositoryModelLoad => reply(operations::load(plane, decode(message)?).await),
            Self::RepositoryModelUnload => reply(operations::unload(plane, decode(message)?).await),
            Self::Check => Reply::new(&operations::check(plane)),
            Self::ModelConfig => reply(operations::model_config(plane, &decode(message)?)),
            Self::ModelMetadata => reply(operations::model_metadata(plane, &decode(message)?)),
            Self::ModelReady => reply(operations::model_ready(plane, &decode(message)?)),
            Self::ModelStatistics => reply(operations::model_statistics(plane, &decode(message)?)),
            Self::RepositoryIndex => reply(operations::repository_index(plane, &decode(message)?)),
            Self::TraceSetting => reply(settings::trace(plane, &decode(message)?)),
            Self::LogSettings => {
                if let Some(wanted) = settings::log_wanted(plane.log().settings(), decode(message)?)? {
                    door.plane.change_log(wanted).await?;
                }
                Reply::new(&settings::log(plane))
            }
            Self::ServerLive => Reply::new(&operations::server_live(plane)),
            Self::ServerMetadata => Reply::new(&operations::server_metadata(plane)),
            Self::ServerReady => Reply::new(&operations::server_ready(plane)),
            Self::SystemSharedMemoryRegister => reply(shared_memory::register(plane.regions(), &decode(message)?)),
            Self::SystemSharedMemoryStatus => reply(shared_memory::status(plane.regions(), &decode(message)?)),
            Self::SystemSharedMemoryUnregister => reply(shared_memory::unregister(plane.regions(), &decode(message)?)),
            // The driver of a GPU opens and closes memory in its own time.
            Self::CudaSharedMemoryRegister => {
                let (regions, request) = (Arc::clone(plane.regions()), decode(message)?);
                reply(aside::run(true, move || shared_memory::register_cuda(&regions, &request)).await)
            }
            Self::CudaSharedMemoryStatus => reply(shared_memory::cuda_status(plane.regions(), &decode(message)?)),
            Self::CudaSharedMemoryUnregister => {
                let (regions, request) = (Arc::clone(plane.regions()), decode(message)?);
                reply(aside::run(true, move || shared_memory::unregister_cuda(&regions, &request)).await)
            }
        }
    }
}

/// What came before the message.
pub(super) struct Inbound<'a> {
    pub(super) headers: &'a HeaderMap,
    /// When the message began to be read, and when it was; only where somebody might ask.
    pub(super) read: Option<(u64, u64)>,
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
        for path in ["/inference.GRPCInferenceService/Nothing", "/inference.Other/ModelInfer", "/", ""] {
            let refusal = Rpc::find(path).expect_err("a refusal");
            assert_eq!((refusal.status, &refusal.message[..]), (12, &*format!("this server does not offer `{path}`")));
        }
    }
}
