//! windlass' data plane: network, queues, batching and metrics, without Python.
//!
//! A request walks through these files in this order:
//!
//! * `frontend` reads it off the wire and, at the end, writes the answer;
//! * `plane` is the façade; `catalog` picks the version that answers;
//! * `model` checks it against the `spec`, `payload` its bytes, and admits it;
//! * `scheduler` keeps it in its `line` until an idle `worker` takes it: `dynamic` has one `queue` for all, and the `batcher` says which
//!   requests go together; `sequence` keeps together those that belong together; the `limiter` tells whether the instance may execute;
//! * `batch` joins them for the `instance`, and splits what comes back; `order` keeps answers in line where a model asks for it;
//! * `reply` carries the answer home to whoever holds the `pending` request, by way of the `reactor` that the connection lives on; a model
//!   that answers later or often does so through a `responder`; `crew` runs the reactor's threads, `pace` tells
//!   whether a model is quick enough to be executed on them, and `vigil` whether they look for more before they sleep.
//!
//! `shared_memory` is where clients on the same machine keep tensors, some of them in memory of a `gpu`, and `classification` names the
//! best of an output for clients that want no more of it.
//!
//! Where a model wants a tensor in another shape than its clients, `reshape` knows; where requests of different shapes share a batch,
//! `ragged` does.
//!
//! A version may be an `ensemble`: its requests run through other models. `cache` keeps answers for requests that are asked again, and
//! `warmup` has instances execute requests before clients do.
//!
//! Model code reaches the server through `host`; `local_host` is the server for code in its own process.
//!
//! `trace` follows single requests through all of this; `log` tells of them when asked to.
//!
//! `tensor`, `request`, `error`, `statistics` and `metrics` are what they speak of; `control` is what the network may ask of the
//! repository's owner.
#![deny(unsafe_code)] // allowed where memory is mapped, and nowhere else

pub mod batch;
mod batcher;
pub mod cache;
pub mod catalog;
pub mod classification;
pub mod control;
mod crew;
mod dynamic;
mod ensemble;
pub mod error;
pub mod frontend;
pub mod gpu;
pub mod histogram;
pub mod host;
pub mod instance;
pub mod isolated;
pub mod limiter;
mod line;
mod local_host;
pub mod log;
pub mod metrics;
pub mod model;
mod order;
mod pace;
mod payload;
pub mod pending;
pub mod plane;
pub mod proto;
mod queue;
pub mod ragged;
pub mod reactor;
pub mod reply;
pub mod request;
mod reshape;
pub mod responder;
mod scheduler;
mod sequence;
pub mod settings;
pub mod shared_memory;
pub mod spec;
pub mod statistics;
pub mod tensor;
pub mod trace;
mod vigil;
pub mod warmup;
pub mod worker;
