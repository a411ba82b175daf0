//! The server, as models in its own process see it: a request to another model goes the way of any client's, without the network.

use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use crate::catalog::Catalog;
use crate::control::ControlParameter;
use crate::error::{Code, Error, Result};
use crate::host::{Host, MetricChange, MetricFamily, MetricName, Replies};
use crate::instance::Outputs;
use crate::pending::Pending;
use crate::plane::Plane;
use crate::reactor::Reactor;
use crate::request::Request;

/// A plane that model code may ask. It does not keep the plane alive, which owns the models.
pub(crate) struct LocalHost(Weak<Plane>);

impl LocalHost {
    pub(crate) fn new(plane: &Arc<Plane>) -> Self {
        Self(Arc::downgrade(plane))
    }

    fn plane(&self) -> Result<Arc<Plane>> {
        self.0.upgrade().ok_or_else(Error::stopping)
    }
}

impl Host for LocalHost {
    fn infer(&self, name: &str, version: i64, mut request: Request, decoupled: bool) -> Result<Box<dyn Replies>> {
        let plane = self.plane()?;
        request.trace = request.trace_context.take().and_then(|context| plane.tracing().resume(&context));
        let (reactor, runtime) = plane.guests()?;
        let pending = ask(&plane.catalog, &reactor, name, version, request, decoupled)?;
        Ok(Box::new(Waiting { pending: Some(pending), runtime }))
    }

    fn load(&self, model: &str, parameters: Vec<(String, ControlParameter)>) -> Result<()> {
        self.plane()?.load_here(model, parameters)
    }

    fn unload(&self, model: &str, unload_dependents: bool) -> Result<()> {
        self.plane()?.unload_here(model, unload_dependents)
    }

    fn is_ready(&self, model: &str, version: &str) -> Result<bool> {
        match self.plane()?.model_ready(model, version) {
            Err(error) if matches!(error.code, Code::NotFound | Code::Unavailable) => Ok(false),
            known => known,
        }
    }

    fn declare_metric(&self, family: &MetricFamily) -> Result<()> {
        self.plane()?.metrics.families.declare(family)
    }

    fn change_metric(&self, metric: &MetricName, change: MetricChange) -> Result<f64> {
        self.plane()?.metrics.families.change(metric, change)
    }
}

/// Asks a model on behalf of another one. `version` -1 takes the latest; whoever asks a decoupled model has to expect that.
///
/// # Errors
/// As for any client.
pub(crate) fn ask(
    catalog: &Catalog,
    reactor: &Arc<Reactor>,
    name: &str,
    version: i64,
    request: Request,
    decoupled: bool,
) -> Result<Pending> {
    submit(catalog, reactor, name, version, request, decoupled).map_err(|error| {
        Error::new(error.code, format!("Model {name} - Error when running inference: {}", error.message))
    })
}

fn submit(
    catalog: &Catalog,
    reactor: &Arc<Reactor>,
    name: &str,
    version: i64,
    request: Request,
    decoupled: bool,
) -> Result<Pending> {
    let version = if version < 0 { String::new() } else { version.to_string() };
    let model = catalog.pick(name, &version).map_err(|error| not_ready(name, error))?;
    if model.spec.decoupled && !decoupled {
        return Err(Error::invalid(format!(
            "Model {name} is using the decoupled. The current BLS request call doesn't support models using the decoupled transaction \
             policy. Please use 'decoupled=True' argument to the 'exec' or 'async_exec' calls for decoupled models.'"
        )));
    }
    model.submit(request, reactor)
}

/// A model that cannot answer is told of in the words that models know.
fn not_ready(model: &str, error: Error) -> Error {
    match error.code {
        Code::NotFound | Code::Unavailable => {
            Error::new(error.code, format!("Failed for execute the inference request. Model '{model}' is not ready."))
        }
        _ => error,
    }
}

/// Answers to wait for. The calling thread polls them itself.
struct Waiting {
    /// Dropping it tells the other model that nobody waits.
    pending: Option<Pending>,
    runtime: Handle,
}

impl Replies for Waiting {
    fn next(&mut self) -> Option<Option<Result<Outputs>>> {
        let answer = self.runtime.block_on(self.pending.as_mut()?.next())?;
        let outputs = |result: Result<crate::request::Response>| {
            result.map(|response| Outputs { tensors: response.outputs, parameters: response.parameters })
        };
        Some(answer.result.map(outputs))
    }

    fn cancel(&mut self) {
        self.pending = None;
    }
}
