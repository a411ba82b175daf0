//! The only place where a code of the core becomes a status of a transport.

use crate::error::Code;

/// The HTTP status of a code.
pub fn http(code: Code) -> u16 {
    match code {
        Code::Unknown | Code::InvalidArgument | Code::AlreadyExists | Code::Cancelled => 400,
        Code::NotFound => 404,
        Code::Internal => 500,
        Code::Unsupported => 501,
        Code::Unavailable => 503,
    }
}

/// The gRPC status of a code, as a number.
pub fn grpc(code: Code) -> u8 {
    match code {
        Code::Cancelled => 1,
        Code::Unknown => 2,
        Code::InvalidArgument => 3,
        Code::NotFound => 5,
        Code::AlreadyExists => 6,
        Code::Unsupported => 12,
        Code::Internal => 13,
        Code::Unavailable => 14,
    }
}
