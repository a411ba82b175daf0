//! One process being talked to: batches and answers go in, outcomes, answers and questions come out.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver as Watch;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::error::{Error, Result};
use crate::host::{Respond, Task};
use crate::instance::{Execution, Job, Outcome, Outputs};
use crate::isolated::convert::{Receiver, Sender, read_failure};
use crate::isolated::link::{Conversation, End, FAREWELL, Order, unhealthy};
use crate::isolated::process::{Line, log, serve};
use crate::isolated::segment::{Inlet, Outlet};
use crate::isolated::socket::{Incoming, Outgoing, split};
use crate::isolated::wire;
use crate::local_host::ask;
use crate::proto::isolated::{self as proto, outcome, returned, to_process, to_server};
use crate::statistics::Timing;
use crate::worker::Commission;

/// How often a model is asked whether it is ready, and how long it may take to answer.
const CHECK_PAUSE: Duration = Duration::from_secs(1);
const CHECK_PATIENCE: Duration = Duration::from_secs(5);
/// What it answers when it is.
const READY: &[u8] = b"ready";

/// Bytes on their way out up to which more is taken on.
const MAX_OUTPUT_BYTES: usize = 16 << 20;

/// One process being talked to.
pub(super) struct Talk<'a> {
    own: &'a mut Conversation,
    reader: Incoming,
    writer: Outgoing,
    input: BytesMut,
    output: BytesMut,
    inlet: Inlet,
    outlet: Outlet,
    /// Readable when the process has ended. It is no pipe, but waited for like one.
    end: Option<Watch>,
    batch: Option<InFlight>,
    /// Those that are answered later, or often.
    responders: HashMap<u64, Box<dyn Respond>>,
    /// What its model asks of others.
    infers: HashMap<u64, AbortHandle>,
    /// When the model was asked whether it is ready, while it has not answered.
    asked: Option<Instant>,
    /// Told to be abandoned.
    told: Vec<u64>,
}

/// The batch that is being executed. Its requests have keys in a row.
struct InFlight {
    commission: Commission,
    first_key: u64,
    started: Instant,
}

impl<'a> Talk<'a> {
    pub(super) fn new(line: Line, own: &'a mut Conversation) -> io::Result<Self> {
        let (reader, writer) = split(line.stream)?;
        Ok(Self {
            own,
            reader,
            writer,
            input: line.input,
            output: BytesMut::new(),
            inlet: line.inlet,
            outlet: line.outlet,
            end: line.end.map(Watch::from_owned_fd_unchecked).transpose()?,
            batch: None,
            responders: HashMap::new(),
            infers: HashMap::new(),
            asked: None,
            told: Vec::new(),
        })
    }

    pub(super) async fn run(&mut self) -> End {
        let abandoned = Arc::clone(&self.own.shared.abandoned);
        let mut checks = interval(CHECK_PAUSE);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                read = self.reader.read_buf(&mut self.input) => {
                    match read {
                        Ok(0) => return End::Broken(io::ErrorKind::UnexpectedEof.into()),
                        Ok(_) => {}
                        Err(error) => return End::Broken(error),
                    }
                    if let Err(error) = self.hear() {
                        return End::Broken(error);
                    }
                }
                // All that it said was read before.
                () = ended(self.end.as_ref()) => return End::Broken(io::ErrorKind::UnexpectedEof.into()),
                written = self.writer.write(&mut self.output), if !self.output.is_empty() => {
                    if let Err(error) = written {
                        return End::Broken(error);
                    }
                }
                order = self.own.orders.recv(), if self.output.len() < MAX_OUTPUT_BYTES => match order {
                    Some(Order::Execute(batch)) => self.execute(batch),
                    Some(Order::Reply(reply, result, last)) => self.reply(reply, result.as_ref(), last),
                    Some(Order::Returned(returned)) => self.say(to_process::Kind::Returned(returned)),
                    Some(Order::Close) | None => return End::Closed,
                },
                () = abandoned.notified() => self.tell_abandoned(),
                _ = checks.tick(), if self.own.checks => self.check(),
            }
        }
    }

    /// What the process writes is copied: it may go on writing there.
    fn receiver(&self) -> Receiver<'_> {
        Receiver { outlet: &self.outlet, borrows: false }
    }

    fn say(&mut self, kind: to_process::Kind) {
        wire::put(&mut self.output, &proto::ToProcess { kind: Some(kind) });
    }

    pub(super) fn execute(&mut self, mut commission: Commission) {
        if !commission.is_for(self.own.shared.life()) {
            // It was on its way when the process ended that knew what these requests go on with.
            let failed = Execution::failed(commission.jobs(), &unhealthy());
            return commission.complete(failed);
        }
        let (first_key, mut abandoned) = (self.own.next_key, false);
        let mut sender = Sender(&mut self.inlet);
        let mut requests = Vec::with_capacity(commission.jobs().len());
        for (key, job) in (first_key..).zip(commission.jobs()) {
            if let Some(cancellation) = job.cancellation() {
                cancellation.ring(&self.own.shared.abandoned);
            }
            abandoned |= job.is_abandoned();
            requests.push(sender.request(key, job.rows, &job.request));
        }
        self.own.next_key += requests.len() as u64;
        self.say(to_process::Kind::Batch(to_process::Batch { requests }));
        self.batch = Some(InFlight { commission, first_key, started: Instant::now() });
        if abandoned {
            self.tell_abandoned();
        }
    }

    fn reply(&mut self, mut reply: to_process::Reply, result: Option<&Result<Outputs>>, last: bool) {
        if last {
            self.infers.remove(&reply.key);
        }
        reply.answer = Some(Sender(&mut self.inlet).answer(result, last));
        self.say(to_process::Kind::Reply(reply));
    }

    fn hear(&mut self) -> io::Result<()> {
        while let Some(message) = wire::take::<proto::ToServer>(&mut self.input)? {
            match message.kind {
                Some(to_server::Kind::Done(done)) => self.done(done)?,
                Some(to_server::Kind::Response(response)) => self.response(response)?,
                Some(to_server::Kind::Infer(infer)) => self.infer(infer)?,
                Some(to_server::Kind::Stop(key)) => {
                    if let Some(task) = self.infers.remove(&key) {
                        task.abort();
                    }
                }
                Some(to_server::Kind::Call(call)) => self.serve(call),
                Some(to_server::Kind::Log(line)) => self.note(line),
                Some(to_server::Kind::Returned(returned)) => {
                    self.asked = None;
                    self.note_readiness(
                        matches!(returned.result, Some(returned::Result::Value(value)) if value == READY),
                    );
                }
                None => {}
            }
        }
        Ok(())
    }

    fn done(&mut self, done: to_server::Done) -> io::Result<()> {
        let Some(mut batch) = self.batch.take() else {
            return Err(io::Error::other("a batch is done that was not asked for"));
        };
        match self.settle(&mut batch, done) {
            Ok(execution) => batch.commission.complete(execution),
            // Answered with all the rest when the conversation is broken off.
            Err(error) => {
                self.batch = Some(batch);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes apart what came of a batch.
    fn settle(&mut self, batch: &mut InFlight, done: to_server::Done) -> io::Result<Execution> {
        let jobs = batch.commission.jobs();
        if done.outcomes.len() != jobs.len() {
            return Err(io::Error::other(format!("{} outcomes of {} requests", done.outcomes.len(), jobs.len())));
        }
        let mut outcomes = Vec::with_capacity(jobs.len());
        for ((key, job), outcome) in (batch.first_key..).zip(jobs).zip(done.outcomes) {
            let result = match outcome.kind {
                Some(outcome::Kind::Answered(outputs)) => Ok(self.receiver().outputs(outputs, &self.own.outputs)?),
                Some(outcome::Kind::Failed(failure)) => Err(read_failure(failure)),
                Some(outcome::Kind::Rescheduled(flags)) => {
                    job.request.flags = flags;
                    if let Some(responder) = self.responders.remove(&key) {
                        job.keep(responder);
                    }
                    outcomes.push(Outcome::Rescheduled);
                    continue;
                }
                Some(outcome::Kind::Deferred(_)) => {
                    keep_responder(&mut self.responders, key, job);
                    outcomes.push(Outcome::Deferred);
                    continue;
                }
                None => Err(unhealthy()),
            };
            outcomes.push(match self.responders.remove(&key) {
                None => result.map_or_else(Outcome::Failed, Outcome::Answered),
                // It has begun to answer in another way.
                Some(mut responder) => {
                    responder.respond(Some(result), true);
                    Outcome::Deferred
                }
            });
        }
        self.told.retain(|key| self.responders.contains_key(key));
        // No part took longer than the whole.
        let whole = batch.started.elapsed();
        let part = |ns| Duration::from_nanos(ns).min(whole);
        let timing = Timing { input: part(done.input_ns), infer: part(done.infer_ns), output: part(done.output_ns) };
        Ok(Execution { outcomes, timing })
    }

    fn response(&mut self, response: to_server::Response) -> io::Result<()> {
        let (result, last) = self.receiver().answer(response.answer, &self.own.outputs)?;
        if let Some(InFlight { commission, first_key, .. }) = &mut self.batch
            && let Some(job) =
                response.key.checked_sub(*first_key).and_then(|place| commission.jobs().get_mut(place as usize))
        {
            keep_responder(&mut self.responders, response.key, job);
        }
        if let Some(responder) = self.responders.get_mut(&response.key) {
            responder.respond(result, last);
            if last {
                self.responders.remove(&response.key);
            }
        }
        Ok(())
    }

    /// Asks another model on behalf of this one.
    fn infer(&mut self, infer: to_server::Infer) -> io::Result<()> {
        let request = infer.request.ok_or_else(|| io::Error::other("a question without a request"))?;
        let (_, _, mut request) = self.receiver().request(request)?;
        request.trace = request.trace_context.take().and_then(|context| self.own.tracing.resume(&context));
        let pending = self.own.catalog.upgrade().ok_or_else(Error::stopping).and_then(|catalog| {
            ask(&catalog, &self.own.reactor, &infer.model, infer.version, request, infer.decoupled)
        });
        let (orders, key) = (self.own.own_orders.clone(), infer.key);
        let task = tokio::spawn(async move {
            let reply = || to_process::Reply { key, answer: None };
            let mut pending = match pending {
                Ok(pending) => pending,
                Err(error) => {
                    let _ = orders.send(Order::Reply(reply(), Some(Err(error)), true)).await;
                    return;
                }
            };
            while let Some(answer) = pending.next().await {
                let result = answer.result.map(|result| {
                    result.map(|response| Outputs { tensors: response.outputs, parameters: response.parameters })
                });
                if orders.send(Order::Reply(reply(), result, answer.last)).await.is_err() {
                    return;
                }
            }
        });
        self.infers.insert(key, task.abort_handle());
        Ok(())
    }

    /// Does what may take long on a thread made for that; metrics are quick.
    fn serve(&mut self, call: proto::Call) {
        use proto::call::Kind;
        if matches!(call.kind, Some(Kind::DeclareMetric(_) | Kind::ChangeMetric(_) | Kind::IsReady(_))) {
            let returned = serve(&*self.own.host, call);
            return self.say(to_process::Kind::Returned(returned));
        }
        let (host, orders) = (Arc::clone(&self.own.host), self.own.own_orders.clone());
        tokio::spawn(async move {
            let key = call.key;
            let returned = spawn_blocking(move || serve(&*host, call)).await;
            let returned = returned.unwrap_or(proto::Returned { key, result: None });
            let _ = orders.send(Order::Returned(returned)).await;
        });
    }

    /// Asks the model whether it is ready. One that executes cannot answer, and shows that it is.
    fn check(&mut self) {
        match self.asked {
            Some(asked) if self.batch.is_none() && asked.elapsed() > CHECK_PATIENCE => self.note_readiness(false),
            None if self.batch.is_none() => {
                self.asked = Some(Instant::now());
                let method = proto::Method { name: "is_ready".to_owned(), argument: Bytes::from_static(b"{}") };
                let call = proto::Call { key: 0, kind: Some(proto::call::Kind::Method(method)) };
                self.say(to_process::Kind::Call(call));
            }
            _ => {}
        }
    }

    fn note_readiness(&self, ready: bool) {
        self.own.shared.ready.store(ready, Ordering::Relaxed);
    }

    /// Tells the process which clients went away.
    fn tell_abandoned(&mut self) {
        let mut gone = Vec::new();
        if let Some(InFlight { commission, first_key, .. }) = &mut self.batch {
            let jobs = (*first_key..).zip(commission.jobs().iter());
            gone.extend(jobs.filter(|(_, job)| job.is_abandoned()).map(|(key, _)| key));
        }
        gone.extend(self.responders.iter().filter(|(_, responder)| responder.is_cancelled()).map(|(key, _)| *key));
        gone.retain(|key| !self.told.contains(key));
        for key in &gone {
            self.say(to_process::Kind::Cancel(*key));
        }
        self.told.append(&mut gone);
    }

    /// Lets the model say goodbye: what it writes to the log until its process ends is heard.
    pub(super) async fn farewell(&mut self) {
        let told = self.writer.shutdown();
        let rest = async {
            while matches!(self.reader.read_buf(&mut self.input).await, Ok(1..)) {
                while let Ok(Some(message)) = wire::take::<proto::ToServer>(&mut self.input) {
                    if let Some(to_server::Kind::Log(line)) = message.kind {
                        self.note(line);
                    }
                }
            }
        };
        if told.is_ok() {
            let _ = timeout(FAREWELL, rest).await;
        }
    }

    fn note(&self, line: to_server::Log) {
        let control = Arc::clone(&self.own.control);
        drop(spawn_blocking(move || log(&*control, &line)));
    }

    /// The process is gone, or will be now: all that was in its hands fails.
    pub(super) fn break_off(&mut self) {
        if let Some(InFlight { mut commission, .. }) = self.batch.take() {
            let failed = Execution::failed(commission.jobs(), &unhealthy());
            commission.complete(failed);
        }
        for (_, mut responder) in self.responders.drain() {
            responder.respond(Some(Err(unhealthy())), true);
        }
        for (_, task) in mem::take(&mut self.infers) {
            task.abort();
        }
    }
}

/// Waits for the end of a process; for ever where nobody tells.
async fn ended(end: Option<&Watch>) {
    match end {
        Some(end) => drop(end.readable().await),
        None => pending().await,
    }
}

fn keep_responder(responders: &mut HashMap<u64, Box<dyn Respond>>, key: u64, job: &mut Job) {
    if let Some(responder) = Task::responder(job) {
        responders.insert(key, responder);
    }
}
