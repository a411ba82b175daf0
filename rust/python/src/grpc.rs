//! How gRPC is served, as Python says it.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use windlass_core::error::Result;
use windlass_core::frontend::grpc::{Effort, Upkeep};
use windlass_core::frontend::tls::{Tls, TlsFiles};
use windlass_core::plane::Settings;

/// The members of `windlass.serving.grpc.GrpcSettings`.
#[derive(FromPyObject)]
pub(crate) struct GrpcSettings {
    keepalive_time_ms: u64,
    keepalive_timeout_ms: u64,
    keepalive_permit_without_calls: bool,
    max_connection_age_ms: Option<u64>,
    max_connection_age_grace_ms: Option<u64>,
    tls: Option<GrpcTls>,
    compression_level: String,
}

/// The members of `windlass.serving.grpc.GrpcTls`.
#[derive(FromPyObject)]
struct GrpcTls {
    certificate: PathBuf,
    key: PathBuf,
    clients: Option<PathBuf>,
}

impl GrpcSettings {
    /// Says it to the data plane.
    pub(crate) fn apply(self, settings: Settings) -> Result<Settings> {
        let grpc_upkeep = Upkeep {
            keepalive_time: Duration::from_millis(self.keepalive_time_ms),
            keepalive_timeout: Duration::from_millis(self.keepalive_timeout_ms),
            keepalive_without_calls: self.keepalive_permit_without_calls,
            max_age: self.max_connection_age_ms.map(Duration::from_millis),
            max_age_grace: self.max_connection_age_grace_ms.map(Duration::from_millis),
        };
        let tls = self.tls.map(|GrpcTls { certificate, key, clients }| TlsFiles { certificate, key, clients });
        let grpc_tls = tls.map(|files| Tls::read(&files, b"h2")).transpose()?;
        let grpc_effort = Effort::parse(&self.compression_level)?;
        Ok(Settings { grpc_upkeep, grpc_tls, grpc_effort, ..settings })
    }
}
