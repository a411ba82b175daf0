//! What of the settings comes as text, as the command line has it, and is read here once.

use std::time::Duration;

use pyo3::prelude::*;
use windlass_core::error::Result;
use windlass_core::frontend::access::Restrictions;
use windlass_core::frontend::fields::Forwarding;
use windlass_core::log::LogSettings;
use windlass_core::metrics::MetricSettings;
use windlass_core::plane::Settings;
use windlass_core::trace::settings::Setup;

/// What is told of requests, and to whom; a dictionary on the Python side.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
#[allow(clippy::struct_excessive_bools)] // switches of the command line
pub(crate) struct Observation {
    trace_config: Vec<String>,
    http_header_forward_pattern: String,
    grpc_header_forward_pattern: String,
    http_restricted_api: Vec<String>,
    grpc_restricted_protocol: Vec<String>,
    log_file: String,
    log_info: bool,
    log_warning: bool,
    log_error: bool,
    log_verbose: u32,
    log_format: String,
    metrics_config: Vec<String>,
    metrics_interval_ms: u64,
    cpu_metrics: bool,
    gpu_metrics: bool,
}

impl Observation {
    /// Adds it to the settings.
    ///
    /// # Errors
    /// `INVALID_ARG` with the text that is wrong and what was expected.
    pub(crate) fn apply(self, settings: Settings) -> Result<Settings> {
        fn each(list: &[String]) -> impl Iterator<Item = &str> {
            list.iter().map(String::as_str)
        }
        let interval = Duration::from_millis(self.metrics_interval_ms);
        Ok(Settings {
            trace: Setup::parse(each(&self.trace_config))?,
            http_forwarding: Forwarding::parse(&self.http_header_forward_pattern)?,
            grpc_forwarding: Forwarding::parse(&self.grpc_header_forward_pattern)?,
            http_restrictions: Restrictions::parse(each(&self.http_restricted_api), "")?,
            grpc_restrictions: Restrictions::parse(each(&self.grpc_restricted_protocol), "triton-grpc-protocol-")?,
            metrics_page: MetricSettings {
                machine: self.cpu_metrics.then_some(interval),
                gpus: self.gpu_metrics.then_some(interval),
                ..MetricSettings::parse(each(&self.metrics_config))?
            },
            log: LogSettings {
                file: self.log_file,
                info: self.log_info,
                warning: self.log_warning,
                error: self.log_error,
                verbose_level: self.log_verbose,
                format: self.log_format,
            },
            ..settings
        })
    }
}
