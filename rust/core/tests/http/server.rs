//! A server with a few small models, as clients of REST see it.

use std::ops::Deref;
use std::sync::Arc;

use windlass_core::settings::Settings;

use crate::client::{Answer, Client};
use crate::site::{BYTES, Declared, FP16, FP32, Gate, INT32, Site};

#[allow(unused_imports)] // the fuzz has no use for it
pub(crate) use crate::site::LIMIT;

/// A server and ways to ask it.
pub(crate) struct Server(Site);

impl Deref for Server {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.0
    }
}

impl Server {
    /// One that is not yet ready and has no models.
    pub(crate) fn bare() -> Self {
        Self(Site::open())
    }

    /// `echo` in two versions (FP32, any width, batches), `plain` (FP32 [2], no batches), `pair` (two inputs, one of which is FP16),
    /// `words` (BYTES), `odd name/x` and the decoupled `stream`.
    pub(crate) fn start() -> Self {
        Self::start_with(Settings::default())
    }

    /// The same, with settings of its own.
    pub(crate) fn start_with(settings: Settings) -> Self {
        let server = Self(Site::open_with(settings));
        server.publish(&Declared::new("echo", 8, &[("INPUT0", FP32, &[-1])]));
        server.publish(&Declared { version: 3, ..Declared::new("echo", 8, &[("INPUT0", FP32, &[-1])]) });
        server.publish(&Declared::new("plain", 0, &[("INPUT0", FP32, &[2])]));
        server.publish(&Declared::new("pair", 8, &[("INPUT0", INT32, &[2]), ("INPUT1", FP16, &[1])]));
        server.publish(&Declared::new("words", 8, &[("INPUT0", BYTES, &[1])]));
        server.publish(&Declared::new("odd name/x", 8, &[("INPUT0", FP32, &[1])]));
        server.publish(&Declared::teller("stream"));
        server.plane.start();
        server
    }

    /// Only `held`, a model that waits at a gate.
    pub(crate) fn with_gate() -> (Self, Arc<Gate>) {
        let server = Self::bare();
        server.publish(&Declared::new("held", 8, &[("INPUT0", FP32, &[1])]));
        server.gate.shut();
        server.plane.start();
        let gate = Arc::clone(&server.gate);
        (server, gate)
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.http)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.connect().ask("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.connect().ask("POST", path, &[], body.as_bytes())
    }

    /// Sees to it that the server still does its work.
    pub(crate) fn assert_serves(&self) {
        let answer = self.post("/v2/models/echo/infer", JSON);
        assert_eq!((answer.status, answer.text()), (200, JSON_ANSWER));
    }
}

/// A good request for `echo`, and its answer.
pub(crate) const JSON: &str = r#"{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","data":[1,2.5]}]}"#;
pub(crate) const JSON_ANSWER: &str = r#"{"model_name":"echo","model_version":"3","outputs":[{"name":"OUTPUT0","datatype":"FP32","shape":[1,2],"data":[1.0,2.5]}]}"#;
