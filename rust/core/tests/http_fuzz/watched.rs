//! The same for what a server is told about itself: its log, its traces, its restrictions, and headers that go on to models.

use windlass_core::frontend::access::Restrictions;
use windlass_core::frontend::fields::Forwarding;
use windlass_core::plane::Settings;
use windlass_core::trace::settings::Setup;

use crate::client::request;
use crate::server::{JSON, Server};
use crate::site::{Declared, FP32};
use crate::{Dice, storm};

const RULES: [&str; 2] = ["model-repository,statistics:key=secret", "shared-memory:admin=x"];
/// Nobody listens there: spans are lost, as they may be.
const TRACES: [&str; 5] =
    ["mode=opentelemetry", "opentelemetry,url=http://127.0.0.1:1/v1/traces", "level=TIMESTAMPS", "rate=2", "count=-1"];
const PATTERN: &str = "^x-.*|(?i:tenant)";

fn watched() -> Server {
    let server = Server::start_with(Settings {
        trace: Setup::parse(TRACES).expect("a good setup"),
        http_forwarding: Forwarding::parse(PATTERN).expect("a good pattern"),
        http_restrictions: Restrictions::parse(RULES, "").expect("good rules"),
        ..Settings::default()
    });
    server.publish(&Declared { sequences: true, ..Declared::new("chain", 8, &[("INPUT0", FP32, &[-1])]) });
    server
}

#[test]
fn headers_and_settings_are_no_fault_of_the_server_either() {
    let server = watched();
    let parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let chained =
        JSON.replacen('{', r#"{"parameters":{"sequence_id":7,"sequence_start":true,"sequence_end":true},"#, 1);
    let seeds = [
        request("POST", "/v2/models/echo/infer", &[parent, ("tracestate", "a=1,b=2")], JSON.as_bytes()),
        request("POST", "/v2/models/echo/infer", &[("X-Tenant", "shop"), ("x-other", "1")], JSON.as_bytes()),
        request("POST", "/v2/models/chain/infer", &[], chained.as_bytes()),
        request("POST", "/v2/logging", &[], br#"{"log_info":true,"log_verbose_level":0,"log_format":"ISO8601"}"#),
        request("GET", "/v2/logging", &[], b""),
        request(
            "POST",
            "/v2/trace/setting",
            &[],
            br#"{"trace_level":["TIMESTAMPS"],"trace_rate":"2","trace_count":"-1","log_frequency":"0"}"#,
        ),
        request("POST", "/v2/models/echo/trace/setting", &[], br#"{"trace_rate":"3","trace_level":null}"#),
        request("POST", "/v2/repository/index", &[("key", "secret")], b"{}"),
        request("GET", "/v2/models/echo/stats", &[("key", "secret")], b""),
        request("GET", "/v2/systemsharedmemory/status", &[("admin", "x")], b""),
    ];
    let mut dice = Dice(0x0bad_cafe_1234_5679);

    let statuses = storm(&server, &mut dice, &seeds, 4000);

    server.assert_serves();
    assert!(statuses[&200] > 200 && statuses[&400] > 200 && statuses[&403] > 50, "{statuses:?}");
}

#[test]
fn what_a_start_command_says_is_understood_or_refused() {
    let seeds: Vec<&str> = RULES.into_iter().chain(TRACES).chain([PATTERN]).collect();
    let mut dice = Dice(0x5eed_5eed_5eed_5eed);
    let mut refused = 0;
    for round in 0..3000 {
        let mut text = seeds[round % seeds.len()].as_bytes().to_vec();
        dice.mutate(&mut text);
        let text = String::from_utf8_lossy(&text);

        for error in [
            Forwarding::parse(&text).err(),
            Restrictions::parse([&*text], "").err(),
            Setup::parse([TRACES[0], &*text]).err(),
        ] {
            refused += usize::from(error.is_some_and(|error| !error.message.is_empty()));
        }
    }
    assert!((3000..9000).contains(&refused), "{refused}");
}
