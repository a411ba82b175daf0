//! HTTP/1.1, as a client that asks one request at a time over each connection.

mod answer;
mod chunks;
mod talk;

pub(crate) use talk::Talk;

/// What came is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;
