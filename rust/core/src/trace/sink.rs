//! The thread that traces are given to: whoever answers requests does not wait for a disk or a collector.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::control::{Control, Level};
use crate::trace::export::Exporter;
use crate::trace::file::TraceFile;
use crate::trace::record::Record;
use crate::trace::settings::{Mode, Setup};

/// Traces that may wait for the disk.
const WAITING: usize = 4096;
/// How long the end of the server may wait for the last traces.
const PATIENCE: Duration = Duration::from_secs(6);

/// The way to the thread, which is started with the first trace.
pub(super) struct Sink {
    setup: Setup,
    control: Arc<dyn Control>,
    lane: Mutex<Lane>,
    lost: Arc<AtomicU64>,
}

enum Lane {
    Unused,
    Open(SyncSender<Record>, Receiver<()>),
    Closed,
}

impl Sink {
    pub(super) fn new(setup: Setup, control: Arc<dyn Control>) -> Self {
        Self { setup, control, lane: Mutex::new(Lane::Unused), lost: Arc::default() }
    }

    /// Hands a trace on; one that finds no room is lost, and counted.
    pub(super) fn put(&self, record: Record) {
        let mut lane = self.lane.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*lane, Lane::Unused) {
            *lane = self.start();
        }
        if let Lane::Open(sender, _) = &*lane
            && sender.try_send(record).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn start(&self) -> Lane {
        let otlp = self.setup.mode == Mode::OpenTelemetry;
        let (sender, records) = sync_channel(if otlp { self.setup.max_queue_size.max(1) } else { WAITING });
        let (ending, ended) = channel();
        let reporter = Reporter { control: Arc::clone(&self.control), lost: Arc::clone(&self.lost) };
        let setup = self.setup.clone();
        let work = move || {
            if otlp {
                Exporter::new(setup, reporter).run(&records);
            } else {
                TraceFile::new(setup.file, reporter).run(&records);
            }
            // Tells that all is written, by its end.
            drop(ending);
        };
        match thread::Builder::new().name("windlass trace".to_owned()).spawn(work) {
            Ok(_) => Lane::Open(sender, ended),
            Err(error) => {
                self.control.log(Level::Error, &format!("no thread could be started for traces: {error}"));
                Lane::Closed
            }
        }
    }

    pub(super) fn close(&self) {
        let mut lane = self.lane.lock().unwrap_or_else(PoisonError::into_inner);
        if let Lane::Open(sender, ended) = std::mem::replace(&mut *lane, Lane::Closed) {
            drop(sender);
            let _ = ended.recv_timeout(PATIENCE);
        }
    }
}

/// Tells the log what happened to traces, once for each kind of trouble until it is over.
pub(super) struct Reporter {
    control: Arc<dyn Control>,
    lost: Arc<AtomicU64>,
}

impl Reporter {
    pub(super) fn failed(&self, text: &str) {
        self.control.log(Level::Error, text);
    }

    /// Says how many traces found no room since it was last asked.
    pub(super) fn tell_lost(&self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.control.log(
                Level::Warning,
                &format!("{lost} traces were lost: they came faster than they could be delivered"),
            );
        }
    }
}
