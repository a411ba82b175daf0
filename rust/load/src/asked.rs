//! A request under way, and what became of it.

use crate::failure::Failure;

/// Nanoseconds since a worker began.
pub(crate) type Nanos = u64;

/// When a request should have been sent, and when it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) due: Nanos,
    pub(crate) sent: Nanos,
}

/// A request that is no longer under way.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) asked: Asked,
    pub(crate) at: Nanos,
    pub(crate) result: Result<(), Refusal>,
}

/// Why it failed, and the beginning of what the server said about it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) failure: Failure,
    pub(crate) text: Vec<u8>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, text: Vec::new() }
    }
}

/// So much is kept of what a server says.
pub(crate) const TEXT_BYTES: usize = 400;

/// A connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// As the server had announced, or while nothing was asked.
    Quietly,
    /// What was under way has failed.
    Because(Failure),
}
