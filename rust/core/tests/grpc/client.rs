//! Two clients: tonic's, which keeps to the rules, and a raw one that does not have to.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use http::uri::PathAndQuery;
use http::{HeaderMap, Request};
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;
use windlass_core::proto::inference::infer_parameter::ParameterChoice;
use windlass_core::proto::inference::model_infer_request::InferInputTensor;
use windlass_core::proto::inference::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};

use crate::server::Server;

pub(crate) const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";
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

/// Both directions of one stream.
pub(crate) struct Stream {
    /// Ends the stream's sending side when it is dropped.
    asking: Option<mpsc::UnboundedSender<ModelInferRequest>>,
    answers: Streaming<ModelStreamInferResponse>,
}

impl Client {
    pub(crate) async fn stream(&mut self, headers: &[(&'static str, &'static str)]) -> Result<Stream, Status> {
        let (asking, asked) = mpsc::unbounded_channel();
        let requests = unfold(asked, |mut asked| async { Some((asked.recv().await?, asked)) });
        let mut request = tonic::Request::new(requests);
        for (name, value) in headers {
            request.metadata_mut().insert(*name, value.parse().expect("ASCII"));
        }
        self.0.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = PathAndQuery::from_static(STREAM);
        let codec = ProstCodec::<ModelInferRequest, ModelStreamInferResponse>::default();
        let answers = self.0.streaming(request, path, codec).await?.into_inner();
        Ok(Stream { asking: Some(asking), answers })
    }
}

impl Stream {
    pub(crate) fn ask(&self, message: ModelInferRequest) {
        let asking = self.asking.as_ref().expect("it was not finished");
        asking.send(message).expect("the stream is open");
    }

    /// Asks nothing more.
    pub(crate) fn finish(&mut self) {
        self.asking = None;
    }

    /// The next answer; nothing at the end of a stream that ended well.
    pub(crate) async fn next(&mut self) -> Result<Option<ModelStreamInferResponse>, Status> {
        self.answers.message().await
    }

    /// The next answer in short.
    pub(crate) async fn told(&mut self) -> Told {
        let message = self.next().await.expect("no failure").expect("an answer");
        Told::from(message)
    }

    /// All that come until the stream ends well.
    pub(crate) async fn rest(mut self) -> Vec<Told> {
        self.finish();
        let mut rest = Vec::new();
        while let Some(message) = self.next().await.expect("no failure") {
            rest.push(message.into());
        }
        rest
    }
}

/// What one answer says: the first output or the error, and whether it is the request's last, where it says so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) model: (String, String),
    pub(crate) says: Option<String>,
    pub(crate) last: Option<bool>,
}

impl From<ModelStreamInferResponse> for Told {
    fn from(message: ModelStreamInferResponse) -> Self {
        let response = message.infer_response.expect("it tells whose answer it is");
        let last = response.parameters.get("triton_final_response").map(|value| match value.parameter_choice {
            Some(ParameterChoice::BoolParam(last)) => last,
            _ => panic!("a truth value, not {value:?}"),
        });
        let output = response.raw_output_contents.first().map(|raw| match response.outputs[0].datatype.as_str() {
            "BYTES" => String::from_utf8(raw[4..].to_vec()).expect("a text"),
            _ => raw.chunks(4).map(|part| f32::from_le_bytes(part.try_into().expect("four")).to_string()).collect(),
        });
        let says = if message.error_message.is_empty() { output } else { Some(message.error_message) };
        Self { id: response.id, model: (response.model_name, response.model_version), says, last }
    }
}

/// A request for words of `stream`.
pub(crate) fn words(id: &str, words: &[&str]) -> ModelInferRequest {
    let input = InferInputTensor {
        name: "INPUT0".into(),
        datatype: "BYTES".into(),
        shape: vec![words.len() as i64],
        ..InferInputTensor::default()
    };
    let element = |word: &&str| [&(word.len() as u32).to_le_bytes()[..], word.as_bytes()].concat();
    let raw: Vec<u8> = words.iter().flat_map(element).collect();
    ModelInferRequest {
        model_name: "stream".into(),
        id: id.into(),
        inputs: vec![input],
        raw_input_contents: vec![raw.into()],
        ..ModelInferRequest::default()
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
        Ok(self.exchange(request, body, true).await?.0)
    }

    /// The same without ending the sending side; tells also how many parts the answer had.
    pub(crate) async fn hold(&mut self, request: Request<()>, body: Bytes) -> Result<(Answer, usize), h2::Error> {
        self.exchange(request, body, false).await
    }

    async fn exchange(&mut self, request: Request<()>, body: Bytes, ends: bool) -> Result<(Answer, usize), h2::Error> {
        futures_util::future::poll_fn(|context| self.0.poll_ready(context)).await?;
        let (response, mut stream) = self.0.send_request(request, false)?;
        stream.send_data(body, ends)?;
        let (head, mut incoming) = response.await?.into_parts();
        let mut parts = 0;
        let mut body = BytesMut::new();
        while let Some(part) = incoming.data().await {
            let part = part?;
            incoming.flow_control().release_capacity(part.len())?;
            body.extend_from_slice(&part);
            parts += 1;
        }
        let mut headers = head.headers;
        headers.extend(incoming.trailers().await?.unwrap_or_default());
        Ok((Answer { http: head.status.as_u16(), headers, body: body.freeze() }, parts))
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
