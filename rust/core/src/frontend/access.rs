//! Operations that only those may call who send an agreed field along.

use crate::error::{Error, Result};
use crate::frontend::fields::Fields;

/// Operations that are restricted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Whether the server and its models are well.
    Health,
    /// What the server and its models are.
    Metadata,
    /// Asking models.
    Inference,
    /// Regions of memory.
    SharedMemory,
    /// How models are configured.
    ModelConfig,
    /// Loading and unloading.
    ModelRepository,
    /// What models did.
    Statistics,
    /// What is traced.
    Trace,
    /// How the log is written.
    Logging,
}

impl Category {
    const TABLE: [(&'static str, Self); 9] = [
        ("health", Self::Health),
        ("metadata", Self::Metadata),
        ("inference", Self::Inference),
        ("shared-memory", Self::SharedMemory),
        ("model-config", Self::ModelConfig),
        ("model-repository", Self::ModelRepository),
        ("statistics", Self::Statistics),
        ("trace", Self::Trace),
        ("logging", Self::Logging),
    ];
}

/// Which operations are restricted, and by what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restrictions {
    rules: [Option<Rule>; Category::TABLE.len()],
    /// Whether there is any rule at all: all that a server without one pays.
    any: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    field: String,
    value: Vec<u8>,
}

impl Restrictions {
    /// Reads `CATEGORY,...:FIELD=VALUE`, one after the other. `prefix` stands before the name of the field on the wire.
    ///
    /// # Errors
    /// `INVALID_ARG` with the text that is wrong and what was expected.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>, prefix: &str) -> Result<Self> {
        let mut restrictions = Self::default();
        for text in texts {
            let form = || Error::invalid(format!("restriction `{text}`: expected CATEGORY,...:FIELD=VALUE"));
            let (names, rule) = text.split_once(':').ok_or_else(form)?;
            let (field, value) = rule.split_once('=').filter(|(field, _)| !field.is_empty()).ok_or_else(form)?;
            for name in names.split(',') {
                let row = Category::TABLE.iter().find(|row| row.0 == name);
                let &(_, category) = row.ok_or_else(|| {
                    let known = Category::TABLE.map(|row| row.0).join(", ");
                    Error::invalid(format!("restriction `{text}`: no category `{name}`, expected one of {known}"))
                })?;
                let rule = Rule { field: format!("{prefix}{field}"), value: value.as_bytes().to_vec() };
                if restrictions.rules[category as usize].replace(rule).is_some() {
                    let text = format!("restriction `{text}`: category `{name}` is restricted by another already");
                    return Err(Error::invalid(text));
                }
                restrictions.any = true;
            }
        }
        Ok(restrictions)
    }

    /// Whether whoever sent these fields may call an operation; otherwise the field that was expected.
    pub(crate) fn check(&self, category: Category, fields: &impl Fields) -> std::result::Result<(), &str> {
        if !self.any {
            return Ok(());
        }
        let Some(rule) = &self.rules[category as usize] else { return Ok(()) };
        let given = fields.field(&rule.field).unwrap_or_default();
        if is_same(given, &rule.value) { Ok(()) } else { Err(&rule.field) }
    }
}

/// Compares without telling by its time how much of a guess was right.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    let differing = expected.iter().enumerate().fold(0, |differing, (place, byte)| {
        std::hint::black_box(differing | (byte ^ given.get(place).copied().unwrap_or_default()))
    });
    differing == 0 && given.len() == expected.len()
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))])
    }

    #[test]
    fn only_who_sends_the_field_may_call() {
        let rules = Restrictions::parse(["health,metadata:key=secret", "trace:other=x"], "").expect("good");

        assert_eq!(rules.check(Category::Health, &headers("key", "secret")), Ok(()));
        assert_eq!(rules.check(Category::Inference, &HeaderMap::new()), Ok(()));
        for wrong in ["secre", "secrets", "Secret", ""] {
            assert_eq!(rules.check(Category::Metadata, &headers("key", wrong)), Err("key"), "{wrong}");
        }
        assert_eq!(rules.check(Category::Trace, &headers("key", "secret")), Err("other"));
    }

    #[test]
    fn a_prefix_stands_before_the_name() {
        let rules = Restrictions::parse(["logging:key=x"], "triton-grpc-protocol-").expect("good");
        assert_eq!(rules.check(Category::Logging, &HeaderMap::new()), Err("triton-grpc-protocol-key"));
    }

    #[test]
    fn what_is_no_restriction_is_told() {
        for (texts, expected) in [
            (vec!["health"], "expected CATEGORY,...:FIELD=VALUE"),
            (vec!["health:key"], "expected CATEGORY,...:FIELD=VALUE"),
            (vec!["healt:key=x"], "no category `healt`, expected one of health, metadata"),
            (vec!["health:a=x", "health:b=x"], "category `health` is restricted by another already"),
        ] {
            let error = Restrictions::parse(texts, "").expect_err(expected);
            assert!(error.message.contains(expected), "{}", error.message);
        }
    }
}
