//! TLS: which servers are believed, and who the generator says it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::error::{Error, Result};
use crate::target::{Protocol, Target};

/// The files that trust is made of, in PEM.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Who may have signed the server's certificate; the system's authorities where nothing is given.
    pub authorities: Option<PathBuf>,
    /// The generator's own certificate, where the server asks for one.
    pub certificate: Option<PathBuf>,
    /// The key that belongs to it.
    pub key: Option<PathBuf>,
}

/// All it takes to begin TLS with a server.
#[derive(Clone)]
pub(crate) struct Secrecy {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
}

impl Secrecy {
    pub(crate) fn new(trust: &Trust, target: &Target) -> Result<Self> {
        let server = ServerName::try_from(target.host.clone()).map_err(|error| {
            Error::new(format!("`{}` is no name that a certificate could have: {error}", target.host))
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(format!("TLS: {error}")))?
            .with_root_certificates(authorities(trust.authorities.as_deref())?);
        let mut config = match (&trust.certificate, &trust.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let pair = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("key", key, &error))?;
                builder
                    .with_client_auth_cert(certificates(certificate)?, pair)
                    .map_err(|error| wrong("certificate", certificate, &error))?
            }
            _ => return Err(Error::new("TLS: a certificate and its key come together: give both or neither")),
        };
        let protocol = if target.protocol == Protocol::Grpc { &b"h2"[..] } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Self { config: Arc::new(config), server })
    }

    pub(crate) fn begin(&self) -> std::result::Result<ClientConnection, rustls::Error> {
        ClientConnection::new(Arc::clone(&self.config), self.server.clone())
    }
}

impl fmt::Debug for Secrecy {
    /// Says nothing: it may hold a key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrecy")
    }
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match file {
        Some(path) => {
            for certificate in certificates(path)? {
                store.add(certificate).map_err(|error| wrong("certificate", path, &error))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(store)
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

fn wrong(what: &str, path: &Path, error: &dyn fmt::Display) -> Error {
    Error::new(format!("TLS {what} file `{}`: {error}", path.display()))
}
