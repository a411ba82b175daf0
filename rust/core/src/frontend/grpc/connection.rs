//! One connection: HTTP/2 on a socket, with or without TLS, a task for each call.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::frontend::grpc::call;
use crate::frontend::grpc::upkeep::Calls;
use crate::frontend::{Door, Stop};

/// Bytes a client may send ahead on one stream and on one connection: large enough that a tensor of some megabytes does not wait for the
/// window to open.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Bytes a client may send in one piece: a large piece is read at one stroke, 16 KiB at a time are not.
const FRAME_BYTES: u32 = 256 * 1024;
/// Calls in flight on one connection; further ones wait at the client.
const MAX_STREAMS: u32 = 4096;
/// Clients of gRPC send no more.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// How long a client may take to introduce itself.
const HANDSHAKE_TIME: Duration = Duration::from_secs(20);

/// Serves one client until either side has enough.
pub(super) async fn converse(socket: TcpStream, door: Arc<Door>, mut stop: watch::Receiver<Stop>) {
    // Without it small answers wait for the client's acknowledgement; a socket that refuses still works.
    let _ = socket.set_nodelay(true);
    let Some(tls) = door.plane.grpc_tls() else { return talk(socket, door, stop).await };
    let trusted = tokio::select! {
        trusted = timeout(HANDSHAKE_TIME, tls.accept(socket)) => trusted,
        _ = stop.wait_for(|stop| *stop != Stop::Serve) => return,
    };
    if let Ok(Ok(socket)) = trusted {
        talk(socket, Arc::clone(&door), stop).await;
    }
}

async fn talk<S>(socket: S, door: Arc<Door>, mut stop: watch::Receiver<Stop>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stopped = pin!(stop.wait_for(|stop| *stop != Stop::Serve));
    let connection = tokio::select! {
        connection = timeout(HANDSHAKE_TIME, handshake(socket)) => connection,
        _ = &mut stopped => return,
    };
    let Ok(Ok(mut connection)) = connection else { return };
    let Some(pings) = connection.ping_pong() else { return };
    let (upkeep, calls) = (door.plane.grpc_upkeep(), Calls::default());
    let mut lost = pin!(upkeep.lost(pings, calls.clone()));
    let mut old = pin!(upkeep.old());
    let mut spent = pin!(upkeep.spent());
    let (mut draining, mut aged) = (false, false);
    loop {
        tokio::select! {
            biased;
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let (call, counted) = (call::answer(request, respond, Arc::clone(&door)), calls.clone());
                    tokio::spawn(async move {
                        call.await;
                        drop(counted);
                    });
                }
                // The end, or an error after which there is nobody to tell.
                Some(Err(_)) | None => return,
            },
            _ = &mut stopped, if !draining => {
                draining = true;
                connection.graceful_shutdown();
            }
            () = &mut old, if !aged => {
                aged = true;
                connection.graceful_shutdown();
            }
            () = &mut spent, if aged => return,
            () = &mut lost => return,
        }
    }
}

async fn handshake<S>(socket: S) -> Result<Connection<S, Bytes>, h2::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .handshake(socket)
        .await
}
