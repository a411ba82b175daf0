//! A model made of other models: a request runs through them, each as soon as its inputs are there, without copies and without a thread of
//! its own. `graph` says what follows from what, `frame` holds the tensors, `passage` is one request under way and `tally` counts it.

mod frame;
mod graph;
pub(crate) mod labels;
mod passage;
mod tally;

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::catalog::Catalog;
use crate::ensemble::graph::{Graph, Plan, Step};
use crate::ensemble::passage::Passage;
use crate::ensemble::tally::Tally;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::pending::Pending;
use crate::reactor::Reactor;
use crate::request::Request;
use crate::reshape::Reshapes;
use crate::spec::Spec;
use crate::statistics::Statistics;

/// A version that is answered by other models.
pub(crate) struct Ensemble {
    spec: Arc<Spec>,
    statistics: Arc<Statistics>,
    graph: Graph,
    reshapes: Reshapes,
    /// What has to be done for all outputs.
    whole: Arc<Plan>,
    /// Where the steps' models are found, each time anew: they may be loaded again while the ensemble serves.
    catalog: Weak<Catalog>,
    phase: Mutex<Phase>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct Phase {
    under_way: usize,
    stopping: bool,
}

impl Ensemble {
    /// Reads the graph of a version.
    ///
    /// # Errors
    /// `INVALID_ARG` for a configuration without steps.
    pub(crate) fn new(spec: &Arc<Spec>, statistics: &Arc<Statistics>, catalog: Weak<Catalog>) -> Result<Self> {
        let graph = Graph::read(&spec.config)?;
        let whole = Arc::new(graph.plan(&[]));
        let reshapes = Reshapes::new(spec);
        let (spec, statistics) = (Arc::clone(spec), Arc::clone(statistics));
        Ok(Self { spec, statistics, graph, reshapes, whole, catalog, phase: Mutex::default(), settled: Condvar::new() })
    }

    /// Takes a request that was checked.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the version is being unloaded.
    pub(crate) fn submit(
        self: &Arc<Self>,
        mut request: Request,
        rows: usize,
        reactor: &Arc<Reactor>,
    ) -> Result<Pending> {
        self.reshapes.enter(&mut request.inputs)?;
        {
            let mut phase = self.lock();
            if phase.stopping {
                return Err(Error::stopping().with_request_id(&request.id));
            }
            phase.under_way += 1;
        }
        let tally = Tally::start(Arc::clone(self), rows, request.trace.clone());
        let plan = if request.outputs.is_empty() {
            Arc::clone(&self.whole)
        } else {
            Arc::new(self.graph.plan(&request.outputs))
        };
        let reactor = Arc::clone(reactor);
        Ok(Pending::driven(|reply| Passage::start(tally, plan, request, reactor, reply)))
    }

    fn pick(&self, step: &Step) -> Result<Arc<Model>> {
        let catalog = self.catalog.upgrade().ok_or_else(Error::stopping)?;
        catalog.pick(&step.model, &step.version)
    }

    /// A request is over.
    fn leave(&self) {
        let mut phase = self.lock();
        phase.under_way -= 1;
        if phase.stopping && phase.under_way == 0 {
            self.settled.notify_all();
        }
    }

    /// Takes no more requests.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
    }

    /// Waits until all that was admitted is answered. Blocks; false when time ran out.
    pub(crate) fn settle(&self, timeout: Duration) -> bool {
        self.stop();
        let waiting = self.settled.wait_timeout_while(self.lock(), timeout, |phase| phase.under_way > 0);
        !waiting.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Ensemble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ensemble({} {})", self.spec.model, self.spec.version)
    }
}
