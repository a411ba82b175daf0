//! Why a request failed.

use std::fmt;
use std::io::{self, ErrorKind};

use h2::Reason;

/// The reasons for which requests are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// The server answered with a status that is no success.
    Status(u16),
    /// gRPC's own status.
    Grpc(u32),
    /// The server reset the stream of a call, for HTTP/2's reason of that number.
    Stream(u32),
    /// The server ended an HTTP/2 connection, for the reason of that number.
    GoAway(u32),
    /// The connection ended before the answer did.
    ClosedEarly,
    /// No answer came in time.
    TimedOut,
    /// What came is no answer.
    Malformed,
    /// The two sides did not agree on TLS.
    Tls,
    /// This process may not open so many connections.
    TooManyFiles,
    /// The network's reason.
    Network(ErrorKind),
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        let os = error.raw_os_error();
        if [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].iter().any(|errno| os == Some(errno.raw_os_error())) {
            return Self::TooManyFiles;
        }
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::ClosedEarly,
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::InvalidData => Self::Tls,
            ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => Self::Network(ErrorKind::ConnectionReset),
            kind => Self::Network(kind),
        }
    }
}

impl From<&h2::Error> for Failure {
    fn from(error: &h2::Error) -> Self {
        let reason = error.reason().unwrap_or(Reason::NO_ERROR).into();
        match error.get_io() {
            // That is how the end of a connection is told here.
            Some(cause) if cause.kind() == ErrorKind::BrokenPipe => Self::ClosedEarly,
            Some(cause) => Self::from(cause),
            None if !error.is_remote() => Self::Malformed,
            None if error.is_go_away() => Self::GoAway(reason),
            None => Self::Stream(reason),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(formatter, "status {status}"),
            Self::Grpc(status) => write!(formatter, "grpc status {status} ({})", grpc_name(*status)),
            Self::Stream(reason) => write!(formatter, "stream reset ({:?})", Reason::from(*reason)),
            Self::GoAway(reason) => write!(formatter, "connection ended by the server ({:?})", Reason::from(*reason)),
            Self::ClosedEarly => formatter.write_str("connection closed early"),
            Self::TimedOut => formatter.write_str("timed out"),
            Self::Malformed => formatter.write_str("malformed answer"),
            Self::Tls => formatter.write_str("no TLS agreed on"),
            Self::TooManyFiles => formatter.write_str("too many open files"),
            Self::Network(kind) => write!(formatter, "{kind}"),
        }
    }
}

fn grpc_name(status: u32) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(status as usize).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_as_one_says_them() {
        let of = |kind: ErrorKind| Failure::from(&io::Error::from(kind)).to_string();
        assert_eq!(of(ErrorKind::ConnectionRefused), "connection refused");
        assert_eq!(of(ErrorKind::ConnectionReset), "connection reset");
        assert_eq!(of(ErrorKind::BrokenPipe), "connection reset");
        assert_eq!(of(ErrorKind::UnexpectedEof), "connection closed early");
        assert_eq!(Failure::Status(503).to_string(), "status 503");
        assert_eq!(Failure::Grpc(14).to_string(), "grpc status 14 (UNAVAILABLE)");
        assert_eq!(Failure::Grpc(99).to_string(), "grpc status 99 (unknown)");
        assert_eq!(Failure::Stream(7).to_string(), "stream reset (REFUSED_STREAM)");
    }
}
