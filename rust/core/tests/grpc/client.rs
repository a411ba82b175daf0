//! Two clients: tonic's, which keeps to the rules, and a raw one that does not have to.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request};
use prost::Message;
use tokio::net::TcpStream;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use windlass_core::proto::inference::model_infer_request::InferInputTensor;
use windlass_core::proto::inference::{ModelInferRequest, ModelInferResponse};

use crate::server::Server;

pub(crate) const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// A client that keeps to the rules.
#[derive(Clone)]
pub(crate) struct Client(Grpc<Channel>);

impl Client {
    pub(crate) async fn new(server: &Server) -> Self {
        let url = format!("http://{}", server.address);
        let channel = Channel::from_shared(url).expect("an address").connect().await.expect("a connection");
        Self(Grpc::new(channel).max_decoding_message_size(usize::MAX))
    }

    pub(crate) fn compressing(self, encoding: CompressionEncoding) -> Self {
        Self(self.0.send_compressed(encoding).accept_compressed(encoding))
    }

    pub(crate) async fn infer(&mut self, message: ModelInferRequest) -> Result<ModelInferResponse, Status> {
        self.call("ModelInfer", message).await
    }

    /// Calls an rpc of the inference service.
    pub(crate) async fn call<M, N>(&mut self, rpc: &str, message: M) -> Result<N, Status>
    where
        M: Message + Send + 'static,
        N: Message + Default + Send + 'static,
    {
        self.request(&format!("/inference.GRPCInferenceService/{rpc}"), tonic::Request::new(message)).await
    }

    pub(crate) async fn request<M, N>(&mut self, path: &str, request: tonic::Request<M>) -> Result<N, Status>
    where
        M: Message + Send + 'static,
        N: Message + Default + Send + 'static,
    {
        let path = PathAndQuery::try_from(path).expect("a path");
        self.0.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let answer = self.0.unary(request, path, ProstCodec::<M, N>::default()).await?;
        Ok(answer.into_inner())
    }
}

/// Code and text of a failure.
pub(crate) fn failure<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a failure");
    (status.code(), status.message().to_owned())
}

/// One row for `mirror`.
pub(crate) fn row(values: &[f32]) -> ModelInferRequest {
    let input = InferInputTensor {
        name: "INPUT0".into(),
        datatype: "FP32".into(),
        shape: vec![1, values.len() as i64],
        ..InferInputTensor::default()
    };
    let raw: BytesMut = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    ModelInferRequest {
        model_name: "mirror".into(),
        inputs: vec![input],
        raw_input_contents: vec![raw.freeze()],
        ..ModelInferRequest::default()
    }
}

/// A message with its prefix.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Bytes {
    let length = (message.len() as u32).to_be_bytes();
    [&[flag][..], &length, message].concat().into()
}

/// A client that sends what it is given.
pub(crate) struct RawClient(h2::client::SendRequest<Bytes>);

/// What it was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http: u16,
    /// Headers and trailers.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn status(&self) -> (u8, &str) {
        let text = |name: &str| self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"));
        (text("grpc-status").parse().expect("a number"), text("grpc-message"))
    }
}

impl RawClient {
    pub(crate) async fn new(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("a connection");
        let (client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
        tokio::spawn(connection);
        Self(client)
    }

    /// Sends a body as it is to `ModelInfer`.
    pub(crate) async fn infer(&mut self, body: Bytes) -> Result<Answer, h2::Error> {
        self.send(request(INFER), body).await
    }

    pub(crate) async fn send(&mut self, request: Request<()>, body: Bytes) -> Result<Answer, h2::Error> {
        futures_util::future::poll_fn(|context| self.0.poll_ready(context)).await?;
        let (response, mut stream) = self.0.send_request(request, false)?;
        stream.send_data(body, true)?;
        let (head, mut incoming) = response.await?.into_parts();
        let mut body = BytesMut::new();
        while let Some(part) = incoming.data().await {
            let part = part?;
            incoming.flow_control().release_capacity(part.len())?;
            body.extend_from_slice(&part);
        }
        let mut headers = head.headers;
        headers.extend(incoming.trailers().await?.unwrap_or_default());
        Ok(Answer { http: head.status.as_u16(), headers, body: body.freeze() })
    }
}

/// The head of a call.
pub(crate) fn request(path: &str) -> Request<()> {
    Request::post(format!("http://server{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request")
}
