//! The collector as spans are handed to it: one POST, or one call of gRPC, each on a connection of its own: batches are seconds apart.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client;
use http::uri::Scheme;
use http::{HeaderMap, Request, Uri};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::trace::settings::{Protocol, Setup};

/// How long a collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(5);
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

pub(super) struct Collector {
    url: String,
    protocol: Protocol,
}

impl Collector {
    pub(super) fn new(setup: &Setup) -> Self {
        Self { url: setup.url.clone(), protocol: setup.protocol }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Hands over a message, and waits until it is taken; fails with the reason why it is not.
    pub(super) fn send(&self, message: &[u8]) -> Result<(), String> {
        match self.protocol {
            Protocol::Http => self.post(message),
            Protocol::Grpc => self.call(message),
        }
    }

    fn post(&self, message: &[u8]) -> Result<(), String> {
        let mut config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE));
        if self.url.starts_with("https:") {
            config = config.tls_config(roots_of_http()?);
        }
        let agent = config.build().new_agent();
        let sent = agent.post(&self.url).header("Content-Type", "application/x-protobuf").send(message);
        sent.map(drop).map_err(|error| error.to_string())
    }

    fn call(&self, message: &[u8]) -> Result<(), String> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let called = runtime.block_on(async { timeout(PATIENCE, self.connect(message)).await });
        called.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
    }

    async fn connect(&self, message: &[u8]) -> Result<(), String> {
        let uri: Uri = self.url.parse().map_err(|error| format!("`{}` is no URL: {error}", self.url))?;
        let authority = uri.authority().ok_or_else(|| format!("`{}` names no host", self.url))?;
        let host = authority.host().trim_matches(['[', ']']);
        let socket = TcpStream::connect((host, authority.port_u16().unwrap_or(4317)));
        let socket = socket.await.map_err(|error| error.to_string())?;
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return call_unary(socket, &format!("http://{authority}{GRPC_PATH}"), message).await;
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(Arc::new(roots_of_grpc()?));
        let socket = connector.connect(name, socket).await.map_err(|error| error.to_string())?;
        call_unary(socket, &format!("https://{authority}{GRPC_PATH}"), message).await
    }
}

/// The issuers that this machine trusts. Those of its own store, and not a list that is built in: collectors are within the house, and so
/// is who signs for them. `SSL_CERT_FILE` and `SSL_CERT_DIR` name others, as everywhere.
fn roots() -> Result<Vec<rustls::pki_types::CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(format!(
            "this machine trusts no issuer of certificates{why}; install `ca-certificates`, or name a file by `SSL_CERT_FILE`"
        ));
    }
    Ok(found.certs)
}

fn roots_of_http() -> Result<TlsConfig, String> {
    let trusted: Vec<_> = roots()?.iter().map(|issuer| Certificate::from_der(issuer).to_owned()).collect();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&trusted))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

fn roots_of_grpc() -> Result<ClientConfig, String> {
    let mut trusted = rustls::RootCertStore::empty();
    // As curl has it: what a system's store holds besides good certificates is passed over.
    trusted.add_parsable_certificates(roots()?);
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// One call of one message.
async fn call_unary<S>(socket: S, url: &str, message: &[u8]) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (requests, connection) = client::handshake(socket).await.map_err(|error| error.to_string())?;
    // Its error is that of the call as well.
    let driven = tokio::spawn(async move {
        let _ = connection.await;
    });
    let request = Request::post(url)
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
