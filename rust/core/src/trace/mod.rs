//! Traces: the way of single requests through the server, and on into ensembles and model code.
//!
//! `Tracing` decides which requests are followed, by its `settings`; a request that is carries a `Trace`, to which the stations on its way
//! add notes. When nobody holds the trace any more its `record` goes to the `sink`: a thread that writes Triton's `file`, or exports
//! `otlp` to a collector. A request that is not followed costs one look at a flag.

mod collector;
pub mod context;
mod export;
mod file;
mod otlp;
pub(crate) mod record;
pub mod settings;
mod sink;
mod tracing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use crate::statistics::Timing;
use crate::tensor::{Name, Tensor};
use crate::trace::context::Context;
pub(crate) use crate::trace::record::{Activity, Event};
use crate::trace::record::{Note, Record, TensorNote};
use crate::trace::settings::Level;
pub use crate::trace::tracing::Tracing;

/// One model's part in the answer to a request that is traced. Handed on as long as there is something to note.
pub struct Trace {
    tracing: Arc<Tracing>,
    level: Level,
    id: u64,
    /// The span that what follows from it belongs under.
    context: Context,
    record: Mutex<Record>,
}

impl Trace {
    /// The trace of a request that another model makes while it answers this one.
    #[must_use]
    pub fn child(self: &Arc<Self>) -> Arc<Self> {
        let log_frequency = self.lock().log_frequency;
        self.tracing.follow(self.level, log_frequency, Some((self.id, &self.context)), false)
    }

    /// Where it stands, as text that can leave the process: W3C's headers as JSON. `Tracing::resume` goes on from it.
    pub fn context(&self) -> String {
        self.context.to_json()
    }

    /// It reaches a model.
    pub(crate) fn enter(&self, model: &Name, version: i64, request_id: &str) {
        let mut record = self.lock();
        record.model = Name::clone(model);
        record.version = version;
        request_id.clone_into(&mut record.request_id);
        drop(record);
        self.note(Event::RequestStart);
    }

    /// It passes a station, now.
    pub(crate) fn note(&self, event: Event) {
        self.note_at(event, self.tracing.clock.now());
    }

    /// It passed a station, at a time of the tracing's clock.
    pub(crate) fn note_at(&self, event: Event, ns: u64) {
        if self.level.timestamps {
            self.lock().notes.push(Note::Event(event, ns));
        }
    }

    /// It was executed: the times of one batch.
    pub(crate) fn executed(&self, started: Instant, timing: Timing, done: Instant) {
        let clock = &self.tracing.clock;
        let input = (started + timing.input).min(done);
        let output = (input + timing.infer).min(done);
        self.note_at(Event::ComputeStart, clock.at(started));
        self.note_at(Event::ComputeInputEnd, clock.at(input));
        self.note_at(Event::ComputeOutputStart, clock.at(output));
        self.note_at(Event::ComputeEnd, clock.at(done));
    }

    /// Its model is done with it.
    pub(crate) fn leave(&self, failed: bool) {
        self.note(Event::RequestEnd);
        self.lock().failed |= failed;
    }

    /// What its tensors hold, for traces that want to know.
    pub(crate) fn tensors(&self, activity: Activity, tensors: &[Tensor]) {
        if !self.level.tensors {
            return;
        }
        let note = |tensor: &Tensor| TensorNote {
            activity,
            name: Name::clone(&tensor.name),
            data_type: tensor.data_type,
            shape: tensor.shape.clone(),
            data: Bytes::copy_from_slice(tensor.data.as_slice()),
        };
        self.lock().notes.extend(tensors.iter().map(|tensor| Note::Tensor(note(tensor))));
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody has anything to add.
impl Drop for Trace {
    fn drop(&mut self) {
        let record = std::mem::take(&mut *self.lock());
        self.tracing.finish(record);
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trace({})", self.id)
    }
}
