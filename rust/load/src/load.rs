//! What to ask of whom, and how often.

use std::time::Duration;

use bytes::Bytes;

use crate::tls::Trust;

/// Requests to one server, asked in turn.
#[derive(Clone, Debug)]
pub struct Load {
    /// `http://`, `https://`, `grpc://` or `grpcs://`, a host and a port.
    pub url: String,
    /// Asked from first to last, and again.
    pub requests: Vec<Request>,
    /// When they are asked.
    pub mode: Mode,
    /// How long requests are sent. Those under way at the end are waited for.
    pub length: Duration,
    /// Where to: empty is `/`, and the call `ModelInfer` for gRPC.
    pub path: String,
    /// HTTP's method.
    pub method: String,
    /// Sent with every request.
    pub headers: Vec<(String, String)>,
    /// A request that has no answer so long after it was sent has failed.
    pub timeout: Duration,
    /// For gRPC: how many connections share the requests under way.
    pub connections: Option<usize>,
    /// Whom to trust where the server speaks TLS.
    pub trust: Trust,
}

impl Load {
    /// One that posts `requests` for so long.
    pub fn new(url: impl Into<String>, requests: Vec<Request>, mode: Mode, length: Duration) -> Self {
        Self {
            url: url.into(),
            requests,
            mode,
            length,
            path: String::new(),
            method: "POST".to_owned(),
            headers: Vec::new(),
            timeout: Duration::from_secs(30),
            connections: None,
            trust: Trust::default(),
        }
    }
}

/// A body, and what belongs to it alone.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// For gRPC the message in its serialised form.
    pub body: Bytes,
    /// Sent with this request.
    pub headers: Vec<(String, String)>,
}

/// When requests are asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Each of so many clients asks again when it is answered.
    Closed {
        /// How many clients.
        concurrency: usize,
    },
    /// Requests come at a rate, whether or not earlier ones are answered.
    Open {
        /// Requests a second.
        rate: f64,
        /// At which distances.
        arrivals: Arrivals,
        /// The same seed gives the same times.
        seed: u64,
        /// How many may wait for answers at a time. Further ones are sent later, and count from when they were due.
        in_flight: usize,
    },
}

impl Mode {
    /// How many requests are under way at a time, at most.
    pub(crate) fn places(self) -> usize {
        match self {
            Self::Closed { concurrency } => concurrency,
            Self::Open { in_flight, .. } => in_flight,
        }
    }
}

/// How far apart the requests of an open loop are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// As those of independent users.
    Poisson,
    /// All as far.
    Constant,
}
