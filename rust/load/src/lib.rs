//! Load on servers: requests that were made beforehand, asked in a closed loop or at a rate, over HTTP/1.1 or gRPC, and what came of it.
//!
//! A `load` says what to ask; `plan` makes everything ready that can be made beforehand. Each thread of a `run` is a `worker` with an event
//! loop of its own (`poll`) and a part of every load, a `lane`. A lane asks when its `pace` says so, over `link`s which are made again when
//! they are lost, each with a `wire` (a socket, with TLS or not) and one that talks on it: `http` or `grpc`. A `tally` counts.
//!
//! `pace`, `tally` and the parsers of answers know neither sockets nor clocks. What is measured must not be the generator: one wake-up serves
//! all that is readable, and a request over HTTP takes nothing but a read, a write and some arithmetic.

#![forbid(unsafe_code)]

mod asked;
mod error;
mod failure;
mod grpc;
mod http;
mod lane;
mod link;
mod load;
mod outcome;
mod pace;
mod plan;
mod poll;
mod run;
mod spread;
mod tally;
mod target;
mod tls;
mod wire;
mod worker;

pub use error::Error;
pub use failure::Failure;
pub use load::{Arrivals, Load, Mode, Request};
pub use outcome::{INTERVAL, Interval, Outcome};
pub use run::run;
pub use spread::Spread;
pub use tls::Trust;
