//! The messages of `proto/*.proto`, generated when the crate is built.
#![allow(missing_docs, clippy::pedantic)]

/// The inference service and the model configuration.
pub mod inference {
    tonic::include_proto!("inference");
}

/// The gRPC health check.
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}
