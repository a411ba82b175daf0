//! How a server is set up, from its start on.

use std::sync::Arc;
use std::time::Duration;

use crate::frontend::access::Restrictions;
use crate::frontend::fields::Forwarding;
use crate::frontend::grpc;
use crate::frontend::tls::Tls;
use crate::gpu::Gpus;
use crate::limiter::Limit;
use crate::log::LogSettings;
use crate::metrics::MetricSettings;
use crate::trace::settings::Setup;

/// How the server is set up.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // switches that have nothing to do with one another
pub struct Settings {
    /// What it calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `host:port` of REST; `None` when it is not served.
    pub http: Option<String>,
    /// `host:port` of gRPC.
    pub grpc: Option<String>,
    /// `host:port` of the metrics page.
    pub metrics: Option<String>,
    /// Whether other servers that allow it too may listen on the port of REST: the kernel spreads connections among them.
    pub reuse_http_port: bool,
    /// The same for the port of gRPC.
    pub reuse_grpc_port: bool,
    /// How connections of gRPC are looked after.
    pub grpc_upkeep: grpc::Upkeep,
    /// Work put into compressing the answers of gRPC; without it only those who compress are answered alike.
    pub grpc_effort: Option<grpc::Effort>,
    /// What gRPC needs to speak TLS; without it, it does not.
    pub grpc_tls: Option<Tls>,
    /// Network threads; 0 chooses one for every two cores.
    pub reactors: usize,
    /// How long one of them may look for more to do before it sleeps, where that saves waking it up; zero is not at all.
    pub busy_poll: Duration,
    /// Largest body of a REST request, in bytes.
    pub http_max_input_bytes: usize,
    /// Whether the server counts as ready only when all its models are.
    pub strict_readiness: bool,
    /// Whether clients may keep tensors in shared memory.
    pub client_shm: bool,
    /// The GPUs of the machine, where somebody drives them.
    pub gpus: Option<Arc<dyn Gpus>>,
    /// Bytes of answers kept for models that ask for it; 0 keeps none.
    pub cache_bytes: usize,
    /// What instances share, and how much there is of it; without this none waits for another.
    pub rate_limits: Option<Vec<Limit>>,
    /// The log as it is written at the start.
    pub log: LogSettings,
    /// What is on the metrics page.
    pub metrics_page: MetricSettings,
    /// What is traced from the start, and where to.
    pub trace: Setup,
    /// Headers of REST requests that become parameters.
    pub http_forwarding: Option<Forwarding>,
    /// Metadata of gRPC requests that become parameters.
    pub grpc_forwarding: Option<Forwarding>,
    /// Operations of REST that not everybody may call.
    pub http_restrictions: Restrictions,
    /// Those of gRPC.
    pub grpc_restrictions: Restrictions,
}
