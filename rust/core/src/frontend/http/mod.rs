//! REST: our own server side of HTTP/1.1. Requests of a few hundred bytes and tensors of megabytes are both read into the place where they
//! are used, which a general library would not do; see docs/decisions/0002.

mod body;
mod chunked;
mod compression;
mod connection;
mod generate;
mod head;
mod infer;
mod listen;
mod operations;
mod patience;
mod response;
mod router;
mod settings;
mod shared_memory;
mod wire;

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::error::{Code, Error, Result};
use crate::frontend::fields::Way;
use crate::frontend::http::connection::Service;
use crate::frontend::http::head::{Head, Method};
use crate::frontend::http::response::Response;
use crate::frontend::http::router::{Route, route};
use crate::frontend::{Door, Stop, aside};
use crate::shared_memory::Kind;

/// Serves REST until it is told to stop.
pub async fn serve(listener: TcpListener, door: Arc<Door>, stop: watch::Receiver<Stop>) {
    listen::until_stopped(listener, stop, || Rest(Arc::clone(&door))).await;
}

/// Serves the metrics page until it is told to stop.
pub async fn serve_metrics(listener: TcpListener, door: Arc<Door>, stop: watch::Receiver<Stop>) {
    listen::until_stopped(listener, stop, || Metrics(Arc::clone(&door))).await;
}

struct Rest(Arc<Door>);

impl Service for Rest {
    async fn answer(&self, head: &Head, body: BytesMut) -> Response {
        let started = self.0.plane.log().is_verbose().then(Instant::now);
        let response = self.dispatch(head, body).await;
        if let Some(started) = started {
            self.0.plane.log().verbose(format!(
                "HTTP {:?} {} -> {} in {:?}",
                head.method,
                String::from_utf8_lossy(&head.target),
                response.status,
                started.elapsed()
            ));
        }
        response
    }

    fn max_body_bytes(&self) -> usize {
        self.0.plane.http_max_input_bytes()
    }

    fn time(&self) -> Option<u64> {
        self.0.plane.tracing().time()
    }
}

impl Rest {
    async fn dispatch(&self, head: &Head, body: BytesMut) -> Response {
        let route = route(head.method, &head.target);
        if let Some(category) = route.category()
            && let Err(field) = self.0.plane.restrictions(Way::Http).check(category, head)
        {
            return Response::fault(403, &format!("This API is restricted, expecting header '{field}'"));
        }
        match route {
            Route::Unknown => Response::unrouted(404, "Not Found"),
            Route::WrongMethod => Response::fault(405, "Method Not Allowed"),
            Route::Infer(target) => self.during_service(infer::infer(&self.0, head, &target, body)).await,
            Route::Predict(name) => self.during_service(infer::predict(&self.0, head, name.as_deref(), body)).await,
            Route::Generate(target) => self.during_service(generate::generate(&self.0, head, &target, body)).await,
            Route::GenerateStream(target) => self.during_service(generate::stream(&self.0, head, &target, body)).await,
            route => self.operate(route, body).await.unwrap_or_else(Response::from),
        }
    }

    /// No new inference while the server is on its way out.
    async fn during_service(&self, answer: impl Future<Output = Result<Response>>) -> Response {
        if self.0.plane.stopping() {
            return Error::new(Code::Unavailable, "Server exiting").into();
        }
        answer.await.unwrap_or_else(Response::from)
    }

    async fn operate(&self, route: Route<'_>, body: BytesMut) -> Result<Response> {
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
            Route::Statistics => {
                let plane = Arc::clone(&self.0.plane);
                aside::run(true, move || operations::statistics(&plane, "", "")).await
            }
            Route::ModelStatistics(target) => operations::statistics(plane, &target.model, target.version),
            Route::Index => operations::index(plane, &body),
            Route::Load(model) => operations::load(plane, &model, body).await,
            Route::Unload(model) => operations::unload(plane, &model, &body).await,
            Route::SharedMemory(kind, request, name) => {
                let (regions, name) = (Arc::clone(plane.regions()), name.into_owned());
                // The driver of a GPU opens and closes memory in its own time.
                let long = kind == Kind::Cuda && request != router::Request::Status;
                aside::run(long, move || shared_memory::answer(&regions, kind, request, &name, &body)).await
            }
            Route::NamedRepository => Err(operations::named_repository()),
            Route::TraceSettings(model) => settings::trace(plane, model.as_deref()),
            Route::ChangeTrace(model) => settings::change_trace(plane, model.as_deref(), &body),
            Route::LogSettings => Ok(settings::log(plane)),
            Route::ChangeLog => {
                let wanted = settings::log_wanted(plane.log().settings(), &body)?;
                self.0.plane.change_log(wanted).await?;
                Ok(settings::log(plane))
            }
            Route::Infer(_)
            | Route::Generate(_)
            | Route::GenerateStream(_)
            | Route::Predict(_)
            | Route::WrongMethod
            | Route::Unknown => Ok(Response::empty(404)),
        }
    }
}

struct Metrics(Arc<Door>);

impl Service for Metrics {
    async fn answer(&self, head: &Head, _body: BytesMut) -> Response {
        match (head.target.split(|&byte| byte == b'?').next(), head.method) {
            (Some(b"/metrics"), Method::Get | Method::Head) => {
                let plane = Arc::clone(&self.0.plane);
                // With many models the page is long.
                let page = aside::run(true, move || plane.metrics()).await;
                Response::text("text/plain; charset=utf-8", &page)
            }
            (Some(b"/metrics"), _) => Response::fault(405, "Method Not Allowed"),
            _ => Response::unrouted(404, "Not Found"),
        }
    }

    fn max_body_bytes(&self) -> usize {
        0
    }
}
