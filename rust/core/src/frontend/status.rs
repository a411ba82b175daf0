//! The only place where a code of the core becomes a status of a transport.

use crate::error::{Code, Error};

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

/// The gRPC status of an error.
pub fn grpc(error: Error) -> tonic::Status {
    let code = match error.code {
        Code::Unknown => tonic::Code::Unknown,
        Code::Internal => tonic::Code::Internal,
        Code::NotFound => tonic::Code::NotFound,
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::Unsupported => tonic::Code::Unimplemented,
        Code::AlreadyExists => tonic::Code::AlreadyExists,
        Code::Cancelled => tonic::Code::Cancelled,
    };
    tonic::Status::new(code, error.message)
}
