//! Sends spans to a collector in batches: by HTTP or by gRPC, on a thread that may wait for it.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use h2::client;
use http::{HeaderMap, Request, Uri};
use prost::Message;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::trace::otlp::{ExportRequest, Span, spans};
use crate::trace::record::Record;
use crate::trace::settings::{Protocol, Setup};
use crate::trace::sink::Reporter;

/// How long a collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(5);
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

pub(super) struct Exporter {
    setup: Setup,
    reporter: Reporter,
    waiting: Vec<Span>,
    failing: bool,
}

impl Exporter {
    pub(super) fn new(setup: Setup, reporter: Reporter) -> Self {
        Self { setup, reporter, waiting: Vec::new(), failing: false }
    }

    /// Exports what comes until nobody is left who could send more.
    pub(super) fn run(mut self, records: &Receiver<Record>) {
        let delay = Duration::from_millis(self.setup.schedule_delay_ms);
        let mut due = Instant::now() + delay;
        loop {
            match records.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(record) => {
                    if self.waiting.is_empty() {
                        due = Instant::now() + delay;
                    }
                    self.waiting.extend(spans(&record));
                    if self.waiting.len() < self.setup.max_export_batch_size {
                        continue;
                    }
                    self.export();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.export();
                    due = Instant::now() + delay;
                }
                Err(RecvTimeoutError::Disconnected) => return self.export(),
            }
        }
    }

    /// Sends what waits. What a collector does not take is gone: it will not want it more a moment later.
    fn export(&mut self) {
        self.reporter.tell_lost();
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(self.setup.max_export_batch_size.max(1));
            let batch: Vec<Span> = self.waiting.drain(..count).collect();
            let message = ExportRequest::new(&self.setup, batch).encode_to_vec();
            let sent = match self.setup.protocol {
                Protocol::Http => post(&self.setup.url, &message),
                Protocol::Grpc => call(&self.setup.url, &message),
            };
            match sent {
                Ok(()) => self.failing = false,
                Err(text) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        let url = &self.setup.url;
                        self.reporter
                            .failed(&format!("the collector at `{url}` took no spans, {count} are lost: {text}"));
                    }
                }
            }
        }
    }
}

fn post(url: &str, message: &[u8]) -> Result<(), String> {
    let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().new_agent();
    let sent = agent.post(url).header("Content-Type", "application/x-protobuf").send(message);
    sent.map(drop).map_err(|error| error.to_string())
}

fn call(url: &str, message: &[u8]) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let called = runtime.block_on(async { timeout(PATIENCE, call_unary(url, message)).await });
    called.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

/// One call of one message, on a connection of its own: batches are seconds apart.
async fn call_unary(url: &str, message: &[u8]) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
    let authority = uri.authority().ok_or_else(|| format!("`{url}` names no host"))?;
    let address = (authority.host(), authority.port_u16().unwrap_or(4317));
    let socket = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (requests, connection) = client::handshake(socket).await.map_err(|error| error.to_string())?;
    // Its error is that of the call as well.
    let driven = tokio::spawn(async move {
        let _ = connection.await;
    });
    let request = Request::post(format!("http://{authority}{GRPC_PATH}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .map_err(|error| error.to_string())?;
    let mut requests = requests.ready().await.map_err(|error| error.to_string())?;
    let (response, mut body) = requests.send_request(request, false).map_err(|error| error.to_string())?;
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    body.send_data(framed.freeze(), true).map_err(|error| error.to_string())?;
    let outcome = read_status(response).await;
    driven.abort();
    outcome
}

async fn read_status(response: client::ResponseFuture) -> Result<(), String> {
    let response = response.await.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("HTTP status {}", response.status().as_u16()));
    }
    if response.headers().contains_key("grpc-status") {
        return status(response.headers());
    }
    let mut body = response.into_body();
    while let Some(part) = body.data().await {
        let part: Bytes = part.map_err(|error| error.to_string())?;
        let _ = body.flow_control().release_capacity(part.len());
    }
    let trailers = body.trailers().await.map_err(|error| error.to_string())?;
    status(&trailers.unwrap_or_default())
}

fn status(headers: &HeaderMap) -> Result<(), String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    match text("grpc-status").as_str() {
        "0" => Ok(()),
        code => Err(format!("gRPC status {code}: {}", text("grpc-message"))),
    }
}
