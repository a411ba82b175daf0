//! What is told of requests, and to whom.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::frontend::access::Restrictions;
use crate::frontend::fields::{Forwarding, Way};
use crate::log::{Log, LogSettings};
use crate::plane::{Plane, blocking};
use crate::trace::Tracing;

impl Plane {
    /// Which requests are followed.
    pub fn tracing(&self) -> &Arc<Tracing> {
        &self.tracing
    }

    /// The log, and how it is written.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Has the log written another way, on a thread that may block.
    ///
    /// # Errors
    /// When the owner of the log panics.
    pub async fn change_log(self: &Arc<Self>, settings: LogSettings) -> Result<()> {
        let plane = Arc::clone(self);
        blocking(move || {
            plane.log.change(settings);
            Ok(())
        })
        .await
    }

    /// Which fields of a request's head become parameters.
    pub(crate) fn forwarding(&self, way: Way) -> Option<&Forwarding> {
        match way {
            Way::Http => self.settings.http_forwarding.as_ref(),
            Way::Grpc => self.settings.grpc_forwarding.as_ref(),
        }
    }

    /// What not everybody may call.
    pub(crate) fn restrictions(&self, way: Way) -> &Restrictions {
        match way {
            Way::Http => &self.settings.http_restrictions,
            Way::Grpc => &self.settings.grpc_restrictions,
        }
    }

    /// Settings of a model's traces exist as long as the model does.
    pub(crate) fn refuse_unknown_to_trace(&self, model: Option<&str>) -> Result<()> {
        match model {
            Some(model) if self.catalog.ready_of(model).is_empty() => {
                Err(Error::invalid(format!("Request for unknown model : {model}")))
            }
            _ => Ok(()),
        }
    }
}
