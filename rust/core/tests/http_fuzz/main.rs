//! Some thousands of requests with something wrong in them, the same in every run. Their heads and bodies are mutated alike.
//!
//! | operation | covered by |
//! |---|---|
//! | `infer`: JSON, binary tensors, chunks, compression, shared memory, classification | the seeds below |
//! | `infer` of a sequence | `watched`, model `chain` |
//! | `generate`, `generate_stream` of a decoupled model, `predict` | the seeds below |
//! | repository index, load, unload; statistics; shared memory of the system and of CUDA | the seeds below |
//! | log settings, trace settings of the server and of a model | `watched` |
//! | `traceparent`, `tracestate`, forwarded and restricted headers | `watched` |
//! | patterns, restrictions and trace settings of the start command | `watched` |
//! | `ModelInfer`, `ModelStreamInfer`, the settings and the metadata of gRPC | `tests/grpc/fuzz.rs` |

#[allow(dead_code)] // the tests of REST use the rest
#[path = "../http/client.rs"]
mod client;
#[path = "../segment/mod.rs"]
mod segment;
#[allow(dead_code)]
#[path = "../http/server.rs"]
mod server;
#[path = "../server/mod.rs"]
mod site;
mod watched;

use std::collections::BTreeMap;

use crate::client::request;
use crate::segment::Segment;
use crate::server::{JSON, Server};

/// A sequence of numbers that looks random and is always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // The shifts of Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    /// Changes the body and frames it as it then is; false when there is none.
    fn mutate_body(&mut self, text: &mut Vec<u8>) -> bool {
        let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
        let mut body = text.split_off(end + 4);
        let head = String::from_utf8_lossy(text).into_owned();
        let Some((fields, _)) = head.rsplit_once("Content-Length: ").filter(|_| !head.contains("chunked")) else {
            return false;
        };
        self.mutate(&mut body);
        *text = [format!("{fields}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
        true
    }

    fn mutate(&mut self, text: &mut Vec<u8>) {
        for _ in 0..=self.roll(2) {
            let at = self.roll(text.len() + 1);
            let end = (at + self.roll(12)).min(text.len());
            let word = VOCABULARY[self.roll(VOCABULARY.len())];
            match self.roll(6) {
                0 => text.truncate(at),
                1 => drop(text.drain(at..end)),
                2 => drop(text.splice(at..end, word.iter().copied())),
                3 => {
                    let copy = text[at..end].to_vec();
                    drop(text.splice(at..at, copy));
                }
                4 if at < text.len() => text[at] ^= 1 << self.roll(8),
                _ => drop(text.splice(at..at, word.iter().copied())),
            }
        }
    }
}

const VOCABULARY: &[&[u8]] = &[
    b"\"sequence_id\":",
    b"\"sequence_start\":true,",
    b"\"timeout\":1,",
    b"\0",
    b"\r\n",
    b"\n",
    b"\r\n\r\n",
    b" ",
    b":",
    b",",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"-1",
    b"0",
    b"1e999",
    b"99999999999999999999",
    b"null",
    b"true",
    b"NaN",
    b"\\u",
    b"\\ud800",
    b"\xff\xfe",
    b"[[[[[[[[",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Accept-Encoding: gzip\r\n",
    b"Inference-Header-Content-Length: 9\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"\"binary_data_size\":",
    b"\"shape\":",
    b"\"parameters\":{",
    b"\"BYTES\"",
    b"HTTP/1.0",
    b"%00",
    b"../",
    b"\"shared_memory_region\":\"r\",",
    b"\"shared_memory_offset\":",
    b"18446744073709551615",
    b"\"classification\":3,",
    b"\"sequence_end\":true,",
    b"\"trace_level\":[\"OFF\"],",
    b"\"trace_rate\":",
    b"\"log_verbose_level\":",
    b"traceparent: 00-0-0-01\r\n",
    b"tracestate: =\r\n",
    b"X-Tenant: \xff\r\n",
    b"key: secret\r\n",
];

/// Sends so many of these with something wrong in them; counts the statuses of the answers.
fn storm(server: &Server, dice: &mut Dice, seeds: &[Vec<u8>], rounds: usize) -> BTreeMap<u16, usize> {
    let mut statuses = BTreeMap::new();
    for round in 0..rounds {
        let mut text = seeds[round % seeds.len()].clone();
        // What is wrong is the body alone, or anything.
        let framed = round % 3 > 0 && dice.mutate_body(&mut text);
        if !framed {
            dice.mutate(&mut text);
        }
        let mut client = server.connect();
        // A server that has hung up already has said what it had to say.
        let _ = client.try_send(&text);
        let told = String::from_utf8_lossy(&text);
        let first = framed.then(|| client.receive());
        client.finish();
        for answer in first.into_iter().chain(std::iter::from_fn(|| client.try_receive())) {
            *statuses.entry(answer.status).or_insert(0) += 1;
            assert!(![500, 503].contains(&answer.status), "{}\n{told}", answer.text());
            assert!(
                [100, 200].contains(&answer.status) || answer.text().starts_with("{\"error\":\""),
                "{answer:?}\n{told}"
            );
        }
    }
    statuses
}

/// Memory that this process holds, where the system tells.
fn resident_bytes() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse::<usize>().ok()?;
    Some(pages * 4096)
}

#[test]
fn whatever_is_sent_the_answer_is_no_fault_of_the_server_and_it_goes_on_serving_in_the_same_memory() {
    let server = Server::start();
    let json = r#"{"id":"1","inputs":[{"name":"INPUT0","shape":[1,1],"datatype":"BYTES","parameters":{"binary_data_size":6}}],"outputs":[{"name":"OUTPUT0","parameters":{"binary_data":true}}]}"#;
    let segment = Segment::new("http_fuzz", &[0; 64]);
    let register = format!(r#"{{"key":"{}","offset":4,"byte_size":16}}"#, segment.key);
    assert_eq!(server.post("/v2/systemsharedmemory/region/r/register", &register).status, 200);
    let shared = r#"{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","parameters":{"shared_memory_region":"r","shared_memory_byte_size":8}}],"outputs":[{"name":"OUTPUT0","parameters":{"shared_memory_region":"r","shared_memory_offset":8,"shared_memory_byte_size":8}}]}"#;
    let length = json.len().to_string();
    let binary = [json.as_bytes(), b"\x02\0\0\0hi"].concat();
    let seeds = [
        request("POST", "/v2/models/echo/infer", &[("Accept-Encoding", "gzip")], JSON.as_bytes()),
        request("POST", "/v2/models/words/infer", &[("Inference-Header-Content-Length", length.as_str())], &binary),
        request("POST", "/predict/echo", &[], br#"{"INPUT0":[[1,2],[3,4]]}"#),
        request("POST", "/v2/models/echo/generate", &[], br#"{"INPUT0":[1,2.5],"parameters":{"x":true},"id":"7"}"#),
        request("POST", "/v2/models/stream/generate_stream", &[], br#"{"INPUT0":["a","b"],"temperature":0.5}"#),
        request(
            "POST",
            "/v2/models/plain/infer",
            &[("Transfer-Encoding", "chunked")],
            b"5\r\n{\"inp\r\n7\r\nuts\":[]\r\n1\r\n}\r\n0\r\n\r\n",
        ),
        request("POST", "/v2/repository/index", &[], br#"{"ready":true}"#),
        request("POST", "/v2/repository/models/m/load", &[], br#"{"parameters":{"config":"{}","file:1/x":"aGk="}}"#),
        request("GET", "/v2/models/echo/versions/3/stats", &[], b""),
        request("POST", "/v2/models/echo/infer", &[], shared.as_bytes()),
        request("POST", "/v2/systemsharedmemory/region/s/register", &[], register.as_bytes()),
        request("POST", "/v2/systemsharedmemory/region/s/unregister", &[], b""),
        request(
            "POST",
            "/v2/cudasharedmemory/region/c/register",
            &[],
            br#"{"raw_handle":{"b64":"AA=="},"device_id":0,"byte_size":8}"#,
        ),
    ];
    let mut dice = Dice(0x1234_5678_9abc_def1);
    storm(&server, &mut dice, &seeds, 2000);
    let before = resident_bytes();
    let statuses = storm(&server, &mut dice, &seeds, 6000);
    let grown = resident_bytes().zip(before).map_or(0, |(after, before)| after.saturating_sub(before));
    assert!(grown < 4 << 20, "{grown} bytes more than before");
    server.assert_serves();
    assert!(statuses[&200] > 200 && statuses[&400] > 1000 && statuses[&404] > 10, "{statuses:?}");
}
