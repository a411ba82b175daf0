//! Accepts connections and sees them through to their end.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use crate::frontend::Stop;
use crate::frontend::http::connection::{Connection, Service, Signals};

/// Connections of one listener at most; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8192;
/// How long to wait when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The open connections of one listener.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    signals: HashMap<Id, Arc<Signals>>,
}

/// Serves every client that comes, until told to stop.
pub(super) async fn until_stopped<V>(listener: TcpListener, mut stop: watch::Receiver<Stop>, service: impl Fn() -> V)
where
    V: Service + Send + Sync + 'static,
{
    let mut connections = Connections::default();
    let room = room(std::fs::read_to_string("/proc/self/limits").unwrap_or_default().as_str());
    while told(&mut stop) == Stop::Serve {
        tokio::select! {
            accepted = listener.accept(), if connections.signals.len() < room => match accepted {
                Ok((stream, _)) => connections.open(stream, service()),
                // The client was gone before it was its turn.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(ended) = connections.tasks.join_next_with_id() => connections.forget(ended),
            _ = stop.changed() => {}
        }
    }
    // Who has been let into the kernel's queue is told that the server is on its way out, not torn off.
    while let Poll::Ready(Ok((stream, _))) = poll_fn(|context| Poll::Ready(listener.poll_accept(context))).await {
        connections.open(stream, service());
    }
    drop(listener);
    connections.signals.values().for_each(|signals| signals.close());
    while told(&mut stop) != Stop::Close {
        tokio::select! {
            ended = connections.tasks.join_next() => if ended.is_none() { return },
            _ = stop.changed() => {}
        }
    }
}

/// How many connections to hold, by what the system tells of the process: half of its files, since models have to be opened too.
fn room(limits: &str) -> usize {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    files.map_or(MAX_CONNECTIONS, |files| (files / 2).clamp(16, MAX_CONNECTIONS))
}

/// What the front end is to do now. When nobody is left to tell, it is to end.
fn told(stop: &mut watch::Receiver<Stop>) -> Stop {
    if stop.has_changed().is_err() { Stop::Close } else { *stop.borrow_and_update() }
}

impl Connections {
    fn open(&mut self, stream: TcpStream, service: impl Service + Send + Sync + 'static) {
        // Without it small answers wait for the client's acknowledgement; a socket that refuses still works.
        let _ = stream.set_nodelay(true);
        let signals: Arc<Signals> = Arc::default();
        let connection = Connection::new(stream, service, Arc::clone(&signals));
        let task = self.tasks.spawn(async {
            // An error means that the client is gone: there is nobody to tell.
            let _ = connection.serve().await;
        });
        self.signals.insert(task.id(), signals);
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(panicked) => panicked.id(),
        };
        self.signals.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_half_of_the_files_to_others() {
        let limits = |files: &str| {
            format!("Limit  Soft Limit  Hard Limit  Units\nMax open files            {files}  524288  files\n")
        };
        for (files, expected) in
            [("1024", 512), ("8", 16), ("1048576", MAX_CONNECTIONS), ("unlimited", MAX_CONNECTIONS)]
        {
            assert_eq!(room(&limits(files)), expected, "{files}");
        }
        assert_eq!(room(""), MAX_CONNECTIONS);
    }
}
