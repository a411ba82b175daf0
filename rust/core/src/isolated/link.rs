//! The server's side of a model's process in service: a task that talks to it, and starts it again when it ends.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_blocking;

use crate::catalog::Catalog;
use crate::control::{Control, Level};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::instance::{Execution, Outputs, RemoteInstance};
use crate::isolated::child::Reaped;
use crate::isolated::process::{Launch, Line, Process, describe};
use crate::isolated::talk::Talk;
use crate::proto::isolated::{self as proto, to_process};
use crate::reactor::Reactor;
use crate::spec::Spec;
use crate::tensor::Name;
use crate::trace::Tracing;
use crate::worker::Commission;

/// Things to do that may wait for a link: a batch, and answers to what its model asks of others.
const MAX_ORDERS: usize = 256;
/// How long a model may take to say goodbye, unless its server is told to hurry.
pub(super) const FAREWELL: Duration = Duration::from_secs(10);
/// How long a process may take to end once the conversation is broken.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// Pauses before a process is started again; the last one stays.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(30),
];

/// An instance that executes in a process of its own.
pub(crate) struct Link {
    name: String,
    gpu: Option<String>,
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
}

/// What the task and those who hold the link both know.
pub(super) struct Shared {
    healthy: AtomicBool,
    /// What the model itself says of it, where it checks.
    pub(super) ready: AtomicBool,
    /// How many of its processes have ended.
    ended: AtomicU64,
    closing: AtomicBool,
    /// Also while its model is being loaded again.
    child: Mutex<Option<Reaped>>,
    farewell: Mutex<Duration>,
    /// Rung when a client went away.
    pub(super) abandoned: Arc<Notify>,
}

pub(super) enum Order {
    Execute(Commission),
    Reply(to_process::Reply, Option<Result<Outputs>>, bool),
    Returned(proto::Returned),
    Close,
}

/// The task.
pub(crate) struct Conversation {
    launch: Launch,
    pub(super) host: Arc<dyn Host>,
    pub(super) control: Arc<dyn Control>,
    calls: Vec<(String, Bytes)>,
    line: Option<Line>,
    /// Whether the model is asked if it is ready.
    pub(super) checks: bool,
    pub(super) shared: Arc<Shared>,
    pub(super) orders: mpsc::Receiver<Order>,
    /// To give orders to oneself, from other tasks.
    pub(super) own_orders: mpsc::Sender<Order>,
    pub(super) catalog: Weak<Catalog>,
    pub(super) tracing: Arc<Tracing>,
    pub(super) reactor: Arc<Reactor>,
    pub(super) outputs: Vec<Name>,
    pub(super) next_key: u64,
}

/// Both ends of a process in service. The conversation is to be run on the reactor's runtime.
pub(crate) fn link(
    process: Process,
    spec: &Spec,
    catalog: Weak<Catalog>,
    tracing: Arc<Tracing>,
    reactor: Arc<Reactor>,
) -> (Link, Conversation) {
    let Process { launch, host, control, calls, line, child, checks } = process;
    let (own_orders, orders) = mpsc::channel(MAX_ORDERS);
    let shared = Arc::new(Shared {
        healthy: AtomicBool::new(true),
        ready: AtomicBool::new(true),
        ended: AtomicU64::new(0),
        closing: AtomicBool::new(false),
        child: Mutex::new(Some(child)),
        farewell: Mutex::new(FAREWELL),
        abandoned: Arc::default(),
    });
    let link = Link { name: launch.name.clone(), gpu: None, orders: own_orders.clone(), shared: Arc::clone(&shared) };
    let outputs = spec.returned().into_iter().map(|output| output.name).collect();
    let conversation = Conversation {
        launch,
        host,
        control,
        calls,
        line: Some(line),
        checks,
        shared,
        orders,
        own_orders,
        catalog,
        tracing,
        reactor,
        outputs,
        next_key: 1,
    };
    (link, conversation)
}

impl Link {
    /// The same, on the GPU of that name.
    pub(crate) fn on(self, gpu: Option<String>) -> Self {
        Self { gpu, ..self }
    }
}

impl RemoteInstance for Link {
    fn name(&self) -> &str {
        &self.name
    }

    fn gpu(&self) -> Option<&str> {
        self.gpu.as_deref()
    }

    fn start(&self, batch: Commission) {
        if let Err(error) = self.orders.try_send(Order::Execute(batch)) {
            let (mpsc::error::TrySendError::Full(order) | mpsc::error::TrySendError::Closed(order)) = error;
            if let Order::Execute(mut batch) = order {
                let failed = Execution::failed(batch.jobs(), &unhealthy());
                batch.complete(failed);
            }
        }
    }

    fn trouble(&self) -> Option<Error> {
        if !self.shared.healthy.load(Ordering::Relaxed) {
            return Some(Error::internal(format!("Stub process '{}' is not healthy.", self.name)));
        }
        if !self.shared.ready.load(Ordering::Relaxed) {
            let text = format!("Model '{}' is not ready (user-defined check failed).", self.name);
            return Some(Error::unavailable(text));
        }
        None
    }

    fn life(&self) -> u64 {
        self.shared.life()
    }

    fn dismiss(&self, patience: Duration) {
        *lock(&self.shared.farewell) = patience.min(FAREWELL);
        self.shared.closing.store(true, Ordering::Release);
        // Without the task its socket is closed, which tells the process as well.
        let _ = self.orders.try_send(Order::Close);
    }

    fn close(&self) {
        if !self.shared.closing.load(Ordering::Acquire) {
            self.dismiss(FAREWELL);
        }
        // A model that is only being loaded again has nothing to say.
        let healthy = self.shared.healthy.load(Ordering::Relaxed);
        let patience = if healthy { *lock(&self.shared.farewell) } else { Duration::ZERO };
        let child = lock(&self.shared.child).take();
        if let Some(child) = child {
            child.end(patience);
        }
    }
}

impl Shared {
    pub(super) fn life(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    fn keep(&self, child: &Reaped) {
        *lock(&self.child) = Some(child.clone());
        if self.closing.load(Ordering::Acquire) {
            child.end(Duration::ZERO);
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn unhealthy() -> Error {
    Error::internal("Stub process is not healthy.")
}

/// Why a conversation is over.
pub(super) enum End {
    Closed,
    Broken(io::Error),
}

impl Conversation {
    /// Talks to the process, and to its successors, until the instance is closed.
    pub(crate) async fn run(mut self) {
        let mut waiting = None;
        let shared = Arc::clone(&self.shared);
        while let Some(line) = self.line.take() {
            let Ok(mut talk) = Talk::new(line, &mut self) else { return };
            if let Some(batch) = waiting.take() {
                talk.execute(batch);
            }
            let end = talk.run().await;
            // Sequences it remembered end with it: known before its batch is.
            shared.ended.fetch_add(1, Ordering::AcqRel);
            talk.break_off();
            let End::Broken(error) = end else { return talk.farewell().await };
            // Closes the socket, for which the process may be waiting.
            drop(talk);
            if self.shared.closing.load(Ordering::Acquire) {
                return;
            }
            self.shared.healthy.store(false, Ordering::Relaxed);
            let child = lock(&self.shared.child).take();
            // One that says what makes no sense has to go, however well it feels.
            let ended = spawn_blocking(move || child.and_then(|child| child.end(END_PATIENCE)));
            let how = ended.await.ok().flatten();
            let how = match how {
                // It said what makes no sense: that is the reason, and not how it was made to end.
                Some(status) if error.kind() != io::ErrorKind::Other => describe(status),
                _ => error.to_string(),
            };
            self.control
                .log(Level::Error, &format!("the process of `{}` ended: {how}; starting it again", self.launch.name));
            waiting = self.restart().await;
        }
    }

    /// Starts the process again, as often as it takes. Returns the batch that came meanwhile.
    async fn restart(&mut self) -> Option<Commission> {
        let mut waiting: Option<Commission> = None;
        for attempt in 0.. {
            tokio::time::sleep(PAUSES[attempt.min(PAUSES.len() - 1)]).await;
            let (launch, host, control, calls) =
                (self.launch.clone(), Arc::clone(&self.host), Arc::clone(&self.control), self.calls.clone());
            let shared = Arc::clone(&self.shared);
            let again = move || Process::again(launch, host, control, calls, |child| shared.keep(child));
            let started = spawn_blocking(again).await;
            while let Ok(order) = self.orders.try_recv() {
                match order {
                    Order::Execute(batch) => waiting = Some(batch),
                    Order::Close => return waiting,
                    Order::Reply(..) | Order::Returned(_) => {}
                }
            }
            if self.shared.closing.load(Ordering::Acquire) {
                return waiting;
            }
            match started {
                Ok(Ok(process)) => {
                    self.line = Some(process.line);
                    self.shared.healthy.store(true, Ordering::Relaxed);
                    self.control.log(Level::Info, &format!("the process of `{}` is back", self.launch.name));
                    return waiting;
                }
                Ok(Err(error)) => {
                    self.control.log(Level::Error, &format!("`{}` does not come back: {error}", self.launch.name));
                }
                Err(_) => return waiting,
            }
            // Whoever waits has waited long enough.
            if let Some(mut batch) = waiting.take() {
                let failed = Execution::failed(batch.jobs(), &unhealthy());
                batch.complete(failed);
            }
        }
        waiting
    }
}
