//! What is counted of every version: one table for each kind of metric, in the order of the page.

use crate::histogram::Histogram;
use crate::metrics::machine::Load;
use crate::metrics::summary::Summary;
use crate::model::Model;
use crate::statistics::{Summaries, Totals};

/// A counter or gauge read off the totals of a version.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: &'static str,
    pub(super) value: fn(&Model, &Totals) -> f64,
}

impl Series {
    /// Whether it sums up the times of requests.
    pub(super) fn is_of_time(&self) -> bool {
        self.name.contains("_duration_us") || self.name.contains("_duration_per_model")
    }

    /// Whether instances do what it counts; all else belongs to the version, wherever its instances are.
    pub(super) fn is_of_instances(&self) -> bool {
        self.name.starts_with("nv_inference_") && self.kind == "counter"
    }
}

fn microseconds(ns: u64) -> f64 {
    (ns / 1000) as f64
}

pub(super) const SERIES: &[Series] = &[
    Series {
        name: "nv_inference_request_success",
        help: "Number of successful inference requests, all batch sizes",
        kind: "counter",
        value: |_, totals| totals.success.count as f64,
    },
    Series {
        name: "nv_inference_count",
        help: "Number of inferences performed (does not include cached requests)",
        kind: "counter",
        value: |_, totals| totals.inference_count as f64,
    },
    Series {
        name: "nv_inference_exec_count",
        help: "Number of model executions performed (does not include cached requests)",
        kind: "counter",
        value: |_, totals| totals.execution_count as f64,
    },
    Series {
        name: "nv_inference_request_duration_us",
        help: "Cumulative inference request duration in microseconds (includes cached requests)",
        kind: "counter",
        value: |_, totals| microseconds(totals.success.ns),
    },
    Series {
        name: "nv_inference_queue_duration_us",
        help: "Cumulative inference queuing duration in microseconds (includes cached requests)",
        kind: "counter",
        value: |_, totals| microseconds(totals.queue.ns),
    },
    Series {
        name: "nv_inference_compute_input_duration_us",
        help: "Cumulative compute input duration in microseconds (does not include cached requests)",
        kind: "counter",
        value: |_, totals| microseconds(totals.compute_input.ns),
    },
    Series {
        name: "nv_inference_compute_infer_duration_us",
        help: "Cumulative compute inference duration in microseconds (does not include cached requests)",
        kind: "counter",
        value: |_, totals| microseconds(totals.compute_infer.ns),
    },
    Series {
        name: "nv_inference_compute_output_duration_us",
        help: "Cumulative inference compute output duration in microseconds (does not include cached requests)",
        kind: "counter",
        value: |_, totals| microseconds(totals.compute_output.ns),
    },
    Series {
        name: "nv_inference_pending_request_count",
        help: "Instantaneous number of pending requests awaiting execution per-model.",
        kind: "gauge",
        value: |model, _| model.pending() as f64,
    },
    Series {
        name: "nv_model_load_duration_secs",
        help: "Model load time in seconds",
        kind: "gauge",
        value: |model, _| model.load_time.as_secs_f64(),
    },
];

/// Told of models whose answers are kept, and of no others.
pub(super) const CACHE: &[Series] = &[
    Series {
        name: "nv_cache_num_hits_per_model",
        help: "Number of cache hits per model",
        kind: "counter",
        value: |_, totals| totals.cache_hit.count as f64,
    },
    Series {
        name: "nv_cache_hit_duration_per_model",
        help: "Total cache hit duration per model, in microseconds",
        kind: "counter",
        value: |_, totals| microseconds(totals.cache_hit.ns),
    },
    Series {
        name: "nv_cache_num_misses_per_model",
        help: "Number of cache misses per model",
        kind: "counter",
        value: |_, totals| totals.cache_miss.count as f64,
    },
    Series {
        name: "nv_cache_miss_duration_per_model",
        help: "Total cache miss (insert+lookup) duration per model, in microseconds",
        kind: "counter",
        value: |_, totals| microseconds(totals.cache_miss.ns),
    },
];

/// A histogram read off the totals of a version, where it has it.
pub(super) struct Distribution {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) value: fn(&Totals) -> Option<&Histogram>,
}

pub(super) const DISTRIBUTIONS: &[Distribution] = &[
    Distribution {
        name: FIRST_RESPONSE,
        help: "Duration from request to first response in milliseconds",
        value: |totals| totals.first_response.as_ref(),
    },
    Distribution {
        name: "windlass_request_duration_seconds",
        help: "Time from the arrival of a request to its answer",
        value: |totals| Some(&totals.latency),
    },
    Distribution {
        name: "windlass_queue_duration_seconds",
        help: "Time of a request in the queue",
        value: |totals| Some(&totals.queue_time),
    },
    Distribution {
        name: "windlass_compute_duration_seconds",
        help: "Time of the execution that a request was part of",
        value: |totals| Some(&totals.compute_time),
    },
    Distribution {
        name: "windlass_batch_size",
        help: "Rows of the batches executed",
        value: |totals| Some(&totals.batch_size),
    },
];

/// The histogram of decoupled models.
pub(crate) const FIRST_RESPONSE: &str = "nv_inference_first_response_histogram_ms";
/// Its bounds, where the model's configuration names no others.
pub(crate) const FIRST_RESPONSE_BOUNDS: &[f64] = &[100.0, 500.0, 2000.0, 5000.0];

/// Quantiles read off the summaries of a version.
pub(super) struct Quantiles {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// Whether it is told of models whose answers are kept, and of others.
    pub(super) cached: Option<bool>,
    pub(super) value: fn(&Summaries) -> &Summary,
}

pub(super) const SUMMARIES: &[Quantiles] = &[
    Quantiles {
        name: "nv_inference_request_summary_us",
        help: "Summary of inference request duration in microseconds (includes cached requests)",
        cached: Some(false),
        value: |summaries| &summaries.request,
    },
    Quantiles {
        name: "nv_inference_queue_summary_us",
        help: "Summary of inference queuing duration in microseconds (includes cached requests)",
        cached: None,
        value: |summaries| &summaries.queue,
    },
    Quantiles {
        name: "nv_inference_compute_input_summary_us",
        help: "Summary of compute input duration in microseconds (does not include cached requests)",
        cached: None,
        value: |summaries| &summaries.compute_input,
    },
    Quantiles {
        name: "nv_inference_compute_infer_summary_us",
        help: "Summary of compute inference duration in microseconds (does not include cached requests)",
        cached: None,
        value: |summaries| &summaries.compute_infer,
    },
    Quantiles {
        name: "nv_inference_compute_output_summary_us",
        help: "Summary of compute output duration in microseconds (does not include cached requests)",
        cached: None,
        value: |summaries| &summaries.compute_output,
    },
    Quantiles {
        name: "nv_cache_hit_summary_per_model",
        help: "Summary of cache hit counts/durations per model, in microseconds.",
        cached: Some(true),
        value: |summaries| &summaries.cache_hit,
    },
    Quantiles {
        name: "nv_cache_miss_summary_per_model",
        help: "Summary of cache miss counts/durations per model, in microseconds.",
        cached: Some(true),
        value: |summaries| &summaries.cache_miss,
    },
];

/// A gauge of the whole machine.
pub(super) struct Gauge {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) value: fn(&Load) -> f64,
}

/// There is no pool of pinned memory; dashboards that show one show an empty one.
pub(super) const POOLS: &[Gauge] = &[
    Gauge {
        name: "nv_pinned_memory_pool_total_bytes",
        help: "Pinned memory pool total memory size, in bytes",
        value: |_| 0.0,
    },
    Gauge {
        name: "nv_pinned_memory_pool_used_bytes",
        help: "Pinned memory pool used memory size, in bytes",
        value: |_| 0.0,
    },
];

pub(super) const MACHINE: &[Gauge] = &[
    Gauge { name: "nv_cpu_utilization", help: "CPU utilization rate [0.0 - 1.0]", value: |load| load.utilization },
    Gauge {
        name: "nv_cpu_memory_total_bytes",
        help: "CPU total memory (RAM), in bytes",
        value: |load| load.memory_total_bytes,
    },
    Gauge {
        name: "nv_cpu_memory_used_bytes",
        help: "CPU used memory (RAM), in bytes",
        value: |load| load.memory_used_bytes,
    },
];
