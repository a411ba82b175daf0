//! One call: a stream of the connection, from the headers of the request to the status of the answer.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request};
use tokio::time::timeout;

use crate::frontend::Door;
use crate::frontend::grpc::compression::Encoding;
use crate::frontend::grpc::inbox::Inbox;
use crate::frontend::grpc::message::Reply;
use crate::frontend::grpc::refusal::Refusal;
use crate::frontend::grpc::service::{Inbound, Rpc};
use crate::frontend::grpc::stream;
use crate::trace::Event;

/// Answers one call. Ends at once when the client loses interest: what it asked for is abandoned wherever it is.
pub(super) async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, door: Arc<Door>) {
    let (head, incoming) = request.into_parts();
    if let Some(status) = not_grpc(&head) {
        let mut response = Response::new(());
        *response.status_mut() = status;
        let _ = respond.send_response(response, true);
        return;
    }
    if head.uri.path() == stream::PATH {
        return stream::answer(&head, incoming, respond, door).await;
    }
    let outcome = {
        let mut work = pin!(work_and_tell(&head, incoming, &door));
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => respond.poll_reset(context).map(|_| None),
        })
        .await
    };
    let sent = match outcome {
        None => return,
        Some(Ok((reply, encoding))) => send(&mut respond, reply, encoding),
        Some(Err(refusal)) => respond.send_response(refusal.response(), true).map(drop),
    };
    if sent.is_err() {
        // The client is gone, or will be now.
        respond.send_reset(Reason::INTERNAL_ERROR);
    }
}

/// The HTTP status for a request of another protocol.
fn not_grpc(head: &request::Parts) -> Option<StatusCode> {
    if head.method != Method::POST {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    let content = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let speaks = matches!(content.strip_prefix(b"application/grpc"), Some(b"" | [b'+' | b';', ..]));
    (!speaks).then_some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

/// The same, with a line in the log where somebody wants to see every request.
async fn work_and_tell(
    head: &request::Parts,
    stream: RecvStream,
    door: &Door,
) -> Result<(Reply, Option<Encoding>), Refusal> {
    let started = door.plane.log().is_verbose().then(Instant::now);
    let outcome = work_in_time(head, stream, door).await;
    if let Some(started) = started {
        let status = outcome.as_ref().err().map_or(0, |refusal| refusal.status);
        let line = format!("gRPC {} -> {status} in {:?}", head.uri.path(), started.elapsed());
        door.plane.log().verbose(line);
    }
    outcome
}

async fn work_in_time(
    head: &request::Parts,
    incoming: RecvStream,
    door: &Door,
) -> Result<(Reply, Option<Encoding>), Refusal> {
    let work = work(head, incoming, door);
    match deadline(&head.headers)? {
        None => work.await,
        Some(time) => timeout(time, work).await.unwrap_or_else(|_| Err(Refusal::deadline())),
    }
}

async fn work(head: &request::Parts, incoming: RecvStream, door: &Door) -> Result<(Reply, Option<Encoding>), Refusal> {
    let rpc = Rpc::find(head.uri.path())?;
    let encoding = Encoding::of(&head.headers)?;
    let started = door.plane.tracing().time();
    let message = Inbox::new(incoming, encoding).next().await.ok_or_else(Refusal::cut_off)??;
    let inbound = Inbound { headers: &head.headers, read: started.zip(door.plane.tracing().time()) };
    let reply = rpc.answer(door, message, &inbound).await?;
    let effort = door.plane.grpc_effort().filter(|_| rpc == Rpc::ModelInfer);
    let alike = encoding.filter(|encoding| encoding.is_accepted(&head.headers));
    match alike.or_else(|| effort.and_then(|_| Encoding::offered(&head.headers))) {
        None => Ok((reply, None)),
        Some(encoding) => Ok((reply.compressed(encoding, effort).await?, Some(encoding))),
    }
}

fn send(respond: &mut SendResponse<Bytes>, reply: Reply, encoding: Option<Encoding>) -> Result<(), h2::Error> {
    let (parts, trace) = reply.into_parts();
    if let Some(trace) = &trace {
        trace.note(Event::GrpcSendStart);
    }
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Some(encoding) = encoding {
        headers.insert("grpc-encoding", HeaderValue::from_static(encoding.name()));
    }
    let mut stream = respond.send_response(response, false)?;
    for part in parts {
        stream.send_data(part, false)?;
    }
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)?;
    if let Some(trace) = trace {
        trace.note(Event::GrpcSendEnd);
    }
    Ok(())
}

/// How long the client waits, by its `grpc-timeout`: up to eight digits and a unit.
pub(super) fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let parse = |text: &str| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8 && !digits.starts_with('+'))?;
        Some(match unit {
            "H" => Duration::from_secs(number * 3600),
            "M" => Duration::from_secs(number * 60),
            "S" => Duration::from_secs(number),
            "m" => Duration::from_millis(number),
            "u" => Duration::from_micros(number),
            "n" => Duration::from_nanos(number),
            _ => return None,
        })
    };
    let text = value.to_str().unwrap_or_default();
    parse(text).map(Some).ok_or_else(|| {
        Refusal::invalid(format!("'grpc-timeout' is '{text}', expected up to eight digits and one of H, M, S, m, u, n"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(timeout: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), HeaderValue::from_static(timeout))])
    }

    #[test]
    fn a_timeout_has_a_number_and_a_unit() {
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("99999999S", Duration::from_secs(99_999_999)),
            ("250m", Duration::from_millis(250)),
            ("7u", Duration::from_micros(7)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(deadline(&headers(text)), Ok(Some(expected)), "{text}");
        }
        assert_eq!(deadline(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn anything_else_is_no_timeout() {
        for text in ["", "1", "S", "+1S", "-1S", "1s", "999999999S", "1 S"] {
            let refusal = deadline(&headers(text)).expect_err(text);
            assert!(refusal.message.starts_with(&format!("'grpc-timeout' is '{text}'")), "{}", refusal.message);
        }
    }
}
