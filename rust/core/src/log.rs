//! The log as clients may set it, and the lines about requests that are written when somebody wants to see them.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use crate::control::{Control, Level};
use crate::error::{Code, Error, Result};

/// Lines that may wait to be written; further ones are dropped.
const WAITING: usize = 8192;

/// How the log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The file; empty for the standard error stream.
    pub file: String,
    /// Whether what is worth knowing is written.
    pub info: bool,
    /// Whether warnings are.
    pub warning: bool,
    /// Whether errors are.
    pub error: bool,
    /// From 1 on, every request is told.
    pub verbose_level: u32,
    /// `default` or `ISO8601`: how times are written.
    pub format: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        let format = "default".to_owned();
        Self { file: String::new(), info: true, warning: true, error: true, verbose_level: 0, format }
    }
}

impl LogSettings {
    /// The refusal of another file: a client does not choose where the server writes.
    pub(crate) fn refuse_file() -> Error {
        Error::new(Code::Unsupported, "log file location can not be updated through network protocol")
    }

    /// Sets how times are written. `name` is what the transport calls the setting in its refusal.
    pub(crate) fn set_format(&mut self, text: String, name: &str) -> Result<()> {
        if !matches!(text.as_str(), "default" | "ISO8601") {
            return Err(Error::invalid(format!("invalid argument for {name}, got: {text}")));
        }
        self.format = text;
        Ok(())
    }
}

/// The log.
pub struct Log {
    /// Beside the settings, so that a request asks for it without a lock.
    verbose: AtomicU32,
    settings: Mutex<LogSettings>,
    control: Arc<dyn Control>,
    /// The thread that writes lines about requests: network threads do not wait for a disk.
    lane: OnceLock<Option<SyncSender<String>>>,
}

impl Log {
    pub(crate) fn new(settings: LogSettings, control: Arc<dyn Control>) -> Self {
        let verbose = AtomicU32::new(settings.verbose_level);
        Self { verbose, settings: Mutex::new(settings), control, lane: OnceLock::new() }
    }

    /// How it is written.
    pub fn settings(&self) -> LogSettings {
        self.lock().clone()
    }

    /// Has it written another way; the owner of the process is told.
    pub fn change(&self, settings: LogSettings) {
        self.verbose.store(settings.verbose_level, Ordering::Relaxed);
        self.control.set_log(&settings);
        *self.lock() = settings;
    }

    /// Whether every request is told.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose.load(Ordering::Relaxed) > 0
    }

    /// Writes a line about a request, soon.
    pub(crate) fn verbose(&self, line: String) {
        if let Some(lane) = self.lane.get_or_init(|| self.start()) {
            let _ = lane.try_send(line);
        }
    }

    fn start(&self) -> Option<SyncSender<String>> {
        let (lane, lines) = sync_channel::<String>(WAITING);
        let control = Arc::clone(&self.control);
        let write = move || lines.iter().for_each(|line| control.log(Level::Verbose, &line));
        thread::Builder::new().name("windlass log".to_owned()).spawn(write).ok().map(|_| lane)
    }

    fn lock(&self) -> MutexGuard<'_, LogSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Log({:?})", self.settings())
    }
}
