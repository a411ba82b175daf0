//! A load with everything made ready that can be: the address, keys, and every request's bytes.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use crate::asked::Nanos;
use crate::error::{Error, Result};
use crate::load::{Load, Mode, Request};
use crate::target::{Protocol, Target};
use crate::tls::Secrecy;

/// The call that asks a model.
const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
/// So many requests share a connection where nothing else is asked for, as with Triton's own clients.
const STREAMS_PER_CONNECTION: usize = 6;

/// A load, ready to be asked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) secrecy: Option<Secrecy>,
    pub(crate) requests: Requests,
    pub(crate) mode: Mode,
    pub(crate) length: Nanos,
    pub(crate) timeout: Nanos,
    /// How many requests each connection carries at a time.
    pub(crate) places: Vec<usize>,
}

/// The requests, in the form in which they are sent.
#[derive(Debug)]
pub(crate) enum Requests {
    /// Heads with their bodies; whether answers have bodies.
    Http { messages: Vec<Bytes>, bodyless: bool },
    /// Calls, each with its framed message.
    Grpc(Vec<(http::Request<()>, Bytes)>),
}

impl Requests {
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Http { messages, .. } => messages.len(),
            Self::Grpc(calls) => calls.len(),
        }
    }
}

impl Plan {
    pub(crate) fn new(load: &Load) -> Result<Self> {
        check(load)?;
        let target = Target::parse(&load.url)?;
        let requests = match target.protocol {
            Protocol::Http => http_requests(load, &target)?,
            Protocol::Grpc => grpc_requests(load, &target)?,
        };
        let secrecy = target.secure.then(|| Secrecy::new(&load.trust, &target)).transpose()?;
        let (places, nanos) = (places(load, target.protocol), |length: std::time::Duration| length.as_nanos() as Nanos);
        let (length, timeout) = (nanos(load.length), nanos(load.timeout));
        Ok(Self { address: target.resolve()?, secrecy, requests, mode: load.mode, length, timeout, places })
    }
}

fn check(load: &Load) -> Result<()> {
    if load.requests.is_empty() {
        return Err(Error::new("a load needs at least one request"));
    }
    if load.length.is_zero() || load.timeout.is_zero() {
        return Err(Error::new("the length of a load and its time-out have to be more than 0 seconds"));
    }
    if load.mode.places() == 0 || load.connections == Some(0) {
        return Err(Error::new("a load needs at least one request under way and one connection"));
    }
    match load.mode {
        Mode::Open { rate, .. } if !(rate.is_finite() && rate > 0.0) => {
            Err(Error::new(format!("expected a rate of more than 0 requests a second, got {rate}")))
        }
        _ => Ok(()),
    }
}

/// How many requests each connection carries: over HTTP one, over gRPC all about the same.
fn places(load: &Load, protocol: Protocol) -> Vec<usize> {
    let total = load.mode.places();
    match protocol {
        Protocol::Http => vec![1; total],
        Protocol::Grpc => {
            let count = load.connections.unwrap_or(total.div_ceil(STREAMS_PER_CONNECTION)).min(total);
            (0..count).map(|index| total / count + usize::from(index < total % count)).collect()
        }
    }
}

fn http_requests(load: &Load, target: &Target) -> Result<Requests> {
    let path = if load.path.is_empty() { target.path.as_str() } else { load.path.as_str() };
    let path = path_of(if path.is_empty() { "/" } else { path })?;
    let method = Method::from_bytes(load.method.as_bytes())
        .map_err(|_| Error::new(format!("`{}` is no method of HTTP", load.method)))?;
    let message = |request: &Request| {
        let mut headers = headers(load, request)?;
        headers.entry(header::HOST).or_insert(value("host", &target.authority)?);
        if !request.body.is_empty() {
            headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        if method != Method::GET || !request.body.is_empty() {
            headers.insert(header::CONTENT_LENGTH, request.body.len().into());
        }
        Ok(http_message(&method, &path, &headers, &request.body))
    };
    let messages = load.requests.iter().map(message).collect::<Result<_>>()?;
    Ok(Requests::Http { messages, bodyless: method == Method::HEAD })
}

fn http_message(method: &Method, path: &PathAndQuery, headers: &HeaderMap, body: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(512 + body.len());
    message.put_slice(format!("{method} {path} HTTP/1.1\r\n").as_bytes());
    for (name, value) in headers {
        message.put_slice(name.as_ref());
        message.put_slice(b": ");
        message.put_slice(value.as_bytes());
        message.put_slice(b"\r\n");
    }
    message.put_slice(b"\r\n");
    message.put_slice(body);
    message.freeze()
}

fn grpc_requests(load: &Load, target: &Target) -> Result<Requests> {
    let path = path_of(if load.path.is_empty() { MODEL_INFER } else { &load.path })?;
    let scheme = if target.secure { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(target.authority.as_str()).path_and_query(path).build();
    let uri = uri.map_err(|error| Error::new(format!("`{}`: {error}", load.url)))?;
    let call = |request: &Request| {
        let length = u32::try_from(request.body.len())
            .map_err(|_| Error::new(format!("a message of {} bytes is too long for gRPC", request.body.len())))?;
        let mut message = BytesMut::with_capacity(5 + request.body.len());
        // Not compressed.
        message.put_u8(0);
        message.put_u32(length);
        message.put_slice(&request.body);
        let mut call = http::Request::new(());
        *call.method_mut() = Method::POST;
        *call.uri_mut() = uri.clone();
        *call.headers_mut() = headers(load, request)?;
        call.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        call.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        Ok((call, message.freeze()))
    };
    load.requests.iter().map(call).collect::<Result<_>>().map(Requests::Grpc)
}

fn path_of(text: &str) -> Result<PathAndQuery> {
    let path = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    PathAndQuery::from_maybe_shared(path).map_err(|error| Error::new(format!("path `{text}`: {error}")))
}

/// The headers of a request: those of the load, and over them its own.
fn headers(load: &Load, request: &Request) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, text) in load.headers.iter().chain(&request.headers) {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::new(format!("`{name}` cannot be the name of a header")))?;
        if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(&key) {
            return Err(Error::new(format!("header `{name}` is the generator's own: leave it out")));
        }
        headers.insert(key, value(name, text)?);
    }
    Ok(headers)
}

fn value(name: &str, text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| Error::new(format!("header `{name}`: its value cannot be sent")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn load(url: &str, mode: Mode) -> Load {
        let request = Request { body: Bytes::from_static(b"{}"), headers: vec![("Key".into(), "own".into())] };
        Load::new(url, vec![request], mode, Duration::from_secs(1))
    }

    #[test]
    fn a_request_is_made_beforehand() {
        let mut load = load("http://127.0.0.1:8000", Mode::Closed { concurrency: 2 });
        load.path = "v2/models/m/infer".into();
        load.headers = vec![("key".into(), "of all".into()), ("Other".into(), "x".into())];
        let plan = Plan::new(&load).expect("a load that makes sense");
        let Requests::Http { messages, bodyless } = plan.requests else { panic!("HTTP was asked for") };
        let text = String::from_utf8(messages[0].to_vec()).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let mut lines: Vec<&str> = head.split("\r\n").collect();
        assert_eq!(lines.remove(0), "POST /v2/models/m/infer HTTP/1.1");
        lines.sort_unstable();
        let expected =
            ["content-length: 2", "content-type: application/json", "host: 127.0.0.1:8000", "key: own", "other: x"];
        assert_eq!((lines.as_slice(), body, bodyless), (expected.as_slice(), "{}", false));
        assert_eq!(plan.places, [1, 1]);
    }

    #[test]
    fn a_message_of_grpc_is_framed() {
        let plan = Plan::new(&load("grpc://127.0.0.1:8001", Mode::Closed { concurrency: 8 })).expect("it makes sense");
        let Requests::Grpc(calls) = plan.requests else { panic!("gRPC was asked for") };
        assert_eq!(calls[0].0.uri(), "http://127.0.0.1:8001/inference.GRPCInferenceService/ModelInfer");
        assert_eq!((calls[0].0.headers()["key"].as_bytes(), &calls[0].1[..]), (&b"own"[..], &b"\0\0\0\0\x02{}"[..]));
        assert_eq!(plan.places, [4, 4]);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let good = || load("http://127.0.0.1:1", Mode::Closed { concurrency: 1 });
        let told = |load: Load| Plan::new(&load).expect_err("it makes no sense").to_string();
        assert_eq!(told(Load { requests: vec![], ..good() }), "a load needs at least one request");
        let headers = vec![("Content-Length".into(), "1".into())];
        assert_eq!(told(Load { headers, ..good() }), "header `Content-Length` is the generator's own: leave it out");
        let headers = vec![("a".into(), "b\r\nc: d".into())];
        assert_eq!(told(Load { headers, ..good() }), "header `a`: its value cannot be sent");
        let mode = Mode::Open { rate: 0.0, arrivals: crate::Arrivals::Poisson, seed: 0, in_flight: 1 };
        assert_eq!(told(Load { mode, ..good() }), "expected a rate of more than 0 requests a second, got 0");
        assert!(told(Load { path: "/a b".into(), ..good() }).starts_with("path `/a b`: "));
    }
}
