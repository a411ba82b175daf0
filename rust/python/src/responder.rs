//! `windlass._plane.Responder`: a model's way back to a client, for answers when and as often as it likes.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use windlass_core::error::Error;
use windlass_core::host::{Respond, Task};
use windlass_core::instance::Outputs;

use crate::answers::Answers;
use crate::error::{from_exception, from_value};
use crate::parameters;

type Watch = Box<dyn Fn() -> bool + Send + Sync>;

/// A responder that the request and the model's object share. Empty once the request went back into the queue.
pub(crate) type Shared = Arc<Mutex<Option<Box<dyn Respond>>>>;

/// The way back of one request. Most models never take it, so nothing is made before they do.
#[derive(Default)]
pub(crate) struct WayBack {
    /// The task, for as long as its batch is being executed.
    lent: Mutex<Option<Lent>>,
    watch: OnceLock<Watch>,
    taken: OnceLock<Shared>,
}

struct Lent(NonNull<dyn Task + Send>);

// SAFETY: the task may be sent, and it is reached through the lock of `WayBack` only.
unsafe impl Send for Lent {}

impl WayBack {
    /// Lends a task. The caller must not touch it before it has called `recall`, and must call that before the task goes.
    pub(crate) unsafe fn lend<T: Task + Send + 'static>(&self, task: &mut T) {
        let task: &mut (dyn Task + Send) = task;
        *self.lock() = Some(Lent(NonNull::from(task)));
    }

    /// Takes the task back; returns the responder, when it was taken.
    pub(crate) fn recall(&self) -> Option<&Shared> {
        *self.lock() = None;
        self.taken.get()
    }

    /// Whether the client went away. Nobody asks any more once the request is answered.
    pub(crate) fn is_cancelled(&self) -> bool {
        if let Some(watch) = self.watch.get() {
            return watch();
        }
        // SAFETY: as in `lend`.
        match &*self.lock() {
            Some(lent) => self.watch.get_or_init(|| unsafe { lent.0.as_ref() }.watch())(),
            None => false,
        }
    }

    /// The responder; it is taken from the task when it is first asked for.
    fn responder(&self) -> Option<Shared> {
        let mut lent = self.lock();
        if let Some(shared) = self.taken.get() {
            return Some(Arc::clone(shared));
        }
        // SAFETY: as in `lend`.
        let task = unsafe { lent.as_mut()?.0.as_mut() };
        // Afterwards the task no longer knows.
        self.watch.get_or_init(|| task.watch());
        let responder = task.responder()?;
        Some(Arc::clone(self.taken.get_or_init(|| Arc::new(Mutex::new(Some(responder))))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Lent>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locks a shared responder.
pub(crate) fn lock(shared: &Shared) -> MutexGuard<'_, Option<Box<dyn Respond>>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends answers to one client.
#[pyclass(name = "Responder", module = "windlass._plane", frozen)]
pub(crate) struct PyResponder {
    shared: Shared,
    answers: Arc<Answers>,
}

impl PyResponder {
    /// Takes the way back; none when the request is answered already.
    pub(crate) fn take(way_back: &WayBack, answers: &Arc<Answers>) -> Option<Self> {
        Some(Self { shared: way_back.responder()?, answers: Arc::clone(answers) })
    }
}

#[pymethods]
impl PyResponder {
    /// Gives one answer: outputs by name, or an error. The last may have neither. After the last nothing more is taken.
    #[pyo3(signature = (outputs = None, error = None, parameters = None, last = false))]
    fn send(
        &self,
        py: Python<'_>,
        outputs: Option<&Bound<'_, PyAny>>,
        error: Option<&Bound<'_, PyAny>>,
        parameters: Option<&Bound<'_, PyDict>>,
        last: bool,
    ) {
        let result = match (outputs, error) {
            (_, Some(error)) => Some(Err(from_value(error))),
            (Some(outputs), None) => {
                Some(self.read(outputs, parameters).map_err(|exception| from_exception(py, &exception)))
            }
            (None, None) => None,
        };
        if let Some(responder) = &mut *lock(&self.shared) {
            responder.respond(result, last);
        }
    }

    /// Whether the client went away.
    fn is_cancelled(&self) -> bool {
        lock(&self.shared).as_ref().is_some_and(|responder| responder.is_cancelled())
    }
}

impl PyResponder {
    fn read(&self, outputs: &Bound<'_, PyAny>, given: Option<&Bound<'_, PyDict>>) -> PyResult<Outputs> {
        let mut outputs = self.answers.read(outputs)?;
        if let Some(given) = given {
            outputs.parameters = parameters::from_dict(given)?;
        }
        Ok(outputs)
    }
}

/// Ends a request by an error, unless its last answer was given.
pub(crate) fn fail(shared: &Shared, error: Error) {
    if let Some(responder) = &mut *lock(shared)
        && !responder.has_ended()
    {
        responder.respond(Some(Err(error)), true);
    }
}
