//! REST: our own server side of HTTP/1.1. Requests of a few hundred bytes and tensors of megabytes are both read into the place where they
//! are used, which a general library would not do; see docs/decisions/0002.

mod chunked;
mod compression;
mod connection;
mod head;
mod infer;
mod operations;
mod response;
mod router;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};

use crate::error::{Code, Error, Result};
use crate::frontend::http::connection::{Connection, Service, Signals};
use crate::frontend::http::head::Head;
use crate::frontend::http::response::Response;
use crate::frontend::http::router::{Route, route};
use crate::frontend::{Door, Stop};

/// Connections on one reactor; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8192;
/// How long to wait when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves REST until it is told to stop.
pub async fn serve(listener: TcpListener, door: Arc<Door>, stop: watch::Receiver<Stop>) {
    accept(listener, stop, || Rest(Arc::clone(&door))).await;
}

/// Serves the metrics page until it is told to stop.
pub async fn serve_metrics(listener: TcpListener, door: Arc<Door>, stop: watch::Receiver<Stop>) {
    accept(listener, stop, || Metrics(Arc::clone(&door))).await;
}

async fn accept<V>(listener: TcpListener, mut stop: watch::Receiver<Stop>, service: impl Fn() -> V)
where
    V: Service + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    let mut known: HashMap<Id, (AbortHandle, Arc<Signals>)> = HashMap::new();
    while *stop.borrow_and_update() == Stop::Serve {
        tokio::select! {
            accepted = listener.accept(), if known.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    let signals: Arc<Signals> = Arc::default();
                    let task = connections.spawn(converse(stream, service(), Arc::clone(&signals)));
                    known.insert(task.id(), (task, signals));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(ended) = connections.join_next_with_id() => forget(&mut known, &ended),
            _ = stop.changed() => {}
        }
    }
    drop(listener);
    for (task, signals) in known.values() {
        signals.closing.store(true, Ordering::Relaxed);
        if signals.idle.load(Ordering::Relaxed) {
            task.abort();
        }
    }
    while *stop.borrow_and_update() != Stop::Close {
        tokio::select! {
            ended = connections.join_next() => if ended.is_none() { return },
            _ = stop.changed() => {}
        }
    }
}

fn forget(
    known: &mut HashMap<Id, (AbortHandle, Arc<Signals>)>,
    ended: &std::result::Result<(Id, ()), tokio::task::JoinError>,
) {
    let id = match ended {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    };
    known.remove(&id);
}

async fn converse<V: Service + Send + Sync>(stream: TcpStream, service: V, signals: Arc<Signals>) {
    // Without it small answers wait for the client's acknowledgement; a socket that refuses still works.
    let _ = stream.set_nodelay(true);
    // An error means that the client is gone: there is nobody to tell.
    let _ = Connection::new(stream, service, signals).serve().await;
}

struct Rest(Arc<Door>);

impl Service for Rest {
    async fn answer(&self, head: &Head, body: BytesMut) -> Response {
        match route(head.method, &head.target) {
            Route::Unknown => Response::unrouted(404, "Not Found"),
            Route::WrongMethod => Response::unrouted(405, "Method Not Allowed"),
            Route::Infer(target) => self.during_service(infer::infer(&self.0, head, &target, body)).await,
            Route::Predict(name) => self.during_service(infer::predict(&self.0, head, name.as_deref(), body)).await,
            route => self.operate(route, &body).await.unwrap_or_else(Response::from),
        }
    }

    fn max_body_bytes(&self) -> usize {
        self.0.plane.http_max_input_bytes()
    }
}

impl Rest {
    /// No new inference while the server is on its way out.
    async fn during_service(&self, answer: impl Future<Output = Result<Response>>) -> Response {
        if self.0.plane.stopping() {
            return Error::new(Code::Unavailable, "Server exiting").into();
        }
        let mut response = answer.await.unwrap_or_else(Response::from);
        response.tells_encodings =
            response.status == 501 && response.body.windows(11).any(|part| part == b"compression");
        response
    }

    async fn operate(&self, route: Route<'_>, body: &[u8]) -> Result<Response> {
        let plane = &*self.0.plane;
        match route {
            Route::Live => Ok(operations::probe(plane.live())),
            Route::Ready => Ok(operations::probe(plane.ready())),
            Route::PlainHealth => Ok(operations::plain_probe("live", plane.live())),
            Route::PlainReady => Ok(operations::plain_probe("ready", plane.ready())),
            Route::ModelReady(target) => operations::model_ready(plane, &target),
            Route::ServerMetadata => Ok(operations::server_metadata(plane)),
            Route::ModelMetadata(target) => operations::model_metadata(plane, &target),
            Route::ModelConfig(target) => operations::model_config(plane, &target),
            Route::Statistics => operations::statistics(plane, "", ""),
            Route::ModelStatistics(target) => operations::statistics(plane, &target.model, target.version),
            Route::Index => operations::index(plane, body),
            Route::Load(model) => operations::load(plane, &model, body).await,
            Route::Unload(model) => operations::unload(plane, &model, body).await,
            Route::NamedIndex | Route::NamedRepository => Err(operations::named_repository()),
            Route::Infer(_) | Route::Predict(_) | Route::WrongMethod | Route::Unknown => Ok(Response::empty(404)),
        }
    }
}

struct Metrics(Arc<Door>);

impl Service for Metrics {
    async fn answer(&self, head: &Head, _body: BytesMut) -> Response {
        match head.target.split(|&byte| byte == b'?').next() {
            Some(b"/metrics") => Response::text("text/plain; charset=utf-8", &self.0.plane.metrics()),
            _ => Response::unrouted(404, "Not Found"),
        }
    }

    fn max_body_bytes(&self) -> usize {
        0
    }
}
