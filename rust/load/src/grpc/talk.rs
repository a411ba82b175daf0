//! One connection on which calls are made, several at a time.

use std::cell::{Ref, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};

use crate::asked::{Asked, Done, Lost, Nanos};
use crate::failure::Failure;
use crate::grpc::bells::{Bells, Stir};
use crate::grpc::call::Call;
use crate::grpc::io::Io;
use crate::wire::Wire;
use crate::worker::Desk;

/// Bytes of answers a server may send ahead: a large tensor does not wait for the window to open.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;
const FRAME_BYTES: u32 = 256 * 1024;

/// Calls, each with its framed message.
pub(crate) type Calls = [(http::Request<()>, Bytes)];

/// A connection, and the calls that are under way on it.
pub(crate) struct Talk {
    wire: Rc<RefCell<Wire>>,
    connection: Connection<Io, Bytes>,
    sender: SendRequest<Bytes>,
    /// Requests that the server does not yet want: which, and since when.
    waiting: VecDeque<(usize, Asked)>,
    calls: Vec<Option<Call>>,
    vacant: Vec<usize>,
    bells: Arc<Bells>,
    /// One for each place.
    wakers: Vec<Waker>,
    heard: Vec<usize>,
    stir: Arc<Stir>,
    waker: Waker,
}

impl Talk {
    pub(crate) fn new(wire: Wire, places: usize) -> Result<Self, Failure> {
        let wire = Rc::new(RefCell::new(wire));
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_BYTES)
            // Until the server has said how many calls it wants at a time.
            .initial_max_send_streams(0)
            .enable_push(false);
        let handshake = pin!(builder.handshake(Io::new(Rc::clone(&wire))));
        // All it does is to write a few bytes, and a new connection takes those.
        let (sender, connection) = match handshake.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(made) => made.map_err(|error| Failure::from(&error))?,
            Poll::Pending => return Err(Failure::Network(ErrorKind::WouldBlock)),
        };
        let (bells, stir) = (Arc::new(Bells::default()), Arc::new(Stir::default()));
        Ok(Self {
            wire,
            connection,
            sender,
            waiting: VecDeque::new(),
            calls: std::iter::repeat_with(|| None).take(places).collect(),
            vacant: (0..places).rev().collect(),
            wakers: bells.wakers(places),
            bells,
            heard: Vec::new(),
            waker: Waker::from(Arc::clone(&stir)),
            stir,
        })
    }

    pub(crate) fn wire(&self) -> Ref<'_, Wire> {
        self.wire.borrow()
    }

    /// Takes a request, to be sent with the next `settle`.
    pub(crate) fn ask(&mut self, which: usize, asked: Asked) {
        self.waiting.push_back((which, asked));
    }

    /// Notes what the network is ready for.
    pub(crate) fn ready(&mut self, readable: bool, writable: bool) {
        self.wire.borrow_mut().ready(readable, writable);
        self.stir.set();
    }

    /// Sends and hears until there is nothing left to do. Requests that are over go to the desk.
    pub(crate) fn settle(&mut self, calls: &Calls, desk: &mut Desk) -> Result<(), Lost> {
        loop {
            self.send(calls, desk);
            let stirred = self.stir.take();
            let over = if stirred { self.connection_poll() } else { Poll::Pending };
            let heard = self.hear(desk);
            match over {
                Poll::Ready(Ok(())) => return Err(Lost::Quietly),
                Poll::Ready(Err(failure)) => return Err(Lost::Because(failure)),
                Poll::Pending if !stirred && !heard => return Ok(()),
                Poll::Pending => {}
            }
        }
    }

    /// The requests that are under way, which have failed, and when those were due that had not been sent.
    pub(crate) fn abandon(&mut self, mut failed: impl FnMut(Asked), mut unsent: impl FnMut(Nanos)) {
        self.calls.iter_mut().filter_map(Option::take).for_each(|call| failed(call.asked));
        self.waiting.drain(..).for_each(|(_, asked)| unsent(asked.due));
    }

    /// Gives up those that were sent by then, or should have been.
    pub(crate) fn expire(&mut self, by: Nanos, desk: &mut Desk) {
        let at = desk.clock.now();
        let late = self.waiting.iter().take_while(|(_, asked)| asked.sent <= by).count();
        for (_, asked) in self.waiting.drain(..late) {
            desk.done.push(Done { asked, at, result: Err(Failure::TimedOut.into()) });
        }
        for (place, call) in self.calls.iter_mut().enumerate() {
            if let Some(late) = call.take_if(|call| call.asked.sent <= by) {
                self.vacant.push(place);
                desk.done.push(Done { asked: late.asked, at, result: Err(Failure::TimedOut.into()) });
            }
        }
    }

    /// Sends what waits, as far as the server wants it.
    fn send(&mut self, calls: &Calls, desk: &Desk) {
        let mut context = Context::from_waker(&self.waker);
        while let Some(&(which, Asked { due, .. })) = self.waiting.front() {
            let Some(&place) = self.vacant.last() else { return };
            if !matches!(self.sender.poll_ready(&mut context), Poll::Ready(Ok(()))) {
                return;
            }
            let (head, message) = &calls[which];
            let Ok((answer, mut body)) = self.sender.send_request(head.clone(), false) else { return };
            // What is wrong with the stream is told with its answer.
            let _ = body.send_data(message.clone(), true);
            self.waiting.pop_front();
            self.vacant.pop();
            self.calls[place] = Some(Call::new(Asked { due, sent: desk.clock.now() }, answer));
            self.bells.ring(place);
        }
    }

    fn connection_poll(&mut self) -> Poll<Result<(), Failure>> {
        let mut context = Context::from_waker(&self.waker);
        Pin::new(&mut self.connection).poll(&mut context).map_err(|error| Failure::from(&error))
    }

    /// Looks at the calls that have news; false where none has.
    fn hear(&mut self, desk: &mut Desk) -> bool {
        self.bells.take(&mut self.heard);
        for place in &self.heard {
            let Some(call) = &mut self.calls[*place] else { continue };
            let mut context = Context::from_waker(&self.wakers[*place]);
            if let Poll::Ready(result) = call.poll(&mut context) {
                desk.done.push(Done { asked: call.asked, at: desk.clock.now(), result });
                self.calls[*place] = None;
                self.vacant.push(*place);
            }
        }
        !self.heard.is_empty()
    }
}
