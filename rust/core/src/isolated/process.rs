//! A model's process, from its start until its model is loaded. Everything here blocks.

use std::ffi::OsString;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::control::{Control, ControlParameter, Level};
use crate::error::{Error, Result};
use crate::host::{Host, MetricChange, MetricFamily, MetricKind, MetricName};
use crate::isolated::child::Reaped;
use crate::isolated::convert::{failure, read_failure};
use crate::isolated::segment::{self, Inlet, Outlet};
use crate::isolated::wire;
use crate::proto::isolated::{self as proto, call, metric_change, returned, to_process, to_server};

/// What a process returns from its start when its model tells if it is ready.
const CHECKS: &[u8] = b"checks";
/// How long a process that has closed its socket may take to end.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// How a model's process is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What it is called in errors and the log: the instance's name.
    pub name: String,
    /// The program and its arguments. Its standard input is the socket.
    pub command: Vec<OsString>,
    /// Variables beside those of the server's own environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// A process whose model is being loaded.
pub struct Process {
    pub(super) launch: Launch,
    pub(super) host: Arc<dyn Host>,
    pub(super) control: Arc<dyn Control>,
    /// What it was asked so far, to be asked of its successor.
    pub(super) calls: Vec<(String, Bytes)>,
    pub(super) line: Line,
    pub(super) child: Reaped,
    /// Whether the model tells if it is ready: what it answered last, when it was started.
    pub(super) checks: bool,
}

/// The way to a process.
pub(super) struct Line {
    pub(super) stream: UnixStream,
    pub(super) input: BytesMut,
    pub(super) inlet: Inlet,
    pub(super) outlet: Outlet,
    /// Readable when the process has ended.
    pub(super) end: Option<OwnedFd>,
}

impl Process {
    /// Starts a process.
    ///
    /// # Errors
    /// When there is no such program, or no memory or process to be had.
    pub fn start(launch: Launch, host: Arc<dyn Host>, control: Arc<dyn Control>) -> io::Result<Self> {
        let (program, arguments) =
            launch.command.split_first().ok_or_else(|| io::Error::other("a command without a program"))?;
        let (ours, theirs) = UnixStream::pair()?;
        let (to_process, to_server) = (segment::memory()?, segment::memory()?);
        let child = Command::new(program)
            .args(arguments)
            .envs(launch.environment.iter().cloned())
            .stdin(OwnedFd::from(theirs))
            // What a model prints must not mix with what the server says.
            .stdout(io::stderr().as_fd().try_clone_to_owned()?)
            .stderr(Stdio::inherit())
            // Ctrl-C is meant for the server, which tells its processes in its own time. What a model starts ends with the group.
            .process_group(0)
            .spawn()?;
        let child = Reaped::new(child);
        let (memories, mut space) = ([to_process.as_fd(), to_server.as_fd()], [MaybeUninit::uninit(); 64]);
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&memories));
        sendmsg(&ours, &[IoSlice::new(b"r")], &mut ancillary, SendFlags::empty())?;
        let (inlet, outlet) = (Inlet::new(&to_process)?, Outlet::new(&to_server)?);
        let line = Line { stream: ours, input: BytesMut::new(), inlet, outlet, end: child.watch() };
        Ok(Self { launch, host, control, calls: Vec::new(), line, child, checks: false })
    }

    /// Asks its Python side for something, and serves it meanwhile.
    ///
    /// # Errors
    /// What the process answers; `INTERNAL` when it ends instead.
    pub fn call(&mut self, method: &str, argument: Bytes) -> Result<Bytes> {
        self.calls.push((method.to_owned(), argument.clone()));
        let key = self.calls.len() as u64;
        let method = proto::Method { name: method.to_owned(), argument };
        let call = proto::Call { key, kind: Some(call::Kind::Method(method)) };
        self.say(to_process::Kind::Call(call)).map_err(|error| self.ended(&error))?;
        loop {
            match self.hear().map_err(|error| self.ended(&error))? {
                to_server::Kind::Returned(returned) if returned.key == key => {
                    return match returned.result {
                        Some(returned::Result::Failure(failure)) => Err(read_failure(failure)),
                        Some(returned::Result::Value(value)) => {
                            self.checks = value == CHECKS;
                            Ok(value)
                        }
                        _ => Ok(Bytes::new()),
                    };
                }
                to_server::Kind::Call(call) => {
                    let returned = serve(&*self.host, call);
                    self.say(to_process::Kind::Returned(returned)).map_err(|error| self.ended(&error))?;
                }
                to_server::Kind::Infer(infer) => {
                    let error = Error::invalid("other models can be asked while requests are executed, not before");
                    let answer =
                        proto::Answer { result: Some(proto::answer::Result::Failure(failure(&error))), last: true };
                    let reply = to_process::Reply { key: infer.key, answer: Some(answer) };
                    self.say(to_process::Kind::Reply(reply)).map_err(|error| self.ended(&error))?;
                }
                to_server::Kind::Log(line) => log(&*self.control, &line),
                _ => {}
            }
        }
    }

    /// Starts a process like this one, and asks of it what this one was asked. `started` is shown the process before that.
    ///
    /// # Errors
    /// As `start` and `call`.
    pub(super) fn again(
        launch: Launch,
        host: Arc<dyn Host>,
        control: Arc<dyn Control>,
        calls: Vec<(String, Bytes)>,
        started: impl FnOnce(&Reaped),
    ) -> Result<Self> {
        let name = launch.name.clone();
        let mut process = Self::start(launch, host, control)
            .map_err(|error| Error::internal(format!("no process could be started for `{name}`: {error}")))?;
        started(&process.child);
        for (method, argument) in calls {
            process.call(&method, argument)?;
        }
        Ok(process)
    }

    fn say(&mut self, kind: to_process::Kind) -> io::Result<()> {
        let mut out = BytesMut::new();
        wire::put(&mut out, &proto::ToProcess { kind: Some(kind) });
        self.line.stream.write_all(&out)
    }

    fn hear(&mut self) -> io::Result<to_server::Kind> {
        loop {
            if let Some(message) = wire::take::<proto::ToServer>(&mut self.line.input)? {
                return message.kind.ok_or_else(|| io::Error::other("an empty message"));
            }
            self.wait()?;
            let mut part = [0; 16 * 1024];
            match self.line.stream.read(&mut part)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.line.input.extend_from_slice(&part[..count]),
            }
        }
    }

    /// Waits until there is something to read; an error when nothing more will come.
    fn wait(&self) -> io::Result<()> {
        let mut files = vec![PollFd::new(&self.line.stream, PollFlags::IN)];
        files.extend(self.line.end.as_ref().map(|end| PollFd::new(end, PollFlags::IN)));
        while let Err(error) = poll(&mut files, None) {
            if error != rustix::io::Errno::INTR {
                return Err(error.into());
            }
        }
        if files[0].revents().is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn ended(&mut self, error: &io::Error) -> Error {
        let name = &self.launch.name;
        let how = self.child.end(END_PATIENCE).map_or_else(|| error.to_string(), describe);
        Error::internal(format!("the process of `{name}` ended while its model was loaded: {how}"))
    }
}

/// How a process ended, as people say it.
pub(super) fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it exited with {code}"),
        (None, Some(signal)) => format!("it was killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Does what a process asks of its server, other than inference.
pub(super) fn serve(host: &dyn Host, call: proto::Call) -> proto::Returned {
    let result = match call.kind {
        Some(call::Kind::Load(load)) => {
            let config = load.config.map(|config| ("config".to_owned(), ControlParameter::Text(config)));
            let files = load.files.into_iter().map(|file| (file.name, ControlParameter::Bytes(file.content.to_vec())));
            host.load(&load.model, config.into_iter().chain(files).collect()).map(|()| None)
        }
        Some(call::Kind::Unload(unload)) => host.unload(&unload.model, unload.dependents).map(|()| None),
        Some(call::Kind::IsReady(model)) => {
            host.is_ready(&model.name, &model.version).map(|ready| Some(returned::Result::Truth(ready)))
        }
        Some(call::Kind::DeclareMetric(family)) => host.declare_metric(&metric_family(family)).map(|()| None),
        Some(call::Kind::ChangeMetric(metric)) => {
            let (name, change) = metric_change(metric);
            host.change_metric(&name, change).map(|value| Some(returned::Result::Number(value)))
        }
        Some(call::Kind::Method(_)) | None => Err(Error::internal("a call without a meaning")),
    };
    let result = result.unwrap_or_else(|error| Some(returned::Result::Failure(failure(&error))));
    proto::Returned { key: call.key, result }
}

fn metric_family(family: proto::MetricFamily) -> MetricFamily {
    use proto::metric_family::Kind;
    let kind = match family.kind() {
        Kind::Counter => MetricKind::Counter,
        Kind::Gauge => MetricKind::Gauge,
        Kind::Histogram => MetricKind::Histogram,
    };
    MetricFamily { name: family.name, description: family.description, kind }
}

fn metric_change(metric: proto::MetricChange) -> (MetricName, MetricChange) {
    let labels = metric.labels.into_iter().map(|label| (label.name, label.value)).collect();
    let change = match metric.change {
        None => MetricChange::Keep,
        Some(metric_change::Change::Increment(amount)) => MetricChange::Increment(amount),
        Some(metric_change::Change::Set(amount)) => MetricChange::Set(amount),
        Some(metric_change::Change::Observe(amount)) => MetricChange::Observe(amount),
        Some(metric_change::Change::Remove(_)) => MetricChange::Remove,
        Some(metric_change::Change::Add(_)) => MetricChange::Add,
    };
    (MetricName { family: metric.family, labels, buckets: metric.buckets }, change)
}

/// Writes a line of a process into the server's log.
pub(super) fn log(control: &dyn Control, line: &proto::to_server::Log) {
    let level = match &*line.level {
        "verbose" => Level::Verbose,
        "warning" => Level::Warning,
        "error" => Level::Error,
        _ => Level::Info,
    };
    control.log(level, &line.text);
}
