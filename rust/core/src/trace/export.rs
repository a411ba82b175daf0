//! Gathers spans and sends them in batches, on a thread that may wait for the collector.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use prost::Message;

use crate::trace::collector::Collector;
use crate::trace::otlp::{ExportRequest, Span, spans};
use crate::trace::record::Record;
use crate::trace::settings::Setup;
use crate::trace::sink::Reporter;

pub(super) struct Exporter {
    setup: Setup,
    collector: Collector,
    reporter: Reporter,
    waiting: Vec<Span>,
    failing: bool,
}

impl Exporter {
    pub(super) fn new(setup: Setup, reporter: Reporter) -> Self {
        let collector = Collector::new(&setup);
        Self { setup, collector, reporter, waiting: Vec::new(), failing: false }
    }

    /// Exports what comes until nobody is left who could send more.
    pub(super) fn run(mut self, records: &Receiver<Record>) {
        let delay = Duration::from_millis(self.setup.schedule_delay_ms);
        let mut due = Instant::now() + delay;
        loop {
            match records.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(record) => {
                    if self.waiting.is_empty() {
                        due = Instant::now() + delay;
                    }
                    self.waiting.extend(spans(&record));
                    if self.waiting.len() < self.setup.max_export_batch_size {
                        continue;
                    }
                    self.export();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.export();
                    due = Instant::now() + delay;
                }
                Err(RecvTimeoutError::Disconnected) => return self.export(),
            }
        }
    }

    /// Sends what waits. What a collector does not take is gone: it will not want it more a moment later.
    fn export(&mut self) {
        self.reporter.tell_lost();
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(self.setup.max_export_batch_size.max(1));
            let batch: Vec<Span> = self.waiting.drain(..count).collect();
            let message = ExportRequest::new(&self.setup, batch).encode_to_vec();
            match self.collector.send(&message) {
                Ok(()) => self.failing = false,
                Err(text) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        let url = self.collector.url();
                        self.reporter
                            .failed(&format!("the collector at `{url}` took no spans, {count} are lost: {text}"));
                    }
                }
            }
        }
    }
}
