//! A loaded version: checks a request against what it declares, and admits it to the queue.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::{Cache, Share};
use crate::catalog::Catalog;
use crate::dynamic::Dynamic;
use crate::ensemble::Ensemble;
use crate::error::{Error, Result};
use crate::histogram::Histogram;
use crate::instance::{Executor, Job, RemoteInstance, Watch};
use crate::limiter::RateLimiter;
use crate::line::Line;
use crate::metrics::{FIRST_RESPONSE, FIRST_RESPONSE_BOUNDS, MetricSettings};
use crate::payload::check_size;
use crate::pending::Pending;
use crate::proto::inference::model_metrics::metric_control::MetricOptions;
use crate::queue::Likeness;
use crate::reactor::Reactor;
use crate::reply::reply;
use crate::request::Request;
use crate::scheduler::Scheduler;
use crate::sequence::{Sequences, check_id};
use crate::spec::{Files, Spec, TensorSpec};
use crate::statistics::{Statistics, Summaries};
use crate::tensor::{Tensor, format_shape};
use crate::trace::{Activity, Event};
use crate::warmup::warm_up;
use crate::worker::Worker;

const BATCH_NOTE: &str = "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each \
    input shape. If you want to specify the full shape including the batch dim in your input dims config, try setting max_batch_size to \
    zero. See the model configuration docs for more info on max_batch_size.";

/// A version that is ready to answer.
pub struct Model {
    /// What it declares.
    pub spec: Arc<Spec>,
    /// What it did.
    pub statistics: Arc<Statistics>,
    /// How long it took to load.
    pub load_time: Duration,
    engine: Engine,
    /// Where answers are kept, for a version that asks for it.
    cache: Option<Arc<Share>>,
    /// Its instances in processes of their own.
    remotes: Vec<Arc<dyn RemoteInstance>>,
    /// Of those that execute here.
    watches: Vec<Watch>,
    /// Whether every batch has the same shapes, so that requests need not be compared.
    uniform: bool,
}

/// What answers the requests of a version.
enum Engine {
    /// Instances of its own, behind a queue.
    Queue(Arc<Scheduler>),
    /// Other models.
    Ensemble(Arc<Ensemble>),
}

impl Model {
    /// A version with the instances that execute it. `home` sees to its timers, and `limiter` to what its instances share with others.
    pub fn new(
        spec: Arc<Spec>,
        instances: Vec<Executor>,
        load_time: Duration,
        home: &Arc<Reactor>,
        limiter: Option<&Arc<RateLimiter>>,
    ) -> Self {
        let statistics = Arc::new(Statistics::on_gpus(instances.iter().filter_map(Executor::gpu)));
        let remote = |executor: &Executor| match executor {
            Executor::Remote(instance) => Some(Arc::clone(instance)),
            Executor::Local(_) => None,
        };
        let remotes = instances.iter().filter_map(remote).collect();
        let watch = |executor: &Executor| match executor {
            Executor::Local(instance) => instance.watch(),
            Executor::Remote(_) => None,
        };
        let watches = instances.iter().filter_map(watch).collect();
        let line: Box<dyn Line> = match &spec.sequence {
            Some(rules) => Box::new(Sequences::new(&spec, rules.clone(), instances.len())),
            None => Box::new(Dynamic::new(&spec)),
        };
        let worker = |(number, instance): (usize, Executor)| {
            let stake = limiter.and_then(|limiter| limiter.stake(&spec.config, instance.name()));
            let place = statistics.place(instance.gpu());
            Worker::new(number, instance, stake, place)
        };
        let workers = instances.into_iter().enumerate().map(worker).collect();
        let scheduler = Arc::new(Scheduler::new(&spec, line, Arc::clone(&statistics), Arc::clone(home), workers));
        let uniform = spec.inputs.iter().all(|input| !input.optional && !input.dims.contains(&-1));
        Self { spec, statistics, load_time, engine: Engine::Queue(scheduler), cache: None, remotes, watches, uniform }
    }

    /// A version that is answered by other models, which are found in the catalog.
    ///
    /// # Errors
    /// `INVALID_ARG` for a configuration without steps.
    pub(crate) fn ensemble(spec: Arc<Spec>, catalog: Weak<Catalog>, load_time: Duration) -> Result<Self> {
        let statistics = Arc::new(Statistics::default());
        let ensemble = Ensemble::new(&spec, &statistics, catalog)?;
        let engine = Engine::Ensemble(Arc::new(ensemble));
        Ok(Self {
            spec,
            statistics,
            load_time,
            engine,
            cache: None,
            remotes: Vec::new(),
            watches: Vec::new(),
            uniform: true,
        })
    }

    /// The version with a cache for its answers, when its configuration asks for one.
    #[must_use]
    pub fn with_cache(mut self, cache: &Arc<Cache>) -> Self {
        let wanted = self.spec.config.response_cache.as_ref().is_some_and(|policy| policy.enable);
        self.cache = wanted.then(|| Arc::new(Share::new(cache, &self.spec)));
        self
    }

    /// Has every instance execute the configuration's warm-up requests, before any client's. `files` are those that it names. Blocks.
    ///
    /// # Errors
    /// `INVALID_ARG` for a request that does not fit the model, or that it fails.
    pub fn warm_up(&self, files: &Files) -> Result<()> {
        match &self.engine {
            Engine::Queue(scheduler) => warm_up(self, scheduler, files),
            Engine::Ensemble(_) => Ok(()),
        }
    }

    /// The version, keeping besides its totals what the metrics page wants.
    #[must_use]
    pub fn with_metrics(self, settings: &MetricSettings) -> Self {
        for (_, mut totals) in self.statistics.parts() {
            totals.summaries = settings.summaries.then(|| Box::new(Summaries::new()));
            if settings.histograms && self.spec.decoupled {
                totals.first_response = Some(Histogram::new(&self.first_response_bounds()));
            }
        }
        self
    }

    fn first_response_bounds(&self) -> Vec<f64> {
        let controls = self.spec.config.model_metrics.iter().flat_map(|metrics| &metrics.metric_control);
        let own = controls.into_iter().find_map(|control| {
            let family = &control.metric_identifier.as_ref()?.family;
            let MetricOptions::HistogramOptions(options) = control.metric_options.as_ref()?;
            (family == FIRST_RESPONSE).then(|| options.buckets.clone())
        });
        own.unwrap_or_else(|| FIRST_RESPONSE_BOUNDS.to_vec())
    }

    /// Whether answers of it are kept.
    pub fn is_cached(&self) -> bool {
        self.cache.is_some()
    }

    /// Checks a request and takes it into the queue. `reactor` is where its connection lives.
    ///
    /// # Errors
    /// `INVALID_ARG` for a request that does not fit the model, `UNAVAILABLE` when the queue is full or the version is being unloaded.
    pub fn submit(&self, request: Request, reactor: &Arc<Reactor>) -> Result<Pending> {
        let Some(trace) = request.trace.clone() else { return self.take_in(request, reactor) };
        trace.enter(&self.spec.model, self.spec.version, &request.id);
        let taken = self.take_in(request, reactor);
        if taken.is_err() {
            trace.leave(true);
        }
        taken
    }

    fn take_in(&self, request: Request, reactor: &Arc<Reactor>) -> Result<Pending> {
        let rows = self.admit(&request)?;
        if let Some(trace) = &request.trace {
            trace.note(Event::QueueStart);
            trace.tensors(Activity::QueueInput, &request.inputs);
        }
        match &self.cache {
            Some(cache) => self.remember(cache, request, rows, reactor),
            None => self.start(request, rows, reactor),
        }
    }

    fn start(&self, request: Request, rows: usize, reactor: &Arc<Reactor>) -> Result<Pending> {
        match &self.engine {
            Engine::Queue(scheduler) => self.enqueue(scheduler, request, rows, reactor),
            Engine::Ensemble(ensemble) => ensemble.submit(request, rows, reactor),
        }
    }

    /// Answers what was asked before, without the queue; keeps the answer to what was not.
    fn remember(&self, cache: &Arc<Share>, request: Request, rows: usize, reactor: &Arc<Reactor>) -> Result<Pending> {
        let arrived = Instant::now();
        let key = cache.key(&request);
        let found = cache.find(&key, &request);
        let looking = arrived.elapsed();
        if let Some(response) = found {
            self.statistics.lock().hit(looking, looking);
            reactor.answered();
            if let Some(trace) = &request.trace {
                trace.note(Event::ResponseComplete);
                trace.leave(false);
            }
            return Ok(Pending::answered(Ok(response)));
        }
        let pending = self.start(request, rows, reactor)?;
        self.statistics.lock().missed(looking);
        let (cache, statistics) = (Arc::clone(cache), Arc::clone(&self.statistics));
        Ok(Pending::driven(|reply| async move {
            let answer = pending.await;
            if let Ok(response) = &answer {
                let before = Instant::now();
                cache.keep(key, response);
                statistics.lock().kept(looking, before.elapsed());
            }
            reply.send(answer);
        }))
    }

    fn enqueue(
        &self,
        scheduler: &Arc<Scheduler>,
        mut request: Request,
        rows: usize,
        reactor: &Arc<Reactor>,
    ) -> Result<Pending> {
        scheduler.reshapes.enter(&mut request.inputs)?;
        let (reply, answers) = reply();
        let likeness = self.likeness(&request);
        let (reply, reactor) = (Some(reply), Arc::clone(reactor));
        let (scheduler, arrived) = (Arc::clone(scheduler), Instant::now());
        let job = Job {
            request,
            rows,
            likeness,
            arrived,
            started: None,
            place: None,
            reply,
            watch: None,
            was_abandoned: false,
            kept: None,
            reactor,
            scheduler,
            sequence: None,
        };
        let (scheduler, reactor) = (Arc::clone(&job.scheduler), Arc::clone(&job.reactor));
        scheduler.push(job)?;
        reactor.note(&scheduler);
        Ok(Pending::queued(answers, scheduler, reactor))
    }

    /// Why one of its instances is not able to execute now, if one is not.
    pub fn trouble(&self) -> Option<Error> {
        let remote = self.remotes.iter().find_map(|instance| instance.trouble());
        remote.or_else(|| self.watches.iter().find_map(|watch| watch()))
    }

    /// How many requests wait in its queue.
    pub fn pending(&self) -> usize {
        match &self.engine {
            Engine::Queue(scheduler) => scheduler.pending(),
            Engine::Ensemble(_) => 0,
        }
    }

    /// Lets those of its instances that execute elsewhere say goodbye, all at once.
    pub fn dismiss(&self, patience: Duration) {
        self.remotes.iter().for_each(|instance| instance.dismiss(patience));
    }

    /// Takes no more requests.
    pub fn stop(&self) {
        match &self.engine {
            Engine::Queue(scheduler) => scheduler.stop(),
            Engine::Ensemble(ensemble) => ensemble.stop(),
        }
    }

    /// Waits until all it admitted is answered, then closes its instances; see `Scheduler::settle`. Blocks.
    pub fn settle(&self, timeout: Duration) -> bool {
        match &self.engine {
            Engine::Queue(scheduler) => scheduler.settle(timeout),
            Engine::Ensemble(ensemble) => ensemble.settle(timeout),
        }
    }

    /// Checks names, types, shapes and sizes; returns the rows.
    pub(crate) fn admit(&self, request: &Request) -> Result<usize> {
        let model = &self.spec.model;
        check_id(&request.correlation)?;
        for (index, name) in request.outputs.iter().enumerate() {
            if self.spec.output(name).is_none() {
                return Err(Error::invalid(format!("unexpected inference output '{name}' for model '{model}'")));
            }
            if request.outputs[..index].contains(name) {
                return Err(
                    Error::invalid(format!("output '{name}' already exists in request")).with_request_id(&request.id)
                );
            }
        }
        let tag = |message: String| Error::invalid(message).with_request_id(&request.id);
        // Among one more than are declared, one is given twice or not declared at all: no need to compare the rest with each other.
        for (index, input) in request.inputs.iter().enumerate().take(self.spec.inputs.len() + 1) {
            if request.inputs[..index].iter().any(|other| other.name == input.name) {
                return Err(tag(format!("input '{}' already exists in request", input.name)));
            }
        }
        self.check_presence(request)?;
        let mut rows = None;
        for input in &request.inputs {
            let spec = self.spec.input(&input.name).ok_or_else(|| {
                Error::invalid(format!("unexpected inference input '{}' for model '{model}'", input.name))
            })?;
            self.check_batch(input, &mut rows).map_err(tag)?;
            self.check_shape(input, spec).map_err(tag)?;
            check_size(input, model, tag)?;
        }
        Ok(rows.unwrap_or(1))
    }

    fn check_presence(&self, request: &Request) -> Result<()> {
        let given = |spec: &&TensorSpec| request.inputs.iter().any(|input| input.name == spec.name);
        let declared = &self.spec.inputs;
        let required = declared.iter().filter(|spec| !spec.optional).count();
        let count = request.inputs.len();
        // An input that is not declared is named as such, where the number of inputs leaves room for that.
        let complete = declared.iter().filter(|spec| !spec.optional).all(|spec| given(&spec));
        if (required..=declared.len()).contains(&count) && (complete || self.has_stranger(request)) {
            return Ok(());
        }
        let names = |names: Vec<&str>| format!("['{}']", names.join("','")).replace("['']", "[]");
        let expected = if required == declared.len() {
            format!("expected {required} inputs")
        } else {
            format!("expected number of inputs between {required} and {}", declared.len())
        };
        let model = &self.spec.model;
        let got = names(request.inputs.iter().map(|input| &*input.name).collect());
        let missing = declared.iter().filter(|spec| !spec.optional && !given(spec)).map(|spec| &*spec.name).collect();
        Err(Error::invalid(format!(
            "{expected} but got {count} inputs for model '{model}'. Got input(s) {got}, but missing required input(s) {}. Please provide \
             all required input(s).",
            names(missing)
        ))
        .with_request_id(&request.id))
    }

    fn has_stranger(&self, request: &Request) -> bool {
        request.inputs.iter().any(|input| self.spec.input(&input.name).is_none())
    }

    fn check_batch(&self, input: &Tensor, rows: &mut Option<usize>) -> std::result::Result<(), String> {
        let (model, name, limit) = (&self.spec.model, &input.name, self.spec.max_batch_size);
        if limit == 0 {
            return Ok(());
        }
        let Some(&first) = input.shape.first() else {
            return Err(format!("input '{name}' has no shape but model requires batch dimension for '{model}'"));
        };
        if first < 0 {
            return Ok(()); // told with the rest of the shape
        }
        let size = usize::try_from(first).unwrap_or(usize::MAX);
        if rows.is_some_and(|rows| rows != size) {
            return Err(format!("input '{name}' batch size does not match other inputs for '{model}'"));
        }
        if size > limit {
            return Err(format!("inference request batch-size must be <= {limit} for '{model}'"));
        }
        *rows = Some(size);
        Ok(())
    }

    fn check_shape(&self, input: &Tensor, spec: &TensorSpec) -> std::result::Result<(), String> {
        let (model, name) = (&self.spec.model, &input.name);
        if input.data_type != spec.data_type {
            return Err(format!(
                "inference input '{name}' data-type is '{}', but model '{model}' expects '{}'",
                input.data_type.name(),
                spec.data_type.name()
            ));
        }
        if input.shape.iter().any(|&size| size < 0) {
            let shape = format_shape(&input.shape);
            return Err(format!(
                "All input dimensions should be specified for input '{name}' for model '{model}', got {shape}"
            ));
        }
        let dims = &input.shape[usize::from(self.spec.max_batch_size > 0)..];
        let fits = dims.len() == spec.dims.len()
            && dims.iter().zip(&spec.dims).all(|(&found, &declared)| declared == -1 || declared == found);
        if fits {
            return Ok(());
        }
        let expected = format_shape(&self.spec.client_shape(spec));
        let note = if self.spec.max_batch_size > 0 { BATCH_NOTE } else { "" };
        let found = format_shape(&input.shape);
        Err(format!(
            "unexpected shape for input '{name}' for model '{model}'. Expected {expected}, got {found}. {note}"
        ))
    }

    /// What must be equal for two requests to share a batch: presence and dimensions of each declared input.
    fn likeness(&self, request: &Request) -> Likeness {
        if self.uniform || (self.spec.batching.is_none() && self.spec.sequence.is_none()) {
            return None;
        }
        let mut likeness = Vec::new();
        for spec in &self.spec.inputs {
            match request.inputs.iter().find(|input| input.name == spec.name) {
                None => likeness.push(-2),
                Some(_) if spec.ragged => likeness.push(-1),
                Some(input) => likeness.extend_from_slice(&input.shape[usize::from(self.spec.max_batch_size > 0)..]),
            }
        }
        Some(likeness.into())
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model({} {})", self.spec.model, self.spec.version)
    }
}
