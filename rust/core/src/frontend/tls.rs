//! TLS: who the server says it is, and which clients it believes.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::{Code, Error, Result};

/// The files that TLS is made of, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, followed by those that lead to its issuer.
    pub certificate: PathBuf,
    /// The key that belongs to it.
    pub key: PathBuf,
    /// Issuers of the clients' certificates. Where it is given, clients without such a certificate are not heard.
    pub clients: Option<PathBuf>,
}

/// What a listener needs to speak TLS.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads the files. `protocol` is what clients ask for by ALPN: `h2` for gRPC.
    ///
    /// # Errors
    /// `InvalidArgument` that names the file and what is wrong with it.
    pub fn read(files: &TlsFiles, protocol: &[u8]) -> Result<Self> {
        let certificates = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong("key", &files.key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = files.clients.as_deref().map(|path| verifier(path, &provider)).transpose()?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("certificate", &files.certificate, &error))?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config =
            builder.with_single_cert(certificates, key).map_err(|error| wrong("key", &files.key, &error))?;
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Agrees with a client on keys; fails where it does not speak TLS, or is not believed.
    pub(crate) async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.accept(socket).await
    }
}

impl fmt::Debug for Tls {
    /// Says nothing: it holds a key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tls")
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| wrong("certificate", path, &error))?;
    if found.is_empty() {
        return Err(wrong("certificate", path, &"no certificate in it"));
    }
    Ok(found)
}

fn verifier(path: &Path, provider: &Arc<rustls::crypto::CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut issuers = RootCertStore::empty();
    for certificate in certificates(path)? {
        issuers.add(certificate).map_err(|error| wrong("certificate", path, &error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(issuers), Arc::clone(provider))
        .build()
        .map_err(|error| wrong("certificate", path, &error))
}

fn wrong(what: &str, path: &Path, error: &dyn fmt::Display) -> Error {
    Error::new(Code::InvalidArgument, format!("TLS {what} file `{}`: {error}", path.display()))
}
