//! gRPC as clients see it: a whole server, real sockets.

mod client;
mod faults;
mod fuzz;
mod fuzz_watched;
mod inference;
mod lifecycle;
mod operations;
#[path = "../segment/mod.rs"]
mod segment;
mod server;
mod settings;
mod shared_memory;
#[path = "../server/mod.rs"]
mod site;
mod streaming;
mod upkeep;
