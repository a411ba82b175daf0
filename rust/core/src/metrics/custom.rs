//! Metrics that models declare and change themselves. They stand on the metrics page under their own names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Code, Error, Result};
use crate::host::{MetricChange, MetricFamily, MetricKind, MetricName};
use crate::metrics::escaped;

/// Families by name.
#[derive(Debug, Default)]
pub(crate) struct Families(Mutex<BTreeMap<String, Family>>);

#[derive(Debug)]
struct Family {
    description: String,
    kind: MetricKind,
    metrics: BTreeMap<Vec<(String, String)>, Metric>,
}

#[derive(Debug, Default)]
struct Metric {
    /// Of a histogram: the sum of what was observed.
    value: f64,
    /// Upper bounds of a histogram, with how many observations were no greater and greater than the bound before.
    buckets: Vec<(f64, u64)>,
    /// Observations beyond the last bound.
    beyond: u64,
    /// How many use it.
    users: usize,
}

impl MetricKind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Families {
    pub(crate) fn declare(&self, family: &MetricFamily) -> Result<()> {
        let MetricFamily { name, description, kind } = family;
        if !is_name(name, true) {
            let rule = "letters, digits, `_` and `:`, not beginning with a digit";
            return Err(Error::invalid(format!("metric family name `{name}`: expected {rule}")));
        }
        let mut families = self.lock();
        let known = families.entry(name.clone()).or_insert_with(|| Family {
            description: description.clone(),
            kind: *kind,
            metrics: BTreeMap::new(),
        });
        if known.kind != *kind {
            return Err(Error::invalid("Family name already exists with different type"));
        }
        Ok(())
    }

    pub(crate) fn change(&self, name: &MetricName, change: MetricChange) -> Result<f64> {
        let mut families = self.lock();
        let family = families
            .get_mut(&name.family)
            .ok_or_else(|| Error::new(Code::NotFound, format!("metric family `{}` was not declared", name.family)))?;
        if let Some((label, _)) = name.labels.iter().find(|(label, _)| !is_name(label, false)) {
            return Err(Error::invalid(format!("label `{label}` of metric family `{}` is no name", name.family)));
        }
        let kind = family.kind;
        let metric = family.metrics.entry(name.labels.clone()).or_insert_with(|| Metric {
            buckets: name.buckets.iter().map(|&bound| (bound, 0)).collect(),
            ..Metric::default()
        });
        match (kind, change) {
            (MetricKind::Counter | MetricKind::Gauge, MetricChange::Keep) => {}
            (_, MetricChange::Add) => metric.users += 1,
            (_, MetricChange::Remove) => {
                metric.users = metric.users.saturating_sub(1);
                let value = metric.value;
                if metric.users == 0 {
                    family.metrics.remove(&name.labels);
                }
                return Ok(value);
            }
            (MetricKind::Counter, MetricChange::Increment(by)) if by < 0.0 => {
                return Err(Error::invalid(
                    "TRITONSERVER_METRIC_KIND_COUNTER can only be incremented monotonically by non-negative values.",
                ));
            }
            (MetricKind::Counter | MetricKind::Gauge, MetricChange::Increment(by)) => metric.value += by,
            (MetricKind::Gauge, MetricChange::Set(value)) => metric.value = value,
            (MetricKind::Histogram, MetricChange::Observe(value)) => metric.observe(value),
            (kind, change) => return Err(unsupported(kind, change)),
        }
        Ok(metric.value)
    }

    /// Writes all of them to the metrics page.
    pub(crate) fn write(&self, page: &mut String) {
        for (name, family) in self.lock().iter().filter(|(_, family)| !family.metrics.is_empty()) {
            let help = family.description.replace('\\', "\\\\").replace('\n', "\\n");
            let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {}", family.kind.name());
            for (labels, metric) in &family.metrics {
                let labels: Vec<String> =
                    labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
                metric.write(page, name, &labels.join(","), family.kind);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metric {
    fn observe(&mut self, value: f64) {
        self.value += value;
        match self.buckets.iter_mut().find(|(bound, _)| value <= *bound) {
            Some((_, count)) => *count += 1,
            None => self.beyond += 1,
        }
    }

    fn write(&self, page: &mut String, name: &str, labels: &str, kind: MetricKind) {
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        if kind != MetricKind::Histogram {
            let _ = writeln!(page, "{name}{braced} {}", self.value);
            return;
        }
        let comma = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        for (bound, count) in &self.buckets {
            total += count;
            let _ = writeln!(page, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {total}");
        }
        total += self.beyond;
        let _ = writeln!(page, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {total}");
        let _ = writeln!(page, "{name}_sum{braced} {}\n{name}_count{braced} {total}", self.value);
    }
}

fn unsupported(kind: MetricKind, change: MetricChange) -> Error {
    let change = match change {
        MetricChange::Increment(_) => "Increment",
        MetricChange::Set(_) => "Set",
        MetricChange::Observe(_) => "Observe",
        _ => "Value",
    };
    let kind = kind.name().to_uppercase();
    Error::new(Code::Unsupported, format!("TRITONSERVER_METRIC_KIND_{kind} does not support {change}"))
}

fn is_name(text: &str, colons: bool) -> bool {
    text.starts_with(|first: char| !first.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(kind: MetricKind) -> Families {
        let families = Families::default();
        let family = MetricFamily { name: "seen".to_owned(), description: "What was seen".to_owned(), kind };
        families.declare(&family).expect("a good name");
        families.declare(&family).expect("the same once more");
        families
    }

    fn metric(value: &str) -> MetricName {
        let labels = vec![("of".to_owned(), value.to_owned())];
        MetricName { family: "seen".to_owned(), labels, buckets: vec![0.5, 2.0] }
    }

    fn page(families: &Families) -> String {
        let mut page = String::new();
        families.write(&mut page);
        page
    }

    #[test]
    fn a_counter_rises_and_never_falls() {
        let families = declared(MetricKind::Counter);
        families.change(&metric("a\"b"), MetricChange::Increment(2.5)).expect("a counter rises");
        assert_eq!(
            families.change(&metric("a\"b"), MetricChange::Increment(-1.0)).map_err(|error| error.code),
            Err(Code::InvalidArgument)
        );
        let refused = families.change(&metric("a\"b"), MetricChange::Set(1.0)).expect_err("a counter is not set");
        assert_eq!(refused.code, Code::Unsupported);
        assert_eq!(page(&families), "# HELP seen What was seen\n# TYPE seen counter\nseen{of=\"a\\\"b\"} 2.5\n");
    }

    #[test]
    fn a_histogram_counts_by_bounds() {
        let families = declared(MetricKind::Histogram);
        for value in [0.1, 0.5, 1.0, 7.0] {
            families.change(&metric("a"), MetricChange::Observe(value)).expect("a histogram observes");
        }
        assert_eq!(
            page(&families).lines().skip(2).collect::<Vec<_>>(),
            [
                "seen_bucket{of=\"a\",le=\"0.5\"} 2",
                "seen_bucket{of=\"a\",le=\"2\"} 3",
                "seen_bucket{of=\"a\",le=\"+Inf\"} 4",
                "seen_sum{of=\"a\"} 8.6",
                "seen_count{of=\"a\"} 4",
            ]
        );
    }

    #[test]
    fn a_metric_leaves_the_page_with_its_last_user() {
        let families = declared(MetricKind::Gauge);
        for _ in 0..2 {
            families.change(&metric("a"), MetricChange::Add).expect("used");
        }
        families.change(&metric("a"), MetricChange::Set(3.0)).expect("a gauge is set");
        families.change(&metric("a"), MetricChange::Remove).expect("one less");
        assert_eq!(families.change(&metric("a"), MetricChange::Keep), Ok(3.0));
        families.change(&metric("a"), MetricChange::Remove).expect("the last");
        assert_eq!(page(&families), "");
    }

    #[test]
    fn names_are_checked() {
        let families = declared(MetricKind::Gauge);
        for name in ["", "9a", "a b", "ä"] {
            let family = MetricFamily { name: name.to_owned(), description: String::new(), kind: MetricKind::Gauge };
            assert!(families.declare(&family).is_err(), "{name}");
        }
        let other = MetricFamily { name: "seen".to_owned(), description: String::new(), kind: MetricKind::Counter };
        assert!(families.declare(&other).is_err());
        let unknown = MetricName { family: "never".to_owned(), labels: vec![], buckets: vec![] };
        assert_eq!(families.change(&unknown, MetricChange::Keep).map_err(|error| error.code), Err(Code::NotFound));
    }
}
