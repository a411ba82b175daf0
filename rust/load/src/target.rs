//! Whom to ask: a URL taken apart, and the address behind its name.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use http::Uri;

use crate::error::{Error, Result};

/// How long an address may take to show that somebody listens there, where a name has several.
const PROBE_TIME: Duration = Duration::from_secs(2);

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Grpc,
}

/// A URL's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) protocol: Protocol,
    pub(crate) secure: bool,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As the URL has it: host and port.
    pub(crate) authority: String,
    /// What the URL has behind them.
    pub(crate) path: String,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let wrong = |what: &str| Error::new(format!("`{url}`: {what}"));
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
        let (protocol, secure) = match uri.scheme_str() {
            Some("http") => (Protocol::Http, false),
            Some("https") => (Protocol::Http, true),
            Some("grpc") => (Protocol::Grpc, false),
            Some("grpcs") => (Protocol::Grpc, true),
            _ => return Err(wrong("expected http://, https://, grpc:// or grpcs:// in front")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("user names and passwords in a URL are not used: give a header"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match (authority.port_u16(), protocol, secure) {
            (Some(port), _, _) => port,
            (None, Protocol::Http, false) => 80,
            (None, _, true) => 443,
            (None, Protocol::Grpc, false) => return Err(wrong("names no port")),
        };
        let path = uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str).trim_end_matches('/').to_owned();
        Ok(Self { protocol, secure, host, port, authority: authority.to_string(), path })
    }

    /// The address to connect to. Where a name has several, the first at which somebody listens.
    pub(crate) fn resolve(&self) -> Result<SocketAddr> {
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let found: Vec<_> =
            found.map_err(|error| Error::new(format!("no address for `{}`: {error}", self.host)))?.collect();
        let first = *found.first().ok_or_else(|| Error::new(format!("no address for `{}`", self.host)))?;
        if found.len() == 1 {
            return Ok(first);
        }
        let listens = |address: &&SocketAddr| TcpStream::connect_timeout(address, PROBE_TIME).is_ok();
        Ok(found.iter().find(listens).copied().unwrap_or(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("https://models.example/base/?key=1").expect("a URL");
        assert_eq!((target.protocol, target.secure), (Protocol::Http, true));
        assert_eq!((target.host.as_str(), target.port, target.path.as_str()), ("models.example", 443, "/base/?key=1"));
        let target = Target::parse("grpc://[::1]:8001").expect("a URL");
        assert_eq!((target.protocol, target.secure, target.path.as_str()), (Protocol::Grpc, false, ""));
        assert_eq!((target.host.as_str(), target.port, target.authority.as_str()), ("::1", 8001, "[::1]:8001"));
    }

    #[test]
    fn what_is_no_url_is_told() {
        for (url, expected) in [
            ("localhost:8000", "`localhost:8000`: expected http://, https://, grpc:// or grpcs:// in front"),
            ("ftp://a:1", "`ftp://a:1`: expected http://, https://, grpc:// or grpcs:// in front"),
            ("grpc://a", "`grpc://a`: names no port"),
            (
                "http://me:secret@a",
                "`http://me:secret@a`: user names and passwords in a URL are not used: give a header",
            ),
        ] {
            assert_eq!(Target::parse(url).map_err(|error| error.to_string()), Err(expected.to_owned()));
        }
    }
}
