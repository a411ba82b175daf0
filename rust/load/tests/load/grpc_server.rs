//! A gRPC server whose every answer is decided by the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use h2::server::{self, SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet, spawn_local};

/// How a call is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    /// A message of so many bytes, and success.
    Message(usize),
    /// A message that says it is longer than it is.
    Short,
    /// A message, and then a status that is no success.
    Late(&'static str),
    /// A status without a message, in the head.
    Status(&'static str, &'static str),
    /// An HTTP status and nothing else.
    Http(u16),
    /// A message without a status behind it.
    Endless,
    /// The stream is reset.
    Reset,
    /// Nothing, for ever.
    Silence,
}

type Replying = dyn Fn(&HeaderMap, usize) -> Reply;

#[derive(Clone, Copy)]
struct Limits {
    max_streams: u32,
    max_calls: usize,
}

/// What the server was asked.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    pub(crate) calls: AtomicUsize,
    /// Bytes of messages, with their prefixes.
    pub(crate) bytes: AtomicUsize,
}

/// Serves until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers the n-th call as `reply` says, with so many streams on a connection at a time.
    pub(crate) fn start(max_streams: u32, reply: impl Fn(&HeaderMap, usize) -> Reply + 'static + Send) -> Self {
        Self::aging(max_streams, usize::MAX, reply)
    }

    /// The same, with so many calls on a connection before it is ended in good order.
    pub(crate) fn aging(
        max_streams: u32,
        max_calls: usize,
        reply: impl Fn(&HeaderMap, usize) -> Reply + 'static + Send,
    ) -> Self {
        let limits = Limits { max_streams, max_calls };
        let seen: Arc<Seen> = Arc::default();
        let ((stop, stopped), (tell, told)) = (oneshot::channel(), std::sync::mpsc::channel());
        let noted = Arc::clone(&seen);
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
                tell.send(listener.local_addr().expect("an address")).expect("the test waits");
                tokio::select! {
                    () = listen(listener, limits, Rc::new(reply), noted) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address: told.recv().expect("an address"), seen, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }

    pub(crate) fn calls(&self) -> u64 {
        self.seen.calls.load(Ordering::SeqCst) as u64
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn listen(listener: TcpListener, limits: Limits, reply: Rc<Replying>, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        spawn_local(converse(stream, limits, Rc::clone(&reply), Arc::clone(&seen)));
    }
}

async fn converse(stream: TcpStream, limits: Limits, reply: Rc<Replying>, seen: Arc<Seen>) {
    let _ = stream.set_nodelay(true);
    let made = server::Builder::new().max_concurrent_streams(limits.max_streams).handshake::<_, Bytes>(stream).await;
    let Ok(mut connection) = made else { return };
    // Dropped, and their calls with them, when the client leaves.
    let (mut calls, mut taken) = (JoinSet::new(), 0);
    while let Some(Ok((request, respond))) = connection.accept().await {
        let reply = reply(request.headers(), seen.calls.fetch_add(1, Ordering::SeqCst));
        calls.spawn_local(answer(request, respond, reply, Arc::clone(&seen)));
        while calls.try_join_next().is_some() {}
        taken += 1;
        if taken == limits.max_calls {
            connection.graceful_shutdown();
        }
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    reply: Reply,
    seen: Arc<Seen>,
) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    while let Some(part) = body.data().await {
        let part = part?;
        seen.bytes.fetch_add(part.len(), Ordering::SeqCst);
        body.flow_control().release_capacity(part.len())?;
    }
    let head = |status: u16| Response::builder().status(status).header("content-type", "application/grpc");
    let trailers = |status: &'static str| {
        HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static(status))])
    };
    let message = |length: usize| {
        let prefix = [&[0][..], &u32::try_from(length).expect("a length").to_be_bytes()].concat();
        Bytes::from([prefix, vec![b'x'; length]].concat())
    };
    let whole = |response: http::response::Builder| response.body(()).expect("a head");
    match reply {
        Reply::Message(length) => {
            let mut stream = respond.send_response(whole(head(200)), false)?;
            stream.send_data(message(length), false)?;
            stream.send_trailers(trailers("0"))?;
        }
        Reply::Short => {
            let mut stream = respond.send_response(whole(head(200)), false)?;
            stream.send_data(message(10).slice(..12), false)?;
            stream.send_trailers(trailers("0"))?;
        }
        Reply::Late(status) => {
            let mut stream = respond.send_response(whole(head(200)), false)?;
            stream.send_data(message(3), false)?;
            stream.send_trailers(trailers(status))?;
        }
        Reply::Status(status, text) => {
            let response = head(200).header("grpc-status", status).header("grpc-message", text);
            respond.send_response(whole(response), true)?;
        }
        Reply::Http(status) => {
            respond.send_response(whole(Response::builder().status(status)), true)?;
        }
        Reply::Endless => {
            respond.send_response(whole(head(200)), false)?.send_data(message(3), true)?;
        }
        Reply::Reset => respond.send_reset(h2::Reason::REFUSED_STREAM),
        Reply::Silence => std::future::pending().await,
    }
    Ok(())
}
