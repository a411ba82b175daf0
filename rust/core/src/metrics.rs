//! The metrics page: Prometheus' text format, Triton's names, and histograms beside them.

mod custom;
mod gpus;
mod machine;
mod series;
mod settings;
mod summary;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use crate::gpu::Gpus;
use crate::histogram::Histogram;
use crate::metrics::gpus::Meters;
use crate::metrics::machine::Machine;
use crate::metrics::series::{CACHE, DISTRIBUTIONS, Gauge, MACHINE, POOLS, SERIES, SUMMARIES, Series};
use crate::model::Model;
use crate::statistics::{Failure, Totals};

pub(crate) use custom::Families;
pub(crate) use series::{FIRST_RESPONSE, FIRST_RESPONSE_BOUNDS};
pub use settings::MetricSettings;
pub(crate) use summary::Summary;

const FAILURE: &str = "nv_inference_request_failure";
const FAILURE_HELP: &str = "Number of failed inference requests, all batch sizes";

/// Every metric's name, its type and what it tells, for the reference in the documentation.
pub fn catalogue() -> Vec<(&'static str, &'static str, &'static str)> {
    let series = SERIES.iter().chain(CACHE).map(|series| (series.name, series.kind, series.help));
    let gauges = POOLS.iter().chain(MACHINE).map(|row| (row.name, "gauge", row.help));
    let distributions = DISTRIBUTIONS.iter().map(|row| (row.name, "histogram", row.help));
    let summaries = SUMMARIES.iter().map(|row| (row.name, "summary", row.help));
    let meters = gpus::ROWS.iter().map(|row| (row.name, row.kind, row.help));
    series
        .chain([(FAILURE, "counter", FAILURE_HELP)])
        .chain(gauges)
        .chain(meters)
        .chain(distributions)
        .chain(summaries)
        .collect()
}

/// Writes the page.
#[derive(Debug)]
pub(crate) struct Metrics {
    settings: MetricSettings,
    machine: Option<Machine>,
    /// The GPUs, where they are shown.
    meters: Option<Meters>,
    /// Those that models declared themselves.
    pub(crate) families: Families,
}

/// What a version did until the page was asked for: on one GPU, or all else.
struct Read<'a> {
    labels: String,
    model: &'a Model,
    on_gpu: bool,
    totals: Totals,
}

impl Metrics {
    pub(crate) fn new(settings: MetricSettings, gpus: Option<Arc<dyn Gpus>>) -> Self {
        let meters = gpus.zip(settings.gpus).map(|(gpus, interval)| Meters::new(gpus, interval));
        Self { machine: settings.machine.map(Machine::new), meters, settings, families: Families::default() }
    }

    /// Begins to count what is counted from the start of the server. Waits for the driver of GPUs.
    pub(crate) fn begin(&self) {
        self.meters.as_ref().map(Meters::readings);
    }

    /// The page for these versions.
    pub(crate) fn page(&self, models: &[Arc<Model>]) -> String {
        let read: Vec<Read<'_>> = models.iter().flat_map(|model| Read::all(model)).collect();
        let mut page = String::with_capacity(1024 + read.len() * 4096);
        self.write_series(&mut page, &read);
        head(&mut page, FAILURE, FAILURE_HELP, "counter");
        for Read { labels, totals, .. } in &read {
            for (reason, count) in Failure::LABELS.iter().zip(totals.failures) {
                let _ = writeln!(page, "{FAILURE}{{{labels},reason=\"{reason}\"}} {count}");
            }
        }
        self.write_machine(&mut page);
        if let Some(meters) = &self.meters {
            meters.write(&mut page);
        }
        for row in DISTRIBUTIONS {
            let told = || read.iter().filter_map(|read| Some((&read.labels, (row.value)(&read.totals)?)));
            if told().next().is_some() {
                head(&mut page, row.name, row.help, "histogram");
            }
            told().for_each(|(labels, histogram)| buckets(&mut page, row.name, labels, histogram));
        }
        if self.settings.summaries {
            self.write_summaries(&mut page, &read);
        }
        self.families.write(&mut page);
        page
    }

    fn write_series(&self, page: &mut String, read: &[Read<'_>]) {
        let cached = read.iter().any(|read| read.model.is_cached());
        let wanted = |series: &&Series| self.settings.counters || !series.is_of_time();
        for series in SERIES.iter().filter(wanted) {
            write(page, series, read.iter());
        }
        for series in CACHE.iter().filter(|_| cached).filter(wanted) {
            write(page, series, read.iter().filter(|read| read.model.is_cached()));
        }
    }

    fn write_machine(&self, page: &mut String) {
        let load = self.machine.as_ref().map(Machine::load);
        let shown = if load.is_some() { MACHINE } else { &[] };
        for Gauge { name, help, value } in POOLS.iter().chain(shown) {
            head(page, name, help, "gauge");
            let _ = writeln!(page, "{name} {}", value(&load.unwrap_or_default()));
        }
    }

    fn write_summaries(&self, page: &mut String, read: &[Read<'_>]) {
        let now = Instant::now();
        for row in SUMMARIES {
            head(page, row.name, row.help, "summary");
            for Read { labels, model, totals, .. } in read {
                if row.cached.is_some_and(|cached| cached != model.is_cached()) {
                    continue;
                }
                let Some(summaries) = &totals.summaries else { continue };
                let (name, summary) = (row.name, (row.value)(summaries));
                let _ = writeln!(page, "{name}_count{{{labels}}} {}", summary.count);
                let _ = writeln!(page, "{name}_sum{{{labels}}} {}", summary.sum);
                for (text, quantile) in self.settings.quantiles.iter() {
                    let value = summary.quantile(*quantile, now);
                    let _ = writeln!(page, "{name}{{{labels},quantile=\"{text}\"}} {value}");
                }
            }
        }
    }
}

impl<'a> Read<'a> {
    fn all(model: &'a Model) -> impl Iterator<Item = Self> {
        model.statistics.parts().map(move |(gpu, totals)| Self {
            labels: labels(model, gpu),
            model,
            on_gpu: gpu.is_some(),
            totals: totals.clone(),
        })
    }
}

fn write<'a>(page: &mut String, series: &Series, read: impl Iterator<Item = &'a Read<'a>>) {
    head(page, series.name, series.help, series.kind);
    for Read { labels, model, totals, .. } in read.filter(|read| !read.on_gpu || series.is_of_instances()) {
        let _ = writeln!(page, "{}{{{labels}}} {}", series.name, (series.value)(model, totals));
    }
}

/// Whose a metric is: the version, the GPU, and the tags of its configuration.
fn labels(model: &Model, gpu: Option<&str>) -> String {
    let mut labels = format!("model=\"{}\",version=\"{}\"", escaped(&model.spec.model), model.spec.version);
    if let Some(uuid) = gpu {
        let _ = write!(labels, ",gpu_uuid=\"{}\"", escaped(uuid));
    }
    let mut tags: Vec<_> = model.spec.config.metric_tags.iter().collect();
    tags.sort();
    for (tag, value) in tags {
        let tag: String = tag.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let _ = write!(labels, ",_{tag}=\"{}\"", escaped(value));
    }
    labels
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
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
