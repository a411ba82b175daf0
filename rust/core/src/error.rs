//! The one error of the data plane: a stable code, and a sentence for the client.
//!
//! The texts here are those of the core (lookup, admission, scheduling), which clients of the protocol assert on. A front end that
//! fails to read a request words that itself, beside its parser. Codes become statuses in `frontend::status` and nowhere else.

use std::fmt;

/// What kind of failure; the names are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Nothing better is known.
    Unknown,
    /// The server or a model failed.
    Internal,
    /// The thing named does not exist.
    NotFound,
    /// The client's mistake.
    InvalidArgument,
    /// Not now; trying again may help.
    Unavailable,
    /// Not offered.
    Unsupported,
    /// The name is taken.
    AlreadyExists,
    /// The client went away.
    Cancelled,
}

impl Code {
    /// Every code with its name on the Python side and the words that precede a reason in the index.
    pub const TABLE: [(Self, &'static str, &'static str); 8] = [
        (Self::Unknown, "UNKNOWN", "Unknown"),
        (Self::Internal, "INTERNAL", "Internal"),
        (Self::NotFound, "NOT_FOUND", "Not found"),
        (Self::InvalidArgument, "INVALID_ARG", "Invalid argument"),
        (Self::Unavailable, "UNAVAILABLE", "Unavailable"),
        (Self::Unsupported, "UNSUPPORTED", "Unsupported"),
        (Self::AlreadyExists, "ALREADY_EXISTS", "Already exists"),
        (Self::Cancelled, "CANCELLED", "Cancelled"),
    ];

    /// The code of that name; `UNKNOWN` for a name that is none.
    pub fn from_name(name: &str) -> Self {
        Self::TABLE.iter().find(|row| row.1 == name).map_or(Self::Unknown, |row| row.0)
    }

    /// Its name, as the Python side spells it.
    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("UNKNOWN", |row| row.1)
    }
}

/// A failure that a client is told about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Decides the status.
    pub code: Code,
    /// The whole text, as it goes over the wire.
    pub message: String,
}

impl Error {
    /// An error of any code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The client's mistake.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// The server's or the model's failure.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// Not now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// The same error, its text preceded by the request's id, as the protocol does for most checks of a request.
    #[must_use]
    pub fn with_request_id(self, id: &str) -> Self {
        let id = if id.is_empty() { "<id_unknown>" } else { id };
        Self { code: self.code, message: format!("[request id: {id}] {}", self.message) }
    }

    pub(crate) fn unknown_model(model: &str) -> Self {
        Self::new(Code::NotFound, format!("Request for unknown model: '{model}' is not found"))
    }

    pub(crate) fn unknown_version(model: &str, version: i64) -> Self {
        Self::new(Code::NotFound, format!("Request for unknown model: '{model}' version {version} is not found"))
    }

    pub(crate) fn no_versions(model: &str) -> Self {
        Self::new(Code::NotFound, format!("Request for unknown model: '{model}' has no available versions"))
    }

    pub(crate) fn not_ready(model: &str, version: i64) -> Self {
        Self::new(
            Code::Unavailable,
            format!("Request for unknown model: '{model}' version {version} is not at ready state"),
        )
    }

    pub(crate) fn queue_full() -> Self {
        Self::new(Code::Unavailable, "Exceeds maximum queue size")
    }

    pub(crate) fn expired() -> Self {
        Self::new(Code::Unavailable, "Request timeout expired")
    }

    pub(crate) fn stopping() -> Self {
        Self::new(
            Code::Unavailable,
            "Server is stopping, scheduler for model has stopped accepting new inference requests",
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What everything fallible here returns.
pub type Result<T> = std::result::Result<T, Error>;
