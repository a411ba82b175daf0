//! The server, as a model's code in a process of its own sees it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::control::ControlParameter;
use crate::error::{Error, Result};
use crate::host::{Host, MetricChange, MetricFamily, MetricKind, MetricName, Replies};
use crate::instance::Outputs;
use crate::isolated::channel::{Channel, gone};
use crate::proto::isolated::{self as proto, call, metric_change, returned, to_server};
use crate::request::Request;

/// The answers of another model.
struct Answers {
    key: u64,
    channel: Arc<Channel>,
    ended: bool,
}

impl Replies for Answers {
    fn next(&mut self) -> Option<Option<Result<Outputs>>> {
        if self.ended {
            return None;
        }
        let key = self.key;
        let found = self.channel.wait(|inbox| inbox.replies.get_mut(&key)?.pop_front());
        let (result, last) = found.unwrap_or((Some(Err(gone())), true));
        if last {
            self.ended = true;
            self.channel.inbox().replies.remove(&key);
        }
        Some(result)
    }

    fn cancel(&mut self) {
        if !self.ended {
            self.ended = true;
            self.channel.inbox().replies.remove(&self.key);
            let key = self.key;
            self.channel.say(|_| to_server::Kind::Stop(key));
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The server, as code in a process of its own sees it.
pub struct Server(pub Arc<Channel>);

impl Host for Server {
    fn infer(&self, model: &str, version: i64, request: Request, decoupled: bool) -> Result<Box<dyn Replies>> {
        let key = self.0.key();
        self.0.inbox().replies.insert(key, VecDeque::new());
        self.0.say(|sender| {
            to_server::Kind::Infer(to_server::Infer {
                key,
                model: model.to_owned(),
                version,
                request: Some(sender.request(key, 0, &request)),
                decoupled,
            })
        });
        Ok(Box::new(Answers { key, channel: Arc::clone(&self.0), ended: false }))
    }

    fn load(&self, model: &str, parameters: Vec<(String, ControlParameter)>) -> Result<()> {
        let mut load = proto::Load { model: model.to_owned(), ..proto::Load::default() };
        for (name, value) in parameters {
            match value {
                ControlParameter::Text(text) if name == "config" => load.config = Some(text),
                ControlParameter::Bytes(content) => {
                    load.files.push(proto::load::File { name, content: content.into() });
                }
                _ => return Err(Error::invalid(format!("unrecognized load parameter '{name}'."))),
            }
        }
        self.0.call(call::Kind::Load(load)).map(drop)
    }

    fn unload(&self, model: &str, unload_dependents: bool) -> Result<()> {
        let unload = proto::Unload { model: model.to_owned(), dependents: unload_dependents };
        self.0.call(call::Kind::Unload(unload)).map(drop)
    }

    fn is_ready(&self, model: &str, version: &str) -> Result<bool> {
        let model = proto::ModelName { name: model.to_owned(), version: version.to_owned() };
        Ok(matches!(self.0.call(call::Kind::IsReady(model))?, Some(returned::Result::Truth(true))))
    }

    fn declare_metric(&self, family: &MetricFamily) -> Result<()> {
        use proto::metric_family::Kind;
        let kind = match family.kind {
            MetricKind::Counter => Kind::Counter,
            MetricKind::Gauge => Kind::Gauge,
            MetricKind::Histogram => Kind::Histogram,
        };
        let (name, description) = (family.name.clone(), family.description.clone());
        let family = proto::MetricFamily { name, description, kind: kind.into() };
        self.0.call(call::Kind::DeclareMetric(family)).map(drop)
    }

    fn change_metric(&self, metric: &MetricName, change: MetricChange) -> Result<f64> {
        let change = match change {
            MetricChange::Keep => None,
            MetricChange::Add => Some(metric_change::Change::Add(true)),
            MetricChange::Increment(amount) => Some(metric_change::Change::Increment(amount)),
            MetricChange::Set(amount) => Some(metric_change::Change::Set(amount)),
            MetricChange::Observe(amount) => Some(metric_change::Change::Observe(amount)),
            MetricChange::Remove => Some(metric_change::Change::Remove(true)),
        };
        let label =
            |(name, value): &(String, String)| proto::metric_change::Label { name: name.clone(), value: value.clone() };
        let metric = proto::MetricChange {
            family: metric.family.clone(),
            labels: metric.labels.iter().map(label).collect(),
            buckets: metric.buckets.clone(),
            change,
        };
        match self.0.call(call::Kind::ChangeMetric(metric))? {
            Some(returned::Result::Number(value)) => Ok(value),
            _ => Err(Error::internal("the server told no value of a metric")),
        }
    }
}
