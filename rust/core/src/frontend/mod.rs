//! The doors to the network. Each knows its transport and nothing of models; all open on the same plane.

use std::sync::Arc;

use crate::plane::Plane;
use crate::reactor::Reactor;

pub mod access;
mod aside;
pub mod fields;
pub mod grpc;
pub mod http;
pub mod json;
pub mod outputs;
pub mod status;
pub mod tls;

/// What a front end on one reactor needs.
#[derive(Clone)]
pub struct Door {
    /// The façade of the server.
    pub plane: Arc<Plane>,
    /// The reactor this front end runs on.
    pub reactor: Arc<Reactor>,
}

/// What the front ends are told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Go on.
    Serve,
    /// Accept nothing new, finish what is in flight, close idle connections, return.
    Drain,
    /// Return now.
    Close,
}
