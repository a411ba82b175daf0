//! gRPC over HTTP/2, as a client that asks unary calls, several at a time over each connection.

mod bells;
mod call;
mod io;
mod talk;

pub(crate) use talk::Talk;
