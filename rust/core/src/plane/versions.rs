//! Versions on their way into service and out of it.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::catalog::State;
use crate::ensemble::labels;
use crate::error::{Error, Result};
use crate::instance::Executor;
use crate::isolated::link::link;
use crate::isolated::process::{Launch, Process};
use crate::limiter::RateLimiter;
use crate::model::Model;
use crate::plane::Plane;
use crate::spec::{Files, Spec};

impl Plane {
    /// Makes a version of its instances, and has these warm up. An ensemble has no instances. `files` are those that the configuration
    /// names. Blocks.
    ///
    /// # Errors
    /// `INVALID_ARG` for an ensemble without steps, and for warm-up requests that fail: the instances are closed then.
    pub fn prepare(
        &self,
        spec: Arc<Spec>,
        instances: Vec<Executor>,
        load_time: Duration,
        files: &Files,
    ) -> Result<Model> {
        let started = Instant::now();
        let mut model = if spec.is_ensemble() {
            Model::ensemble(spec, Arc::downgrade(&self.catalog), load_time)?
        } else {
            Model::new(spec, instances, load_time, &self.home, self.limiter.as_ref())
        };
        if let Err(error) = model.warm_up(files) {
            model.settle(Duration::ZERO);
            return Err(error);
        }
        model.load_time = load_time + started.elapsed();
        let model = model.with_metrics(&self.settings.metrics_page);
        Ok(match &self.cache {
            Some(cache) => model.with_cache(cache),
            None => model,
        })
    }

    /// Completes what an ensemble says of its outputs with what the models of its steps say, which have to be loaded.
    pub fn complete(&self, spec: &mut Spec) {
        if spec.is_ensemble() {
            labels::inherit(spec, &self.catalog);
        }
    }

    /// Puts a version in service. One of the same number that was there before answers what it has, and is closed.
    pub fn enter(&self, model: Model) {
        if let Some(old) = self.catalog.publish(Arc::new(model)) {
            old.stop();
            old.settle(Duration::from_secs(60));
        }
    }

    /// Makes a version of its instances and puts it in service at once.
    ///
    /// # Errors
    /// As `prepare`.
    pub fn publish(&self, spec: Arc<Spec>, instances: Vec<Executor>, load_time: Duration) -> Result<()> {
        self.enter(self.prepare(spec, instances, load_time, &Files::new())?);
        Ok(())
    }

    /// What instances of all models share, where that is limited.
    pub fn limiter(&self) -> Option<&RateLimiter> {
        self.limiter.as_deref()
    }

    /// Starts a process for an instance whose model is to be loaded there.
    ///
    /// # Errors
    /// When there is no such program, or no process or memory to be had.
    pub fn process(self: &Arc<Self>, launch: Launch) -> io::Result<Process> {
        Process::start(launch, self.host(), Arc::clone(&self.control))
    }

    /// Takes over the process of an instance whose model is loaded, to be published, and the name of the GPU it is on.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the network threads do not run: they talk to it.
    pub fn adopt(&self, process: Process, spec: &Spec, gpu: Option<String>) -> Result<Executor> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let crews = running.as_ref().map_or(&[][..], |running| &running.crews);
        let turn = self.adopted.fetch_add(1, Ordering::Relaxed);
        let Some(crew) = crews.get(turn % crews.len().max(1)) else {
            return Err(Error::unavailable("the server does not listen: no process can be talked to"));
        };
        let _context = crew.handle().enter();
        let (catalog, tracing) = (Arc::downgrade(&self.catalog), Arc::clone(&self.tracing));
        let (link, conversation) = link(process, spec, catalog, tracing, Arc::clone(&crew.reactor));
        crew.handle().spawn(conversation.run());
        Ok(Executor::Remote(Arc::new(link.on(gpu))))
    }

    /// Notes the state of something that is not in service.
    pub fn announce(&self, name: &str, version: Option<i64>, state: State, reason: &str) {
        self.catalog.announce(name, version, state, reason);
    }

    /// Takes a version out of service, waits until it has answered what it has, and closes it. Blocks. False when time ran out.
    pub fn retire(&self, name: &str, version: i64, timeout: Duration, reason: &str) -> bool {
        let Some(model) = self.catalog.withdraw(name, version) else { return true };
        model.stop();
        let settled = model.settle(timeout);
        self.catalog.announce(name, Some(version), State::Unavailable, reason);
        settled
    }

    /// Strikes a model out of the index; what was in service of it is closed.
    pub fn forget(&self, name: &str) {
        for model in self.catalog.forget(name) {
            model.stop();
            model.settle(Duration::ZERO);
        }
    }
}
