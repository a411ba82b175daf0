//! gRPC: the inference service and the health check, on HTTP/2. Every rpc but one is one message each way, so what lies between the two is
//! short; see `call`. The other is `stream`.

mod call;
mod compression;
mod connection;
mod flights;
mod inbox;
mod infer;
mod message;
mod operations;
mod refusal;
mod request;
mod service;
mod settings;
mod shared_memory;
mod stream;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::frontend::{Door, Stop};

pub use compression::Effort;
pub use upkeep::Upkeep;

/// Connections on one reactor; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8192;
/// How long to wait when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves gRPC until it is told to stop.
pub async fn serve(listener: TcpListener, door: Arc<Door>, mut stop: watch::Receiver<Stop>) {
    let mut connections = JoinSet::new();
    while *stop.borrow_and_update() == Stop::Serve {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection::converse(stream, Arc::clone(&door), stop.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            // An error means that the plane is gone.
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
    drop(listener);
    while *stop.borrow_and_update() != Stop::Close {
        tokio::select! {
            ended = connections.join_next() => if ended.is_none() { return },
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}
