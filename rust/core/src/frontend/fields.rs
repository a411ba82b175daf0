//! What comes with a request besides its body: the fields of its head, whatever protocol carries them, and what the server makes of them.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use regex::{Regex, RegexBuilder};

use crate::error::{Error, Result};
use crate::frontend::Door;
use crate::request::{Parameter, Request};
use crate::trace::context::Context;
use crate::trace::{Event, Trace};

/// The fields of a request's head: HTTP's headers, gRPC's metadata.
pub(crate) trait Fields {
    /// The first of that name, whatever the case of its letters.
    fn field(&self, name: &str) -> Option<&[u8]>;

    /// Shows every one.
    fn each(&self, see: &mut dyn FnMut(&str, &[u8]));
}

impl Fields for HeaderMap {
    fn field(&self, name: &str) -> Option<&[u8]> {
        self.get(name).map(HeaderValue::as_bytes)
    }

    fn each(&self, see: &mut dyn FnMut(&str, &[u8])) {
        for (name, value) in self {
            // These belong to the transport, not to whoever sent the message.
            if !matches!(name.as_str(), "te" | "content-type") && !name.as_str().starts_with("grpc-") {
                see(name.as_str(), value.as_bytes());
            }
        }
    }
}

/// Which fields become parameters of the request.
#[derive(Clone, Debug)]
pub struct Forwarding(Regex);

impl Forwarding {
    /// The names that hold a match of the pattern, in letters of either case; none for an empty one.
    ///
    /// # Errors
    /// `INVALID_ARG` for a pattern that is none.
    pub fn parse(pattern: &str) -> Result<Option<Self>> {
        if pattern.is_empty() {
            return Ok(None);
        }
        let regex = RegexBuilder::new(pattern).case_insensitive(true).build();
        regex
            .map(|regex| Some(Self(regex)))
            .map_err(|error| Error::invalid(format!("header pattern `{pattern}`: {error}")))
    }

    fn apply(&self, fields: &impl Fields, request: &mut Request) -> Result<()> {
        let mut refused = None;
        fields.each(&mut |name, value| {
            if !self.0.is_match(name) {
                return;
            }
            if is_reserved(name) {
                refused.get_or_insert_with(|| {
                    Error::invalid(format!("Header '{name}' is reserved for Triton usage and cannot be forwarded."))
                });
            }
            let text = String::from_utf8_lossy(value).into_owned();
            request.parameters.push((name.to_owned(), Parameter::Text(text)));
        });
        refused.map_or(Ok(()), Err)
    }
}

/// Whether the protocol gives a meaning to a parameter of that name.
fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 6] =
        ["sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "binary_data_output"];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || name.starts_with("triton_")
}

/// The door a request came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Http,
    Grpc,
}

impl Door {
    /// Makes of the fields that came with a request what belongs to it: forwarded parameters, and the trace it is part of. `read` is when
    /// it was read, where somebody might want to know.
    ///
    /// # Errors
    /// `INVALID_ARG` for a field that may not be forwarded.
    pub(crate) fn accept(
        &self,
        request: &mut Request,
        model: &str,
        (way, fields): (Way, &impl Fields),
        read: Option<(u64, u64)>,
    ) -> Result<()> {
        if let Some(forwarding) = self.plane.forwarding(way) {
            forwarding.apply(fields, request)?;
        }
        request.trace = self.plane.tracing().sample(model, || context(fields));
        if let Some(trace) = &request.trace {
            note_reading(trace, way, read);
        }
        Ok(())
    }
}

fn note_reading(trace: &Arc<Trace>, way: Way, read: Option<(u64, u64)>) {
    let Some((start, end)) = read else { return };
    let (first, second) = match way {
        Way::Http => (Event::HttpRecvStart, Event::HttpRecvEnd),
        Way::Grpc => (Event::GrpcReadStart, Event::GrpcReadEnd),
    };
    trace.note_at(first, start);
    trace.note_at(second, end);
}

fn context(fields: &impl Fields) -> Option<Context> {
    let text = |name| fields.field(name).and_then(|value| std::str::from_utf8(value).ok());
    Context::parse(text("traceparent")?, text("tracestate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(pattern: &str, fields: &[(&'static str, &'static str)]) -> Result<Vec<(String, Parameter)>> {
        let headers: HeaderMap = fields
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)))
            .collect();
        let mut request = Request::default();
        Forwarding::parse(pattern).expect("a pattern").expect("not empty").apply(&headers, &mut request)?;
        Ok(request.parameters)
    }

    #[test]
    fn fields_that_match_become_parameters() {
        let fields = [("x-user", "7"), ("other", "8"), ("grpc-timeout", "1S")];
        assert_eq!(forwarded("^X-", &fields), Ok(vec![("x-user".into(), Parameter::Text("7".into()))]));
        assert_eq!(forwarded(".*", &fields).map(|found| found.len()), Ok(2));
    }

    #[test]
    fn names_with_a_meaning_are_not_forwarded() {
        for name in ["priority", "triton_enable_empty_final_response"] {
            let error = forwarded(".*", &[(name, "1")]).expect_err("a refusal");
            let expected = format!("Header '{name}' is reserved for Triton usage and cannot be forwarded.");
            assert_eq!(error, Error::invalid(expected));
        }
    }

    #[test]
    fn a_pattern_that_is_none_says_so() {
        assert!(Forwarding::parse("").expect("fine").is_none());
        assert!(Forwarding::parse("(").expect_err("a refusal").message.starts_with("header pattern `(`: "));
    }
}
