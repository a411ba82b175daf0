//! gRPC as clients see it: a whole server, real sockets.

mod client;
mod faults;
mod fuzz;
mod inference;
mod lifecycle;
mod operations;
mod server;
#[path = "../server/mod.rs"]
mod site;
mod streaming;
mod upkeep;
