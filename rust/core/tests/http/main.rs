//! REST as clients see it: a whole server, real sockets.

mod client;
mod connections;
mod faults;
mod inference;
mod repository;
mod routes;
mod server;
#[path = "../server/mod.rs"]
mod site;
