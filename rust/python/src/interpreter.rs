//! A thread's place in the interpreter.
//!
//! A thread that Python did not start gets a thread state when it enters the interpreter, and loses it when it leaves. Making one maps
//! memory for its frames, and losing it unmaps that: some twenty microseconds for every batch of a tiny model. A thread that executes
//! models keeps its state until it ends.

use pyo3::ffi;
use pyo3::prelude::*;

thread_local! {
    static PLACE: Option<Place> = Place::take();
}

/// Enters the interpreter, with the same thread state every time.
pub(crate) fn enter<R>(work: impl for<'py> FnOnce(Python<'py>) -> R) -> R {
    // A thread that is about to end has given its place up, and enters as anybody does.
    let _ = PLACE.try_with(|_| ());
    Python::attach(work)
}

/// Holds a thread state between visits.
struct Place {
    state: *mut ffi::PyThreadState,
    held: ffi::PyGILState_STATE,
}

impl Place {
    /// `None` for a thread that Python started, or that is in the interpreter now: it has a state already.
    fn take() -> Option<Self> {
        // SAFETY: the interpreter runs, as whoever calls is about to enter it. Without a state of its own this thread holds no lock of the
        // interpreter, so it may ask for one; it lets go of the lock at once and keeps the state.
        unsafe {
            if !ffi::PyGILState_GetThisThreadState().is_null() {
                return None;
            }
            let held = ffi::PyGILState_Ensure();
            Some(Self { state: ffi::PyEval_SaveThread(), held })
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // SAFETY: the state is this thread's, which has left the interpreter. One that is gone, or going, took the state with it.
        unsafe {
            if ffi::Py_IsInitialized() != 0 {
                ffi::PyEval_RestoreThread(self.state);
                ffi::PyGILState_Release(self.held);
            }
        }
    }
}
