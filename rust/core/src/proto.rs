//! The messages of `proto/*.proto`, generated when the crate is built.
#![allow(missing_docs, clippy::pedantic)]

/// The inference service and the model configuration.
pub mod inference {
    include!(concat!(env!("OUT_DIR"), "/inference.rs"));
}

/// The gRPC health check.
pub mod health {
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}

/// What the server and a model's own process say to each other.
pub mod isolated {
    include!(concat!(env!("OUT_DIR"), "/windlass.isolated.rs"));
}
