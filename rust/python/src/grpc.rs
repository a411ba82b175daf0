//! How gRPC is served, as Python says it.

use std::time::Duration;

use pyo3::prelude::*;
use windlass_core::frontend::grpc::Upkeep;

/// The members of `windlass.serving.grpc.GrpcSettings`.
#[derive(FromPyObject)]
pub(crate) struct GrpcSettings {
    keepalive_time_ms: u64,
    keepalive_timeout_ms: u64,
    keepalive_permit_without_calls: bool,
    max_connection_age_ms: Option<u64>,
    max_connection_age_grace_ms: Option<u64>,
}

impl GrpcSettings {
    pub(crate) fn upkeep(&self) -> Upkeep {
        Upkeep {
            keepalive_time: Duration::from_millis(self.keepalive_time_ms),
            keepalive_timeout: Duration::from_millis(self.keepalive_timeout_ms),
            keepalive_without_calls: self.keepalive_permit_without_calls,
            max_age: self.max_connection_age_ms.map(Duration::from_millis),
            max_age_grace: self.max_connection_age_grace_ms.map(Duration::from_millis),
        }
    }
}
