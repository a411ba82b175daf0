//! `generate` and `generate_stream`: flat JSON in, and out either one object or an event for each answer, as it is given.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};

use crate::error::{Error, Result};
use crate::frontend::fields::Way;
use crate::frontend::http::head::Head;
use crate::frontend::http::response::{Feed, Response};
use crate::frontend::http::router::Target;
use crate::frontend::json::{decode_generate, encode_generate, writer};
use crate::frontend::{Door, aside, status};
use crate::pending::Pending;
use crate::reply::Answer;
use crate::request::Response as Said;
use crate::spec::Spec;
use crate::trace::{Event, Trace};

/// JSON up to this size is read on the spot.
const LIGHT_JSON_BYTES: usize = 256 * 1024;
const ONE_ANSWER: &str = "generate expects model to produce exactly 1 response, use generate stream for model that generates various number \
    of responses";

/// Answers with the only answer of the model. The first tells the status, also where others follow.
pub(super) async fn generate(door: &Door, head: &Head, target: &Target<'_>, body: BytesMut) -> Result<Response> {
    let Asked { mut pending, spec, trace } = ask(door, head, target, body).await?;
    let mut only = None;
    while let Some(Answer { result, .. }) = pending.next().await {
        let Some(said) = result else { continue };
        if let Some((status, _)) = only {
            // What else would come is of no use any more.
            only = Some((status, None));
            break;
        }
        let (status, text) = told(said, &spec);
        only = Some((status, Some(text)));
    }
    let (status, text) = only.unwrap_or((200, None));
    Ok(Response { status, trace: sending(trace), ..Response::json(text.unwrap_or_else(|| writer::error(ONE_ANSWER))) })
}

/// Answers with an event for each answer. The first tells the status.
pub(super) async fn stream(door: &Door, head: &Head, target: &Target<'_>, body: BytesMut) -> Result<Response> {
    let Asked { pending, spec, trace } = ask(door, head, target, body).await?;
    let mut events = Events { pending, spec, first: None, ended: false };
    let mut status = 200;
    while let Some(Answer { result, last }) = events.pending.next().await {
        events.ended = last;
        if let Some(said) = result {
            let (first, text) = told(said, &events.spec);
            status = first;
            events.first = Some(event(&text));
            break;
        }
    }
    let content_type = Some("text/event-stream; charset=utf-8");
    Ok(Response { status, content_type, feed: Some(Box::new(events)), trace: sending(trace), ..Response::default() })
}

/// A request on its way.
struct Asked {
    pending: Pending,
    spec: Arc<Spec>,
    trace: Option<Arc<Trace>>,
}

/// What is left of a trace: its end is when all is sent.
fn sending(trace: Option<Arc<Trace>>) -> Option<Arc<Trace>> {
    trace.inspect(|trace| trace.note(Event::HttpSendStart))
}

async fn ask(door: &Door, head: &Head, target: &Target<'_>, body: BytesMut) -> Result<Asked> {
    let model = door.plane.model(&target.model, target.version)?;
    if !matches!(head.content_encoding.as_deref().map(<[u8]>::trim_ascii), None | Some(b"" | b"identity")) {
        return Err(Error::invalid("Unsupported content-encoding, only 'identity' is supported."));
    }
    let (spec, max_bytes) = (Arc::clone(&model.spec), door.plane.http_max_input_bytes());
    let heavy = body.len() > LIGHT_JSON_BYTES;
    let mut request = aside::run(heavy, move || decode_generate(&body, &spec, max_bytes)).await?;
    door.accept(&mut request, &model.spec.model, (Way::Http, head), head.read)?;
    let trace = request.trace.clone();
    Ok(Asked { pending: model.submit(request, &door.reactor)?, spec: Arc::clone(&model.spec), trace })
}

/// An answer as JSON, and the status it stands for.
fn told(said: Result<Said>, spec: &Spec) -> (u16, BytesMut) {
    match said.and_then(|said| encode_generate(&said, spec)) {
        Ok(text) => (200, text),
        Err(error) => (status::http(error.code), writer::error(&error.message)),
    }
}

fn event(text: &[u8]) -> BytesMut {
    let mut event = BytesMut::with_capacity(text.len() + 8);
    event.put_slice(b"data: ");
    event.put_slice(text);
    event.put_slice(b"\n\n");
    event
}

/// The events of one request.
#[derive(Debug)]
struct Events {
    pending: Pending,
    spec: Arc<Spec>,
    first: Option<BytesMut>,
    ended: bool,
}

impl Feed for Events {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<BytesMut>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        while !self.ended {
            let Answer { result, last } = ready!(self.pending.poll_next(context));
            self.ended = last;
            if let Some(said) = result {
                return Poll::Ready(Some(event(&told(said, &self.spec).1)));
            }
        }
        Poll::Ready(None)
    }
}
