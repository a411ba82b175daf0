//! Models in processes of their own, so that one that crashes takes nobody with it and none waits for another's interpreter.
//!
//! The server's side: `process` starts one (a `child` of the kernel's) and speaks with it while its model loads; from then on `link`, a task of a reactor, keeps it in
//! service, and `talk` hands it batches and brings its answers home. The process' side: `channel`, and `server`, what the model's code may
//! ask. Between them goes a socket with the messages of `proto/isolated.proto`
//! (`wire`; `socket` is the server's end), and a `segment` of shared memory in each direction for large tensors; `convert` turns requests and outputs into messages and back.

pub mod channel;
mod child;
mod convert;
pub(crate) mod link;
pub mod process;
pub mod segment;
pub mod server;
mod socket;
mod talk;
mod wire;
