//! The process' side of its conversation with the server. Everything here blocks.
//!
//! Whoever waits for something reads the socket, and puts what is for others into the inbox; one at a time does so. A model that asks
//! another one from several threads needs no thread of ours for that.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use std::{fmt, process, thread};

use bytes::{Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Signal, getpgrp, getpid, kill_process_group};

use crate::error::{Error, Result};
use crate::host::{Respond, Task};
use crate::instance::{Execution, Outcome, Outputs};
use crate::isolated::convert::{Receiver, Sender, failure, read_failure};
use crate::isolated::segment::{Inlet, Outlet};
use crate::isolated::wire;
use crate::proto::isolated::{self as proto, call, outcome, returned, to_process, to_server};
use crate::request::Request;

/// The way to the server.
pub struct Channel {
    writer: Mutex<Writer>,
    reader: Mutex<Reader>,
    inbox: Mutex<Inbox>,
    /// Something came, or nobody reads.
    changed: Condvar,
    next_key: AtomicU64,
    /// Whether the model was told that it is over.
    over: Arc<AtomicBool>,
}

struct Writer {
    stream: UnixStream,
    inlet: Inlet,
    output: BytesMut,
}

struct Reader {
    stream: UnixStream,
    outlet: Outlet,
    input: BytesMut,
    /// What one read takes in.
    part: Box<[u8]>,
}

/// As much as a batch of small requests.
const PART_BYTES: usize = 64 * 1024;
/// How long a model may go on when its server is gone: to notice it, and to say goodbye.
const NOTICE: Duration = Duration::from_secs(1);
const FAREWELL: Duration = Duration::from_secs(5);

/// An answer, and whether it is the last.
pub(super) type Said = (Option<Result<Outputs>>, bool);

/// What has arrived and was not looked for yet.
#[derive(Default)]
pub(super) struct Inbox {
    work: VecDeque<Work>,
    pub(super) replies: HashMap<u64, VecDeque<Said>>,
    returned: HashMap<u64, proto::Returned>,
    /// Requests whose clients went away.
    cancelled: HashSet<u64>,
    closed: bool,
}

/// What the server wants done.
pub enum Work {
    /// To be answered by `Channel::return_value`.
    Call {
        /// Names the call.
        key: u64,
        /// What is to be done.
        method: String,
        /// With what.
        argument: Bytes,
    },
    /// To be answered by `Channel::done`.
    Batch(Vec<Errand>),
}

/// One request of a batch.
pub struct Errand {
    key: u64,
    rows: usize,
    request: Request,
    channel: Arc<Channel>,
    deferred: bool,
    /// The way back of a request that is to be executed once more. It says its last word when this is dropped, which must come after
    /// `Channel::done`: until then the server takes it for the answer.
    kept: Option<Box<dyn Respond>>,
}

impl Channel {
    /// Takes up the conversation: over the socket that the process was started with.
    ///
    /// # Errors
    /// When it was not started by a server.
    pub fn open(socket: OwnedFd) -> io::Result<Arc<Self>> {
        let stream = UnixStream::from(socket);
        let mut space = [MaybeUninit::uninit(); 64];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut first = [0];
        recvmsg(&stream, &mut [IoSliceMut::new(&mut first)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        let mut memories: Vec<OwnedFd> = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(found) = message {
                memories.extend(found);
            }
        }
        let [to_process, to_server] = memories.as_slice() else {
            return Err(io::Error::other("this program is started by a server, not by hand"));
        };
        let over = Arc::default();
        outlive_nobody(stream.try_clone()?, Arc::clone(&over))?;
        let (outlet, part) = (Outlet::new(to_process)?, vec![0; PART_BYTES].into());
        let reader = Reader { stream: stream.try_clone()?, outlet, input: BytesMut::new(), part };
        let writer = Writer { stream, inlet: Inlet::new(to_server)?, output: BytesMut::new() };
        Ok(Arc::new(Self {
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            inbox: Mutex::default(),
            changed: Condvar::new(),
            next_key: AtomicU64::new(1),
            over,
        }))
    }

    /// Waits for something to do; `None` when the server has closed the conversation.
    pub fn next(self: &Arc<Self>) -> Option<Work> {
        let next = self.wait(|inbox| inbox.work.pop_front());
        self.over.store(next.is_none(), Ordering::Relaxed);
        next
    }

    /// Returns from a call.
    pub fn return_value(&self, key: u64, result: Result<Bytes>) {
        let result = match result {
            Ok(value) => returned::Result::Value(value),
            Err(error) => returned::Result::Failure(failure(&error)),
        };
        self.say(|_| to_server::Kind::Returned(proto::Returned { key, result: Some(result) }));
    }

    /// Answers a batch.
    pub fn done(&self, errands: &[Errand], execution: &Execution) {
        let timing = execution.timing;
        self.say(|sender| {
            let outcomes = errands.iter().zip(&execution.outcomes).map(|(errand, outcome)| {
                let kind = match outcome {
                    Outcome::Rescheduled => outcome::Kind::Rescheduled(errand.request.flags),
                    _ if errand.deferred => outcome::Kind::Deferred(true),
                    Outcome::Answered(outputs) => outcome::Kind::Answered(sender.outputs(outputs)),
                    Outcome::Failed(error) => outcome::Kind::Failed(failure(error)),
                    Outcome::Deferred => {
                        let error = Error::internal("the model left a request without an answer");
                        outcome::Kind::Failed(failure(&error))
                    }
                };
                proto::Outcome { kind: Some(kind) }
            });
            to_server::Kind::Done(to_server::Done {
                outcomes: outcomes.collect(),
                input_ns: timing.input.as_nanos() as u64,
                infer_ns: timing.infer.as_nanos() as u64,
                output_ns: timing.output.as_nanos() as u64,
            })
        });
        let mut inbox = self.inbox();
        for errand in errands.iter().filter(|errand| !errand.deferred) {
            inbox.cancelled.remove(&errand.key);
        }
    }

    /// Writes a line into the server's log: `verbose`, `info`, `warning` or `error`.
    pub fn log(&self, level: &str, text: &str) {
        let line = to_server::Log { level: level.to_owned(), text: text.to_owned() };
        self.say(|_| to_server::Kind::Log(line));
    }

    /// A server that is gone is not told: the next one to wait finds out.
    pub(super) fn say(&self, message: impl FnOnce(&mut Sender<'_>) -> to_server::Kind) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Writer { stream, inlet, output } = &mut *writer;
        let kind = message(&mut Sender(inlet));
        wire::put(output, &proto::ToServer { kind: Some(kind) });
        let _ = stream.write_all(output);
        output.clear();
    }

    pub(super) fn key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits until something is found in the inbox; `None` when the server has closed the conversation.
    pub(super) fn wait<T>(self: &Arc<Self>, mut find: impl FnMut(&mut Inbox) -> Option<T>) -> Option<T> {
        loop {
            let mut inbox = self.inbox();
            if let Some(found) = find(&mut inbox) {
                return Some(found);
            }
            if inbox.closed {
                return None;
            }
            match self.reader.try_lock() {
                Ok(mut reader) => {
                    drop(inbox);
                    self.read(&mut reader, None);
                    drop(reader);
                    // Whoever found the reader taken waits for this, and one of them reads on.
                    drop(self.inbox());
                    self.changed.notify_all();
                }
                Err(TryLockError::WouldBlock) => {
                    drop(self.changed.wait(inbox).unwrap_or_else(PoisonError::into_inner));
                }
                Err(TryLockError::Poisoned(_)) => return None,
            }
        }
    }

    /// Looks what has arrived, without waiting: while a model executes, nobody reads.
    fn glance(self: &Arc<Self>) {
        if let Ok(mut reader) = self.reader.try_lock() {
            self.read(&mut reader, Some(Duration::ZERO));
            drop(reader);
            drop(self.inbox());
            self.changed.notify_all();
        }
    }

    /// Reads once, and puts all that is complete into the inbox.
    fn read(self: &Arc<Self>, reader: &mut Reader, patience: Option<Duration>) {
        if reader.receive(patience).and_then(|()| self.sort(reader)).is_err() {
            self.inbox().closed = true;
        }
    }

    fn sort(self: &Arc<Self>, reader: &mut Reader) -> io::Result<()> {
        while let Some(message) = wire::take::<proto::ToProcess>(&mut reader.input)? {
            let receiver = Receiver { outlet: &reader.outlet, borrows: true };
            match message.kind {
                Some(to_process::Kind::Batch(batch)) => {
                    let errand = |request| {
                        let (key, rows, request) = receiver.request(request)?;
                        Ok(Errand { key, rows, request, channel: Arc::clone(self), deferred: false, kept: None })
                    };
                    let errands = batch.requests.into_iter().map(errand).collect::<io::Result<_>>()?;
                    self.inbox().work.push_back(Work::Batch(errands));
                }
                Some(to_process::Kind::Call(proto::Call { key, kind: Some(call::Kind::Method(method)) })) => {
                    let work = Work::Call { key, method: method.name, argument: method.argument };
                    self.inbox().work.push_back(work);
                }
                Some(to_process::Kind::Reply(reply)) => {
                    let answer = receiver.answer(reply.answer, &[])?;
                    // Answers that nobody waits for any more are dropped.
                    if let Some(waiting) = self.inbox().replies.get_mut(&reply.key) {
                        waiting.push_back(answer);
                    }
                }
                Some(to_process::Kind::Returned(returned)) => {
                    self.inbox().returned.insert(returned.key, returned);
                }
                Some(to_process::Kind::Cancel(key)) => {
                    self.inbox().cancelled.insert(key);
                }
                Some(to_process::Kind::Call(_)) | None => {}
            }
        }
        Ok(())
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the server for something other than inference.
    pub(super) fn call(self: &Arc<Self>, kind: call::Kind) -> Result<Option<returned::Result>> {
        let key = self.key();
        self.say(|_| to_server::Kind::Call(proto::Call { key, kind: Some(kind) }));
        match self.wait(|inbox| inbox.returned.remove(&key)) {
            None => Err(gone()),
            Some(proto::Returned { result: Some(returned::Result::Failure(failure)), .. }) => {
                Err(read_failure(failure))
            }
            Some(returned) => Ok(returned.result),
        }
    }
}

/// Ends the process some time after its server has gone, even when its model hangs. While the server is there it sees to that.
fn outlive_nobody(stream: UnixStream, over: Arc<AtomicBool>) -> io::Result<()> {
    let watch = move || {
        let mut files = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::HUP)];
        while poll(&mut files, None).is_err() {}
        thread::sleep(NOTICE);
        if over.load(Ordering::Relaxed) {
            thread::sleep(FAREWELL);
        }
        leave();
    };
    thread::Builder::new().name("watch".to_owned()).stack_size(64 * 1024).spawn(watch).map(drop)
}

/// Ends this process, and those that its model has started.
fn leave() -> ! {
    let own = getpid();
    if getpgrp() == own {
        let _ = kill_process_group(own, Signal::KILL);
    }
    process::exit(1);
}

pub(super) fn gone() -> Error {
    Error::unavailable("the server has closed the conversation with its model's process")
}

impl Reader {
    /// Takes in what has arrived; waits for it when there is time.
    fn receive(&mut self, patience: Option<Duration>) -> io::Result<()> {
        // Reading waits as well, but would wake up, too, whenever the server has read something.
        let timeout = patience.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        match poll(&mut [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN)], timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(()),
            ready => ready?,
        };
        match self.stream.read(&mut self.part) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.input.extend_from_slice(&self.part[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Task for Errand {
    fn request(&self) -> &Request {
        &self.request
    }

    fn request_mut(&mut self) -> &mut Request {
        &mut self.request
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn watch(&self) -> Box<dyn Fn() -> bool + Send + Sync> {
        let (channel, key) = (Arc::clone(&self.channel), self.key);
        Box::new(move || channel.is_cancelled(key))
    }

    fn responder(&mut self) -> Option<Box<dyn Respond>> {
        if std::mem::replace(&mut self.deferred, true) {
            return None;
        }
        Some(Box::new(Responder { key: self.key, channel: Arc::clone(&self.channel), ended: false }))
    }

    /// The server keeps its own end, and knows the request by another key the next time: what this end says after that is not heard.
    fn keep(&mut self, responder: Box<dyn Respond>) {
        self.kept = Some(responder);
    }
}

impl Channel {
    fn is_cancelled(self: &Arc<Self>, key: u64) -> bool {
        self.glance();
        let inbox = self.inbox();
        inbox.closed || inbox.cancelled.contains(&key)
    }
}

/// The way back to a client.
struct Responder {
    key: u64,
    channel: Arc<Channel>,
    ended: bool,
}

impl Respond for Responder {
    fn respond(&mut self, result: Option<Result<Outputs>>, last: bool) {
        if self.ended {
            return;
        }
        self.ended = last;
        let key = self.key;
        self.channel.say(|sender| {
            let answer = Some(sender.answer(result.as_ref(), last));
            to_server::Kind::Response(to_server::Response { key, answer })
        });
        if last {
            self.channel.inbox().cancelled.remove(&key);
        }
    }

    fn has_ended(&self) -> bool {
        self.ended
    }

    fn is_cancelled(&self) -> bool {
        self.channel.is_cancelled(self.key)
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Responder({})", self.key)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.respond(Some(Err(Error::internal("the model let go of a request before its last answer"))), true);
    }
}
