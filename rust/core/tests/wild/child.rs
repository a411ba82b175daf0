//! A model's process that says whatever comes to its mind.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use prost::Message;
use windlass_core::proto::isolated::{
    Answer, Call, Failure, Load, MetricChange, MetricFamily, ModelName, Outcome, Outputs, Parameter, Request, Returned,
    Span, Tensor, ToProcess, ToServer, Unload, answer, call, metric_change, outcome, parameter, request, returned,
    tensor, to_process, to_server,
};

use crate::dice::Dice;

/// Talks to the server over standard input until it is told to stop, or has talked itself out.
pub(crate) fn talk(lives: &Path) {
    let mut dice = Dice(0x1234_5678_9abc_def1 ^ (next_life(lives) << 20));
    let input = std::io::stdin().as_fd().try_clone_to_owned().expect("a socket");
    let mut server = UnixStream::from(input);
    server.read_exact(&mut [0]).expect("the server starts the conversation");
    while let Some(batch) = next_batch(&mut server) {
        for _ in 0..dice.roll(4) {
            let message = nonsense(&mut dice, &batch);
            if say(&mut server, &message).is_err() {
                return;
            }
        }
        match dice.roll(8) {
            0 => return,
            1 => return drop(server.write_all(&mutated(&mut dice, &batch))),
            _ => {
                if say(&mut server, &done(&mut dice, &batch)).is_err() {
                    return;
                }
            }
        }
    }
}

/// How many there were before this one.
fn next_life(lives: &Path) -> u64 {
    let mut file: File = OpenOptions::new().append(true).create(true).open(lives).expect("a file");
    file.write_all(b".").expect("room");
    fs::metadata(lives).expect("a file").len()
}

fn next_batch(server: &mut UnixStream) -> Option<Vec<Request>> {
    loop {
        let mut prefix = [0; 4];
        server.read_exact(&mut prefix).ok()?;
        let mut bytes = vec![0; u32::from_le_bytes(prefix) as usize];
        server.read_exact(&mut bytes).ok()?;
        if let Some(to_process::Kind::Batch(batch)) = ToProcess::decode(&*bytes).expect("a message").kind {
            return Some(batch.requests);
        }
    }
}

fn say(server: &mut UnixStream, kind: &to_server::Kind) -> std::io::Result<()> {
    server.write_all(&framed(kind))
}

fn framed(kind: &to_server::Kind) -> Vec<u8> {
    let bytes = ToServer { kind: Some(kind.clone()) }.encode_to_vec();
    [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat()
}

/// A message with something wrong in its bytes, or bytes that are no message at all.
fn mutated(dice: &mut Dice, batch: &[Request]) -> Vec<u8> {
    let mut bytes = framed(&nonsense(dice, batch));
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len());
        match dice.roll(3) {
            0 => bytes[at] ^= 1 << dice.roll(8),
            1 => bytes.truncate(at + 1),
            _ => bytes.splice(at..at, (0..dice.roll(9)).map(|n| (n * 37) as u8)).for_each(drop),
        }
    }
    bytes
}

fn done(dice: &mut Dice, batch: &[Request]) -> to_server::Kind {
    let count = if dice.roll(6) == 0 { dice.roll(5) } else { batch.len() };
    let outcomes = (0..count).map(|place| outcome(dice, batch.get(place))).collect();
    let (input_ns, infer_ns, output_ns) = (dice.number(), dice.number(), dice.number());
    to_server::Kind::Done(to_server::Done { outcomes, input_ns, infer_ns, output_ns })
}

fn outcome(dice: &mut Dice, request: Option<&Request>) -> Outcome {
    let kind = match dice.roll(9) {
        0 => None,
        1 => Some(outcome::Kind::Failed(failure(dice))),
        // A request that is deferred has to be answered: the next batch sees to that, or the end.
        2 => Some(outcome::Kind::Answered(outputs(dice))),
        3 => Some(outcome::Kind::Answered(Outputs::default())),
        _ => {
            let tensors = request.map(|request| request.inputs.clone()).unwrap_or_default();
            let renamed = tensors.into_iter().map(|tensor| Tensor { name: tensor.name.replace("IN", "OUT"), ..tensor });
            Some(outcome::Kind::Answered(Outputs { tensors: renamed.collect(), parameters: Vec::new() }))
        }
    };
    Outcome { kind }
}

fn nonsense(dice: &mut Dice, batch: &[Request]) -> to_server::Kind {
    let key = if dice.roll(2) == 0 { dice.number() } else { batch.first().map_or(0, |request| request.key) };
    match dice.roll(8) {
        0 => to_server::Kind::Response(to_server::Response { key, answer: answer(dice) }),
        1 => to_server::Kind::Infer(to_server::Infer {
            key,
            model: dice.pick(&["sound", "wild", "", "nowhere"]).to_owned(),
            version: dice.pick(&[-1, 1, i64::MIN]),
            request: request(dice),
            decoupled: dice.roll(2) == 0,
        }),
        2 => to_server::Kind::Stop(key),
        3 => to_server::Kind::Log(to_server::Log {
            level: "?".to_owned(),
            text: "\u{0}\u{1b}[31m".repeat(dice.roll(99)),
        }),
        4 => to_server::Kind::Returned(Returned { key, result: Some(returned::Result::Truth(true)) }),
        5 => done(dice, &batch[..batch.len() / 2]),
        _ => to_server::Kind::Call(Call { key, kind: Some(question(dice)) }),
    }
}

fn question(dice: &mut Dice) -> call::Kind {
    let name = dice.pick(&["", "a b", "nv_inference_count", "fine_total", "\n# TYPE"]).to_owned();
    match dice.roll(6) {
        0 => call::Kind::Load(Load { model: name, config: Some("{".to_owned()), files: Vec::new() }),
        1 => call::Kind::Unload(Unload { model: name, dependents: true }),
        2 => call::Kind::IsReady(ModelName { name, version: dice.pick(&["", "x", "-1"]).to_owned() }),
        3 => call::Kind::Method(windlass_core::proto::isolated::Method { name, argument: Vec::new().into() }),
        4 => {
            let (description, kind) = ("\n".to_owned(), dice.roll(5) as i32);
            call::Kind::DeclareMetric(MetricFamily { name, description, kind })
        }
        _ => call::Kind::ChangeMetric(MetricChange {
            family: name,
            labels: Vec::new(),
            buckets: vec![f64::NAN, -1.0, f64::INFINITY],
            change: Some(dice.pick(&[
                metric_change::Change::Add(true),
                metric_change::Change::Remove(true),
                metric_change::Change::Increment(f64::NAN),
                metric_change::Change::Observe(f64::INFINITY),
                metric_change::Change::Set(-0.0),
            ])),
        }),
    }
}

fn answer(dice: &mut Dice) -> Option<Answer> {
    let result = match dice.roll(3) {
        0 => None,
        1 => Some(answer::Result::Failure(failure(dice))),
        _ => Some(answer::Result::Outputs(outputs(dice))),
    };
    (dice.roll(9) > 0).then(|| Answer { result, last: dice.roll(2) == 0 })
}

fn failure(dice: &mut Dice) -> Failure {
    let code = dice.pick(&["", "INVALID_ARG", "?"]).to_owned();
    Failure { code, message: "\"\\\u{7}".repeat(dice.roll(9)) }
}

fn request(dice: &mut Dice) -> Option<Request> {
    let correlation = Some(request::Correlation::Number(dice.number()));
    (dice.roll(5) > 0).then(|| Request {
        key: dice.number(),
        inputs: vec![wild(dice)],
        outputs: vec![dice.pick(&["OUTPUT0", "?"]).to_owned()],
        priority: dice.number(),
        timeout_us: Some(dice.number()),
        flags: dice.number() as u32,
        rows: dice.number(),
        correlation,
        ..Request::default()
    })
}

fn outputs(dice: &mut Dice) -> Outputs {
    let value = parameter::Value::Double(f64::NAN);
    let parameters = vec![Parameter { name: "\n".to_owned(), value: Some(value) }, Parameter::default()];
    Outputs { tensors: (0..dice.roll(3)).map(|_| wild(dice)).collect(), parameters }
}

/// A tensor of which hardly anything fits.
fn wild(dice: &mut Dice) -> Tensor {
    let size = |dice: &mut Dice| if dice.roll(4) == 0 { dice.number() as i64 } else { dice.roll(4) as i64 };
    let place = match dice.roll(3) {
        0 => Some(tensor::Place::Span(Span { position: dice.number(), size: dice.number() })),
        1 => Some(tensor::Place::Inline(vec![dice.roll(256) as u8; dice.roll(40)].into())),
        _ => None,
    };
    Tensor {
        name: dice.pick(&["OUTPUT0", "OUTPUT1", "INPUT0", ""]).to_owned(),
        data_type: if dice.roll(4) == 0 { dice.number() as i32 } else { dice.roll(14) as i32 },
        shape: (0..dice.roll(4)).map(|_| size(dice)).collect(),
        place,
    }
}
