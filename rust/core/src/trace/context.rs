//! Where a trace comes from and goes on: W3C's `traceparent` and `tracestate`, as headers and as the text that model code is given.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use bytes::BytesMut;

use crate::frontend::json::value::Value;
use crate::frontend::json::writer;

/// The longest `tracestate` that is handed on.
const MAX_STATE_BYTES: usize = 512;

/// A span of a trace, wherever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The whole trace.
    pub trace_id: u128,
    /// The span.
    pub span_id: u64,
    /// What vendors wrote down for each other.
    pub state: String,
    /// Whether whoever sent it traces it.
    pub sampled: bool,
}

impl Context {
    /// A trace that starts here.
    pub fn start() -> Self {
        let trace_id = u128::from(random()) << 64 | u128::from(random());
        Self { trace_id, span_id: random(), state: String::new(), sampled: true }
    }

    /// Reads the two headers; nothing when the first is not what it should be.
    pub fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        let mut parts = parent.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let known_end = version != "00" || parts.next().is_none();
        if version == "ff" || !known_end {
            return None;
        }
        hex(version, 2)?;
        let (trace_id, span_id, flags) = (hex(trace, 32)?, hex(span, 16)? as u64, hex(flags, 2)?);
        let state = state.filter(|state| state.len() <= MAX_STATE_BYTES).unwrap_or_default().to_owned();
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, state, sampled: flags & 1 == 1 })
    }

    /// Reads the text that model code was given.
    pub fn from_json(text: &str) -> Option<Self> {
        let value = Value::parse(text.as_bytes()).ok()?;
        let member = |name: &str| match value.member(name) {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        Self::parse(member("traceparent")?, member("tracestate"))
    }

    /// The first header.
    pub fn parent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }

    /// Both, as the JSON that model code is given to hand on.
    pub fn to_json(&self) -> String {
        let mut out = BytesMut::new();
        out.extend_from_slice(b"{\"traceparent\":");
        writer::string(&mut out, &self.parent());
        if !self.state.is_empty() {
            out.extend_from_slice(b",\"tracestate\":");
            writer::string(&mut out, &self.state);
        }
        out.extend_from_slice(b"}");
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn with_span(&self, span_id: u64) -> Self {
        Self { span_id, ..self.clone() }
    }
}

/// So many hexadecimal digits, in small letters as the standard has them.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let good = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    good.then(|| u128::from_str_radix(text, 16).ok())?
}

/// A number nobody else has; never zero.
pub(super) fn random() -> u64 {
    // Every state has keys of its own, which come from the system's entropy.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(0);
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_is_read_and_written() {
        let context = Context::parse(PARENT, Some("a=1")).expect("good");
        assert_eq!((context.span_id, context.sampled, &context.state[..]), (0xb7ad_6b71_6920_3331, true, "a=1"));
        assert_eq!(context.parent(), PARENT);
        assert_eq!(context.to_json(), format!(r#"{{"traceparent":"{PARENT}","tracestate":"a=1"}}"#));
        assert_eq!(Context::from_json(&context.to_json()), Some(context));
    }

    #[test]
    fn what_the_standard_forbids_is_no_context() {
        for text in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(Context::parse(text, None), None, "{text}");
        }
        assert!(Context::parse("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what", None).is_some());
    }

    #[test]
    fn traces_that_start_here_differ() {
        assert_ne!(Context::start().trace_id, Context::start().trace_id);
    }
}
