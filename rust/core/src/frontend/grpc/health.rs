//! gRPC's own health check. The service asked about does not matter: there is one server behind all.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::frontend::Door;
use crate::proto::health::health_check_response::ServingStatus;
use crate::proto::health::health_server::Health;
use crate::proto::health::{HealthCheckRequest, HealthCheckResponse};

pub(super) struct Check(pub(super) Arc<Door>);

#[tonic::async_trait]
impl Health for Check {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let status = if self.0.plane.ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
        Ok(Response::new(HealthCheckResponse { status: status as i32 }))
    }
}
