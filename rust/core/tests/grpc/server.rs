//! A server with two small models, as clients of gRPC see it.

use std::net::SocketAddr;
use std::ops::Deref;

use windlass_core::plane::Settings;

use crate::site::{BYTES, Declared, FP32, Site};

/// A server and its address.
pub(crate) struct Server {
    site: Site,
    pub(crate) address: SocketAddr,
}

impl Deref for Server {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Server {
    /// One that is not yet ready and has no models.
    pub(crate) fn bare() -> Self {
        let site = Site::open();
        Self { address: site.grpc, site }
    }

    /// One with `mirror`, which takes rows of any width, and `stream`, which tells words.
    pub(crate) fn start() -> Self {
        Self::start_with(Settings::default())
    }

    /// The same, set up in some way.
    pub(crate) fn start_with(settings: Settings) -> Self {
        let site = Site::open_with(settings);
        let server = Self { address: site.grpc, site };
        let tensors = [("INPUT0", FP32, &[-1_i64][..]), ("INPUT1", BYTES, &[-1])];
        server.publish(&Declared { required: 1, ..Declared::new("mirror", 4, &tensors) });
        server.publish(&Declared::teller("stream"));
        server.plane.start();
        server
    }
}
