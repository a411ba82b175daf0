//! gRPC: the inference service and the health check, on tonic.

mod health;
mod infer;
mod operations;
mod service;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;

use crate::frontend::{Door, Stop};
use crate::proto::health::health_server::HealthServer;
use crate::proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;

/// Bytes a client may send ahead on one stream and on one connection: large enough that a tensor of some megabytes does not wait for the
/// window to open.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Requests in flight on one connection; further ones wait at the client.
const MAX_STREAMS: u32 = 4096;
/// The protocol's limit for one message.
const MAX_MESSAGE_BYTES: usize = i32::MAX as usize;

/// Serves gRPC until it is told to stop.
pub async fn serve(listener: TcpListener, door: Arc<Door>, mut stop: watch::Receiver<Stop>) {
    let inference = GrpcInferenceServiceServer::new(service::Service(Arc::clone(&door)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate);
    let incoming = TcpListenerStream::new(listener).map(|stream| {
        // Without it small answers wait for the client's acknowledgement; a socket that refuses still works.
        stream.inspect(|stream| drop(stream.set_nodelay(true)))
    });
    let mut drained = stop.clone();
    let serving = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(Duration::from_secs(7200)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .add_service(inference)
        .add_service(HealthServer::new(health::Check(door)))
        .serve_with_incoming_shutdown(incoming, async move {
            // An error means that the plane is gone, which is a reason to stop as well.
            let _ = drained.wait_for(|stop| *stop != Stop::Serve).await;
        });
    tokio::select! {
        // It fails only where accepting fails for good.
        _ = serving => {}
        _ = stop.wait_for(|stop| *stop == Stop::Close) => {}
    }
}
