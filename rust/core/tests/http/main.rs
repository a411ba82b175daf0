//! REST as clients see it: a whole server, real sockets.

mod client;
mod connections;
mod faults;
mod generate;
mod inference;
mod observe;
mod repository;
mod routes;
#[path = "../segment/mod.rs"]
mod segment;
mod server;
mod shared_memory;
#[path = "../server/mod.rs"]
mod site;
