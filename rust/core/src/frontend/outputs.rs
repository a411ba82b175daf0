//! How a client wants its outputs.

use bytes::Bytes;

use crate::classification::classify;
use crate::error::Result;
use crate::request::Response;
use crate::shared_memory::{LIGHT_BYTES, Slot};
use crate::spec::Spec;
use crate::tensor::{Name, Tensor};

/// Outputs up to this size become JSON, or are put in order, on the spot: written out, numbers take longer than read in.
const LIGHT_OUTPUT_BYTES: usize = 64 * 1024;

/// How an output is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As a JSON array.
    #[default]
    Json,
    /// As bytes behind the message.
    Binary,
}

/// What is done with an output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// How it is written.
    pub form: Form,
    /// So many of its largest elements are wanted, instead of all.
    pub classes: Option<usize>,
    /// Where it goes instead of into the message.
    pub slot: Option<Slot>,
}

impl From<Form> for Wish {
    fn from(form: Form) -> Self {
        Self { form, ..Self::default() }
    }
}

/// How the client wants its outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputForms {
    /// Those it names.
    pub named: Vec<(Name, Wish)>,
    /// All others.
    pub default: Form,
}

impl OutputForms {
    /// The form of that output.
    pub fn of(&self, name: &str) -> Form {
        self.wish(name).map_or(self.default, |wish| wish.form)
    }

    /// What is to be done with that output, where the client names it.
    pub fn wish(&self, name: &str) -> Option<&Wish> {
        self.named.iter().find(|(named, _)| &**named == name).map(|(_, wish)| wish)
    }

    /// Whether doing that takes so long that nobody else should wait for it.
    pub fn are_heavy(&self, outputs: &[Tensor]) -> bool {
        let (mut worked, mut copied) = (0, 0);
        for output in outputs {
            let wish = self.wish(&output.name);
            if let Some(slot) = wish.and_then(|wish| wish.slot.as_ref()) {
                if slot.waits() {
                    return true;
                }
                copied += output.data.len();
            } else if self.of(&output.name) == Form::Json || wish.is_some_and(|wish| wish.classes.is_some()) {
                worked += output.data.len();
            }
        }
        worked > LIGHT_OUTPUT_BYTES || copied as u64 > LIGHT_BYTES
    }

    /// Whether it goes into shared memory, and not into the message.
    pub fn is_elsewhere(&self, name: &str) -> bool {
        self.wish(name).is_some_and(|wish| wish.slot.is_some())
    }

    /// Does with the outputs what the client wishes, short of writing the message.
    ///
    /// # Errors
    /// As `classify` and `Slot::write`.
    pub fn fulfil(&self, response: &mut Response, spec: &Spec) -> Result<()> {
        for output in &mut response.outputs {
            let Some(wish) = self.wish(&output.name) else { continue };
            if let Some(count) = wish.classes {
                let labels = spec.output(&output.name).map_or(&[][..], |declared| &declared.labels);
                *output = classify(output, count, spec.max_batch_size > 0, labels)?;
            }
            if let Some(slot) = &wish.slot {
                slot.write(output)?;
                output.data = Bytes::new().into();
            }
        }
        Ok(())
    }
}
