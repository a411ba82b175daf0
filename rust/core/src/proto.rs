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
