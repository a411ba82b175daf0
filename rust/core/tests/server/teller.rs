//! A decoupled model: each word it is asked for is an answer, and some words are more than that.

use std::sync::Arc;
use std::thread;

use bytes::BytesMut;
use windlass_core::error::Error;
use windlass_core::host::Respond;
use windlass_core::instance::{Execution, Instance, Job, Outcome, Outputs};
use windlass_core::request::Parameter;
use windlass_core::responder::Responder;
use windlass_core::statistics::Timing;
use windlass_core::tensor::{DataType, Name, Tensor, byte_strings};

use super::gate::Gate;

/// Tells words: from a thread of its own, unless the first is `here`.
///
/// * `gate` waits at the gate; `count:N` tells the numbers from 0 to N;
/// * `fail:X` answers with an error; `say:X` answers with a parameter besides;
/// * `last:X` is X, and the last; `leave` lets go of the request; without either the last answer is empty.
pub(crate) struct Teller(Arc<Gate>);

impl Teller {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self(gate)
    }
}

impl Instance for Teller {
    fn name(&self) -> &'static str {
        "teller_0"
    }

    fn execute(&mut self, jobs: &mut [Job]) -> Execution {
        let outcomes = jobs.iter_mut().map(|job| {
            let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
            let words: Vec<String> = byte_strings(job.request.inputs[0].data.as_slice()).map(text).collect();
            let responder = job.responder().expect("it was not taken yet");
            let gate = Arc::clone(&self.0);
            if words.first().is_some_and(|word| word == "here") {
                tell(responder, &words[1..], &gate);
            } else {
                thread::spawn(move || tell(responder, &words, &gate));
            }
            Outcome::Deferred
        });
        Execution { outcomes: outcomes.collect(), timing: Timing::default() }
    }
}

fn tell(mut responder: Responder, words: &[String], gate: &Gate) {
    for word in words {
        match word.split_once(':').unwrap_or((word, "")) {
            ("gate", _) => {
                let watch = responder.cancellation();
                gate.pass(1, || watch.is_cancelled());
            }
            ("count", count) => {
                for number in 0..count.parse().expect("a number") {
                    let number: usize = number;
                    responder.respond(Some(Ok(outputs(&number.to_string()))), false);
                }
            }
            ("fail", text) => responder.respond(Some(Err(Error::internal(text))), false),
            ("say", text) => {
                let parameters = vec![("said".to_owned(), Parameter::Text(text.to_owned()))];
                responder.respond(Some(Ok(Outputs { parameters, ..outputs(text) })), false);
            }
            ("last", text) => match text.split_once(':') {
                Some(("fail", text)) => responder.respond(Some(Err(Error::internal(text))), true),
                _ => responder.respond(Some(Ok(outputs(text))), true),
            },
            ("leave", _) => return,
            _ => responder.respond(Some(Ok(outputs(word))), false),
        }
    }
    responder.respond(None, true);
}

fn outputs(word: &str) -> Outputs {
    let data = [&(word.len() as u32).to_le_bytes()[..], word.as_bytes()].concat();
    let (name, shape) = (Name::from("OUTPUT0"), vec![1]);
    vec![Tensor { name, data_type: DataType::Bytes, shape, data: BytesMut::from(&data[..]).into() }].into()
}
