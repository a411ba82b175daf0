//! `ModelStreamInfer`: requests and answers on one call, each as they come.
//!
//! One task sees to both directions. It reads no further while a client leaves too much unanswered or unread, so what a stream holds has a
//! bound; what is ready at the same time is sent together.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Response, header, request};
use tokio::time::sleep;

use crate::error::Result;
use crate::frontend::access::Category;
use crate::frontend::fields::Way;
use crate::frontend::grpc::call::deadline;
use crate::frontend::grpc::compression::Encoding;
use crate::frontend::grpc::flights::{Asked, Flights, Told};
use crate::frontend::grpc::inbox::Inbox;
use crate::frontend::grpc::infer::{RAW_OUTPUT_CONTENTS, encode_parameter, message_of, takes_long};
use crate::frontend::grpc::message::{Extra, Outbox};
use crate::frontend::grpc::refusal::Refusal;
use crate::frontend::grpc::request::{EMPTY_FINAL, decode, refuse_crowd};
use crate::frontend::grpc::service;
use crate::frontend::outputs::OutputForms;
use crate::frontend::{Door, Stop, aside};
use crate::model::Model;
use crate::proto::inference::infer_parameter::ParameterChoice;
use crate::proto::inference::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};
use crate::request::{Parameter, Request, Response as Answer};
use crate::spec::Spec;
use crate::trace::{Event, Trace};

pub(super) const PATH: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

/// The key of `ModelStreamInferResponse.infer_response` on the wire: field 2, a message.
const INFER_RESPONSE: u8 = 2 << 3 | 2;
/// The parameter of every answer that tells whether it is the request's last.
const FINAL: &str = "triton_final_response";
/// The header of a client that wants the first failure of a model to be the stream's.
const STRICT: &str = "triton_grpc_error";

/// Requests that are read before others get their turn.
const READ_AT_ONCE: usize = 256;
/// While so much waits to be sent, no further answers are taken from the models.
const ENOUGH_BYTES: usize = 64 * 1024;

/// Serves one stream until either side has enough.
pub(super) async fn answer(
    head: &request::Parts,
    incoming: RecvStream,
    mut respond: SendResponse<Bytes>,
    door: Arc<Door>,
) {
    let opened = match door.plane.restrictions(Way::Grpc).check(Category::Inference, &head.headers) {
        Err(field) => Err(Refusal::restricted(field)),
        Ok(()) if door.plane.stopping() => Err(Refusal::stopping()),
        Ok(()) => Encoding::of(&head.headers),
    };
    let (encoding, time) = match opened.and_then(|encoding| Ok((encoding, deadline(&head.headers)?))) {
        Ok(opened) => opened,
        Err(refusal) => {
            let _ = respond.send_response(refusal.response(), true);
            return;
        }
    };
    let mut response = Response::new(());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    // An error means that the client is gone.
    let Ok(sink) = respond.send_response(response, false) else { return };
    let strict = head.headers.get(STRICT).is_some_and(|value| value == "true");
    let mut stops = door.plane.stops();
    let mut interruption: Pin<Box<dyn Future<Output = Refusal> + Send>> = Box::pin(async move {
        let elapsed = async {
            match time {
                Some(time) => sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = stops.wait_for(|stop| *stop != Stop::Serve) => Refusal::stopping(),
            () = elapsed => Refusal::deadline(),
        }
    });
    let inbox = Some(Inbox::new(incoming, encoding));
    let (flights, outbox) = (Flights::default(), Outbox::default());
    let headers = head.headers.clone();
    let (reading, writing) = (None, None);
    let mut conversation =
        Conversation { door, headers, strict, inbox, reading, flights, writing, outbox, sink, refusal: None };
    let mut interrupted = false;
    poll_fn(|context| {
        if !interrupted && let Poll::Ready(refusal) = interruption.as_mut().poll(context) {
            interrupted = true;
            conversation.interrupt(refusal);
        }
        conversation.poll(context)
    })
    .await;
}

/// What happens elsewhere so that nobody waits for it who is on the same thread.
type Aside<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A request with its tensors, or what is wrong with it.
struct Read {
    asked: Asked,
    model: Arc<Model>,
    request: Result<(Request, OutputForms)>,
}

/// An answer as a message, or what keeps it from being one.
struct Written {
    asked: Arc<Asked>,
    last: bool,
    parts: Result<(ModelInferResponse, Vec<Bytes>)>,
}

/// Both directions of one stream.
struct Conversation {
    door: Arc<Door>,
    /// What came before all requests, and belongs to each.
    headers: HeaderMap,
    /// Whether a model's failure ends the stream, with its status.
    strict: bool,
    /// Gone once nothing more is read.
    inbox: Option<Inbox>,
    /// A request whose tensors are read aside. It keeps its place: none is taken meanwhile.
    reading: Option<Aside<Read>>,
    flights: Flights,
    /// An answer whose tensors are written aside, before all others.
    writing: Option<Aside<Written>>,
    outbox: Outbox,
    sink: SendStream<Bytes>,
    /// How it ends, where that is not well.
    refusal: Option<Refusal>,
}

impl Conversation {
    /// Ready when the stream is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.sink.poll_reset(context).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let full = self.take_in(context);
            let emptied = self.take_out(context);
            if self.send(context).is_err() {
                return Poll::Ready(());
            }
            if self.outbox.length() > 0 {
                return Poll::Pending;
            }
            if emptied && !(full && self.flights.has_room()) {
                break;
            }
        }
        if self.inbox.is_some() || self.reading.is_some() || self.flights.len() > 0 || self.writing.is_some() {
            return Poll::Pending;
        }
        let trailers = match &self.refusal {
            Some(refusal) => refusal.trailers(),
            None => HeaderMap::from_iter([(header::HeaderName::from_static("grpc-status"), HeaderValue::from(0))]),
        };
        if self.sink.send_trailers(trailers).is_err() {
            self.sink.send_reset(Reason::INTERNAL_ERROR);
        }
        Poll::Ready(())
    }

    /// Reads requests, as long as there are any; true when it stops because too many are in flight.
    fn take_in(&mut self, context: &mut Context<'_>) -> bool {
        for _ in 0..READ_AT_ONCE {
            if let Some(reading) = &mut self.reading {
                let Poll::Ready(read) = reading.as_mut().poll(context) else { return false };
                self.reading = None;
                self.submit(read);
            }
            let Some(inbox) = &mut self.inbox else { return false };
            if !self.flights.has_room() {
                return true;
            }
            let asked = match inbox.poll_next(context) {
                Poll::Pending => return false,
                Poll::Ready(None) => {
                    self.inbox = None;
                    return false;
                }
                Poll::Ready(Some(message)) => message.and_then(|message| self.ask(message)),
            };
            if let Err(refusal) = asked {
                self.fail(refusal);
            }
        }
        // There may be more: it is read when others had their turn.
        context.waker().wake_by_ref();
        false
    }

    /// Asks a model. What is wrong with the request is told in the stream; what is no request at all ends it.
    fn ask(&mut self, message: Bytes) -> std::result::Result<(), Refusal> {
        let (crowd, bytes) = (refuse_crowd(&message), message.len());
        let mut message: ModelInferRequest = service::decode(message)?;
        let id = message.id.clone();
        let asked = Asked {
            id: id.clone(),
            model: std::mem::take(&mut message.model_name),
            version: std::mem::take(&mut message.model_version),
            empty_final: message.parameters.get(EMPTY_FINAL).and_then(|value| value.parameter_choice.as_ref())
                == Some(&ParameterChoice::BoolParam(true)),
            forms: OutputForms::default(),
            trace: None,
            bytes,
        };
        let model = match crowd.and_then(|()| self.door.plane.model(&asked.model, &asked.version)) {
            Ok(model) => model,
            Err(error) => {
                self.flights.refuse(asked.id, error);
                return Ok(());
            }
        };
        let (regions, spec) = (Arc::clone(self.door.plane.regions()), Arc::clone(&model.spec));
        if takes_long(&message, &regions) {
            self.reading = Some(Box::pin(async move {
                let request = aside::run(true, move || decode(message, &spec, &regions)).await;
                Read { asked, model, request }
            }));
        } else {
            let request = decode(message, &spec, &regions);
            self.submit(Read { asked, model, request });
        }
        Ok(())
    }

    fn submit(&mut self, Read { mut asked, model, request }: Read) {
        let pending = request.and_then(|(mut request, forms)| {
            asked.forms = forms;
            let now = self.door.plane.tracing().time();
            self.door.accept(&mut request, &model.spec.model, (Way::Grpc, &self.headers), now.zip(now))?;
            asked.trace.clone_from(&request.trace);
            model.submit(request, &self.door.reactor)
        });
        match pending {
            Ok(pending) => self.flights.start(asked, Arc::clone(&model.spec), pending),
            Err(error) => self.flights.refuse(asked.id, error),
        }
    }

    /// Takes answers from the models, until enough is there to send; true when there are no more for now.
    fn take_out(&mut self, context: &mut Context<'_>) -> bool {
        while self.outbox.length() < ENOUGH_BYTES {
            if let Some(writing) = &mut self.writing {
                let Poll::Ready(written) = writing.as_mut().poll(context) else { return true };
                self.writing = None;
                let trace = written.asked.trace.clone();
                self.put_answer(written);
                note(trace.as_ref(), Event::GrpcSendEnd);
                continue;
            }
            match self.flights.poll_next(context) {
                Poll::Pending => return true,
                Poll::Ready(told) => {
                    let trace = told.trace();
                    note(trace.as_ref(), Event::GrpcSendStart);
                    self.tell(told);
                    if self.writing.is_none() {
                        note(trace.as_ref(), Event::GrpcSendEnd);
                    }
                }
            }
        }
        false
    }

    fn tell(&mut self, told: Told) {
        match told {
            Told::Refused { id, error } => {
                self.put_error(error.message, ModelInferResponse { id, ..ModelInferResponse::default() });
            }
            Told::Answered { asked, spec, result: Some(Ok(answer)), last } => {
                self.write(answer, asked, spec, last);
            }
            Told::Answered { result: Some(Err(error)), .. } if self.strict => self.fail(error.into()),
            Told::Answered { asked, result: Some(Err(error)), last, .. } => {
                self.put_error(error.message, without_outputs(&asked, last));
            }
            Told::Answered { asked, result: None, last, .. } if asked.empty_final => {
                let infer_response = Some(without_outputs(&asked, last));
                let message = ModelStreamInferResponse { infer_response, ..ModelStreamInferResponse::default() };
                self.put(&message);
            }
            Told::Answered { result: None, .. } => {}
        }
    }

    /// Brings the tensors of an answer to where its client wants them.
    fn write(&mut self, answer: Answer, asked: Arc<Asked>, spec: Arc<Spec>, last: bool) {
        if asked.forms.are_heavy(&answer.outputs) {
            self.writing = Some(Box::pin(async move {
                let wanted = Arc::clone(&asked);
                let parts = aside::run(true, move || message_of(answer, &wanted.forms, &spec)).await;
                Written { asked, last, parts }
            }));
        } else {
            let parts = message_of(answer, &asked.forms, &spec);
            self.put_answer(Written { asked, last, parts });
        }
    }

    fn put_answer(&mut self, Written { asked, last, parts }: Written) {
        let (mut message, fields) = match parts {
            Ok(parts) => parts,
            Err(error) => return self.put_error(error.message, without_outputs(&asked, last)),
        };
        message.parameters.insert(FINAL.into(), encode_parameter(Parameter::Bool(last)));
        let extra = Extra { wrapper: Some(INFER_RESPONSE), key: RAW_OUTPUT_CONTENTS, fields };
        if let Err(refusal) = self.outbox.put(&message, extra) {
            self.put_error(refusal.message.into_owned(), without_outputs(&asked, last));
        }
    }

    fn put_error(&mut self, error_message: String, response: ModelInferResponse) {
        self.put(&ModelStreamInferResponse { error_message, infer_response: Some(response) });
    }

    fn put(&mut self, message: &ModelStreamInferResponse) {
        if let Err(refusal) = self.outbox.put(message, Extra::default()) {
            self.fail(refusal);
        }
    }

    /// Sends as much as the client has room for. An error means that it is gone.
    fn send(&mut self, context: &mut Context<'_>) -> std::result::Result<(), h2::Error> {
        while self.outbox.length() > 0 {
            self.sink.reserve_capacity(self.outbox.length());
            let capacity = match self.sink.capacity() {
                0 => match self.sink.poll_capacity(context) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(capacity) => capacity.unwrap_or(Err(Reason::CANCEL.into()))?,
                },
                capacity => capacity,
            };
            if capacity > 0 {
                self.sink.send_data(self.outbox.take(capacity), false)?;
            }
        }
        Ok(())
    }

    /// Reads no more; what is in flight is answered, and then the stream ends so.
    fn interrupt(&mut self, refusal: Refusal) {
        self.inbox = None;
        self.refusal = Some(refusal);
    }

    /// Ends the stream so, and lets go of all that is in flight.
    fn fail(&mut self, refusal: Refusal) {
        self.interrupt(refusal);
        (self.reading, self.writing) = (None, None);
        self.flights = Flights::default();
    }
}

fn note(trace: Option<&Arc<Trace>>, event: Event) {
    if let Some(trace) = trace {
        trace.note(event);
    }
}

/// An answer that says nothing but whose it is, and whether it is the last.
fn without_outputs(asked: &Asked, last: bool) -> ModelInferResponse {
    ModelInferResponse {
        model_name: asked.model.clone(),
        model_version: asked.version.clone(),
        id: asked.id.clone(),
        parameters: [(FINAL.to_owned(), encode_parameter(Parameter::Bool(last)))].into(),
        ..ModelInferResponse::default()
    }
}
