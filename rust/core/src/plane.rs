//! The façade of the data plane: what is loaded goes in here, what clients ask is answered here.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;
use std::{fmt, io};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::cache::Cache;
use crate::catalog::{Catalog, IndexEntry};
use crate::control::{Control, ControlParameter};
use crate::crew::Crew;
use crate::error::{Code, Error, Result};
use crate::frontend::tls::Tls;
use crate::frontend::{Door, Stop, grpc, http};
use crate::host::Host;
use crate::limiter::RateLimiter;
use crate::local_host::LocalHost;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::model::Model;
use crate::reactor::Reactor;
pub use crate::settings::Settings;
use crate::shared_memory::Regions;
use crate::statistics::Totals;
use crate::tensor::Name;
use crate::trace::Tracing;

mod observed;
mod versions;

/// What the server calls itself able to do, in the order clients know.
const EXTENSIONS: &[&str] = &[
    "classification",
    "sequence",
    "model_repository",
    "schedule_policy",
    "model_configuration",
    "system_shared_memory",
    CUDA,
    "binary_tensor_data",
    "parameters",
    "statistics",
    "trace",
    "logging",
];

/// Listed by a server that can drive GPUs, whether there are any or not.
const CUDA: &str = "cuda_shared_memory";

/// The addresses that are served, with the ports that were free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// REST.
    pub http: Option<SocketAddr>,
    /// gRPC.
    pub grpc: Option<SocketAddr>,
    /// The metrics page.
    pub metrics: Option<SocketAddr>,
}

/// The data plane of one server.
pub struct Plane {
    settings: Settings,
    pub(crate) catalog: Arc<Catalog>,
    regions: Arc<Regions>,
    cache: Option<Arc<Cache>>,
    limiter: Option<Arc<RateLimiter>>,
    control: Arc<dyn Control>,
    tracing: Arc<Tracing>,
    log: Log,
    phase: AtomicU8,
    /// How many processes were taken over, to spread them.
    adopted: AtomicUsize,
    /// The reactor that sees to the timers of the models; the first.
    home: Arc<Reactor>,
    stop: watch::Sender<Stop>,
    running: Mutex<Option<Running>>,
    /// Where models' requests to other models live; started with the first.
    guests: Mutex<Option<Crew>>,
    /// The metrics page, and what models count themselves.
    pub(crate) metrics: Metrics,
}

/// What `listen` started.
struct Running {
    crews: Vec<Crew>,
    /// Disconnects when the last front end has returned.
    returned: mpsc::Receiver<()>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Starting,
    Ready,
    Stopping,
}

impl Plane {
    /// A plane that serves nothing yet.
    pub fn new(settings: Settings, control: Arc<dyn Control>) -> Self {
        let limiter = settings.rate_limits.clone().map(|limits| Arc::new(RateLimiter::new(limits)));
        let cache = (settings.cache_bytes > 0).then(|| Arc::new(Cache::new(settings.cache_bytes)));
        let tracing = Arc::new(Tracing::new(settings.trace.clone(), Arc::clone(&control)));
        let metrics = Metrics::new(settings.metrics_page.clone(), settings.gpus.clone());
        let log = Log::new(settings.log.clone(), Arc::clone(&control));
        Self {
            regions: Arc::new(Regions::new(settings.client_shm).with_gpus(settings.gpus.clone())),
            settings,
            tracing,
            log,
            catalog: Arc::default(),
            cache,
            limiter,
            control,
            phase: AtomicU8::new(Phase::Starting as u8),
            adopted: AtomicUsize::new(0),
            home: Arc::default(),
            stop: watch::Sender::new(Stop::Serve),
            running: Mutex::new(None),
            guests: Mutex::new(None),
            metrics,
        }
    }

    /// Binds the addresses and starts the network threads.
    ///
    /// # Errors
    /// When an address cannot be bound or a thread cannot be started; the text names the address.
    pub fn listen(self: &Arc<Self>) -> io::Result<Addresses> {
        let settings = &self.settings;
        let bind =
            |address: &Option<String>, shared| address.as_deref().map(|address| bind(address, shared)).transpose();
        let http = bind(&settings.http, settings.reuse_http_port)?;
        let grpc = bind(&settings.grpc, settings.reuse_grpc_port)?;
        let metrics = bind(&settings.metrics, false)?;
        if metrics.is_some() {
            self.metrics.begin();
        }
        let address = |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::local_addr).transpose();
        let addresses = Addresses { http: address(&http)?, grpc: address(&grpc)?, metrics: address(&metrics)? };

        let cores = thread::available_parallelism().map_or(1, usize::from);
        let count = if settings.reactors == 0 { (cores / 2).max(1) } else { settings.reactors };
        let (serving, returned) = mpsc::channel();
        let mut crews = Vec::with_capacity(count);
        for index in 0..count {
            let reactor = if index == 0 { Arc::clone(&self.home) } else { Arc::new(self.home.beside()) };
            let crew = Crew::start(reactor, &format!("windlass net {index}"), settings.busy_poll)?;
            let door = Arc::new(Door { plane: Arc::clone(self), reactor: Arc::clone(&crew.reactor) });
            let _context = crew.handle().enter();
            let metrics = metrics.as_ref().filter(|_| index == 0);
            let (door2, door3) = (Arc::clone(&door), Arc::clone(&door));
            start(&crew, http.as_ref(), &serving, |l| http::serve(l, door, self.stop.subscribe()))?;
            start(&crew, grpc.as_ref(), &serving, |l| grpc::serve(l, door2, self.stop.subscribe()))?;
            start(&crew, metrics, &serving, |l| http::serve_metrics(l, door3, self.stop.subscribe()))?;
            crews.push(crew);
        }
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running { crews, returned });
        Ok(addresses)
    }

    /// Loading at start-up is over: the server may call itself ready.
    pub fn start(&self) {
        self.phase.fetch_max(Phase::Ready as u8, Ordering::AcqRel);
    }

    /// Unready at once; no new connections; waits for what is in flight. Blocks. False when time ran out.
    pub fn drain(&self, timeout: Duration) -> bool {
        self.phase.fetch_max(Phase::Stopping as u8, Ordering::AcqRel);
        self.stop.send_replace(Stop::Drain);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running
            .as_ref()
            .is_none_or(|running| running.returned.recv_timeout(timeout) == Err(mpsc::RecvTimeoutError::Disconnected))
    }

    /// Ends everything, whatever is in flight. Blocks for a moment, and until models have said goodbye, which they may take `patience` for.
    pub fn close(&self, patience: Duration) {
        self.phase.fetch_max(Phase::Stopping as u8, Ordering::AcqRel);
        self.stop.send_replace(Stop::Close);
        let models = self.catalog.ready();
        for model in &models {
            model.stop();
            model.dismiss(patience);
        }
        for model in models {
            model.settle(Duration::ZERO);
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner).take();
        for crew in running.into_iter().flat_map(|running| running.crews).chain(guests) {
            crew.close();
        }
        self.tracing.close();
    }

    /// What the server calls itself.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.settings.version
    }

    /// What it is able to do beyond the protocol's core.
    pub fn extensions(&self) -> impl Iterator<Item = &'static str> {
        let drives = self.settings.gpus.is_some();
        EXTENSIONS.iter().copied().filter(move |name| drives || *name != CUDA)
    }

    /// Memory that clients share with the server.
    pub fn regions(&self) -> &Arc<Regions> {
        &self.regions
    }

    /// Largest body of a REST request, in bytes.
    pub fn http_max_input_bytes(&self) -> usize {
        self.settings.http_max_input_bytes
    }

    /// How connections of gRPC are looked after.
    pub fn grpc_upkeep(&self) -> &grpc::Upkeep {
        &self.settings.grpc_upkeep
    }

    /// How hard the answers of gRPC are compressed, where all are.
    pub fn grpc_effort(&self) -> Option<grpc::Effort> {
        self.settings.grpc_effort
    }

    /// What gRPC needs to speak TLS, where it does.
    pub fn grpc_tls(&self) -> Option<&Tls> {
        self.settings.grpc_tls.as_ref()
    }

    /// Whether the process does its work at all.
    pub fn live(&self) -> bool {
        true
    }

    /// Whether it wants requests.
    pub fn ready(&self) -> bool {
        self.phase.load(Ordering::Acquire) == Phase::Ready as u8
            && (!self.settings.strict_readiness || self.catalog.all_ready())
    }

    /// Whether it is on its way out.
    pub fn stopping(&self) -> bool {
        self.phase.load(Ordering::Acquire) == Phase::Stopping as u8
    }

    /// Tells what the front ends are to do, and when that changes.
    pub(crate) fn stops(&self) -> watch::Receiver<Stop> {
        self.stop.subscribe()
    }

    /// The version that answers: the one named, or the highest that is ready when `version` is empty.
    ///
    /// # Errors
    /// `NOT_FOUND`, `UNAVAILABLE` or `INVALID_ARG`, in the protocol's words.
    pub fn model(&self, name: &str, version: &str) -> Result<Arc<Model>> {
        self.catalog.pick(name, version)
    }

    /// Whether that version is ready; without one, whether any is.
    ///
    /// # Errors
    /// As `model`, for what is not known.
    pub fn model_ready(&self, name: &str, version: &str) -> Result<bool> {
        self.catalog.is_ready(name, version)
    }

    /// Versions of a model in service, ascending.
    pub fn ready_versions(&self, name: &str) -> Vec<i64> {
        self.catalog.ready_of(name).iter().map(|model| model.spec.version).collect()
    }

    /// Names of the models in service.
    pub fn models(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.catalog.ready().iter().map(|model| model.spec.model.clone()).collect();
        names.dedup();
        names
    }

    /// What versions did since they were loaded: one, those of a model, or all.
    ///
    /// # Errors
    /// `INVALID_ARG` for what is not in service.
    pub fn statistics(&self, name: &str, version: &str) -> Result<Vec<(Arc<Model>, Totals)>> {
        let models = if name.is_empty() { self.catalog.ready() } else { self.catalog.ready_of(name) };
        if models.is_empty() && !name.is_empty() {
            return Err(Error::invalid(format!("requested model '{name}' is not available")));
        }
        let wanted = |model: &Arc<Model>| version.is_empty() || model.spec.version_text == version;
        let chosen: Vec<_> = models.into_iter().filter(wanted).collect();
        if chosen.is_empty() && !name.is_empty() {
            return Err(Error::invalid(format!("requested model version is not available for model '{name}'")));
        }
        let read = |model: Arc<Model>| {
            let totals = model.statistics.whole();
            (model, totals)
        };
        Ok(chosen.into_iter().map(read).collect())
    }

    /// The repository index.
    pub fn index(&self, only_ready: bool) -> Vec<IndexEntry> {
        self.catalog.index(only_ready)
    }

    /// The metrics page.
    pub fn metrics(&self) -> String {
        self.metrics.page(&self.catalog.ready())
    }

    /// The name of a GPU that a model's instance is on, where the metrics tell of GPUs. Waits for their driver.
    pub fn gpu_uuid(&self, device: usize) -> Option<String> {
        let wanted = self.settings.metrics.is_some() && self.settings.metrics_page.gpus.is_some();
        self.settings.gpus.as_ref().filter(|_| wanted)?.uuid(device)
    }

    /// The server, as model code in its own process sees it.
    pub fn host(self: &Arc<Self>) -> Arc<dyn Host> {
        Arc::new(LocalHost::new(self))
    }

    /// Where a request of a model lives, and how its thread waits for the answer.
    pub(crate) fn guests(&self) -> Result<(Arc<Reactor>, Handle)> {
        if self.stopping() {
            return Err(Error::stopping());
        }
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let crew = match &mut *guests {
            Some(crew) => crew,
            none => {
                let crew = Crew::start(Arc::default(), "windlass guests", Duration::ZERO);
                none.insert(crew.map_err(|error| Error::internal(format!("no thread could be started: {error}")))?)
            }
        };
        Ok((Arc::clone(&crew.reactor), crew.handle().clone()))
    }

    /// Has a model loaded by the calling thread.
    pub(crate) fn load_here(&self, name: &str, parameters: Vec<(String, ControlParameter)>) -> Result<()> {
        self.control.load(name, parameters)
    }

    /// Has a model unloaded by the calling thread.
    pub(crate) fn unload_here(&self, name: &str, unload_dependents: bool) -> Result<()> {
        self.control.unload(name, unload_dependents)
    }

    /// Has a model loaded, on a thread that may block.
    ///
    /// # Errors
    /// What the owner of the repository answers.
    pub async fn load(&self, name: String, parameters: Vec<(String, ControlParameter)>) -> Result<()> {
        let control = Arc::clone(&self.control);
        blocking(move || control.load(&name, parameters)).await
    }

    /// Has a model unloaded, on a thread that may block.
    ///
    /// # Errors
    /// What the owner of the repository answers.
    pub async fn unload(&self, name: String, unload_dependents: bool) -> Result<()> {
        let control = Arc::clone(&self.control);
        blocking(move || control.unload(&name, unload_dependents)).await
    }
}

async fn blocking(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Error::new(Code::Internal, "the repository's owner panicked: this is a bug in windlass"))
    })
}

/// Starts one front end on a reactor; it holds on to `serving` until it returns.
fn start<F>(
    crew: &Crew,
    listener: Option<&TcpListener>,
    serving: &mpsc::Sender<()>,
    serve: impl FnOnce(tokio::net::TcpListener) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let Some(listener) = listener else { return Ok(()) };
    let front_end = serve(tokio::net::TcpListener::from_std(listener.try_clone()?)?);
    let serving = serving.clone();
    crew.handle().spawn(async move {
        front_end.await;
        drop(serving);
    });
    Ok(())
}

fn bind(address: &str, shared: bool) -> io::Result<TcpListener> {
    let fail = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
    let resolved = address.to_socket_addrs().map_err(fail)?.next();
    let resolved = resolved.ok_or_else(|| fail(io::Error::other("the name has no address")))?;
    let socket = socket2::Socket::new(socket2::Domain::for_address(resolved), socket2::Type::STREAM, None)?;
    // A restarted server takes over its port from connections in TIME_WAIT, but never from a server that still listens.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&resolved.into()).map_err(fail)?;
    socket.listen(4096).map_err(fail)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane").field("settings", &self.settings).finish_non_exhaustive()
    }
}
