//! The metrics page: Prometheus' text format, Triton's names, and histograms beside them. One table of what is counted.

mod custom;

use std::fmt::Write as _;
use std::sync::Arc;

use crate::model::Model;
use crate::statistics::{Failure, Histogram, Totals};

pub(crate) use custom::Families;

/// A counter or gauge read off the totals of a version.
struct Series {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    value: fn(&Model, &Totals) -> f64,
}

fn microseconds(ns: u64) -> f64 {
    (ns / 1000) as f64
}

const SERIES: &[Series] = &[
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
const CACHE: &[Series] = &[
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

/// A histogram read off the totals of a version.
struct Distribution {
    name: &'static str,
    help: &'static str,
    value: fn(&Totals) -> &Histogram,
}

const DISTRIBUTIONS: &[Distribution] = &[
    Distribution {
        name: "windlass_request_duration_seconds",
        help: "Time from the arrival of a request to its answer",
        value: |totals| &totals.latency,
    },
    Distribution {
        name: "windlass_queue_duration_seconds",
        help: "Time of a request in the queue",
        value: |totals| &totals.queue_time,
    },
    Distribution {
        name: "windlass_batch_size",
        help: "Rows of the batches executed",
        value: |totals| &totals.batch_size,
    },
];

/// Every metric's name and what it tells, for the reference in the documentation.
pub fn catalogue() -> Vec<(&'static str, &'static str, &'static str)> {
    let failure = ("nv_inference_request_failure", "counter", FAILURE_HELP);
    let series = SERIES.iter().chain(CACHE).map(|series| (series.name, series.kind, series.help));
    let distributions = DISTRIBUTIONS.iter().map(|row| (row.name, "histogram", row.help));
    series.chain([failure]).chain(distributions).collect()
}

const FAILURE_HELP: &str = "Number of failed inference requests, all batch sizes";

/// The page for these versions.
pub(crate) fn page(models: &[Arc<Model>]) -> String {
    let read: Vec<(String, &Arc<Model>, Totals)> =
        models.iter().map(|model| (labels(model), model, model.statistics.lock().clone())).collect();
    let mut page = String::with_capacity(1024 + read.len() * 4096);
    let cached = read.iter().any(|(_, model, _)| model.is_cached());
    for series in SERIES.iter().chain(CACHE.iter().filter(|_| cached)) {
        head(&mut page, series.name, series.help, series.kind);
        let told = |model: &Model| model.is_cached() || !series.name.starts_with("nv_cache_");
        for (labels, model, totals) in read.iter().filter(|(_, model, _)| told(model)) {
            let _ = writeln!(page, "{}{{{labels}}} {}", series.name, (series.value)(model, totals));
        }
    }
    let name = "nv_inference_request_failure";
    head(&mut page, name, FAILURE_HELP, "counter");
    for (labels, _, totals) in &read {
        for (reason, count) in Failure::LABELS.iter().zip(totals.failures) {
            let _ = writeln!(page, "{name}{{{labels},reason=\"{reason}\"}} {count}");
        }
    }
    for row in DISTRIBUTIONS {
        head(&mut page, row.name, row.help, "histogram");
        for (labels, _, totals) in &read {
            buckets(&mut page, row.name, labels, (row.value)(totals));
        }
    }
    page
}

fn labels(model: &Model) -> String {
    let name = model.spec.model.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("model=\"{name}\",version=\"{}\"", model.spec.version)
}

fn head(page: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn buckets(page: &mut String, name: &str, labels: &str, histogram: &Histogram) {
    let mut total = 0;
    for (bound, count) in histogram.bounds.iter().zip(&histogram.counts) {
        total += count;
        let _ = writeln!(page, "{name}_bucket{{{labels},le=\"{bound}\"}} {total}");
    }
    total += histogram.counts.last().copied().unwrap_or_default();
    let _ = writeln!(page, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}");
    let _ = writeln!(page, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {total}", histogram.sum);
}
