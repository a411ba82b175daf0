//! The fuzz of what a server is told about itself over gRPC: its settings, sequences, and metadata that it acts upon.

use http::HeaderValue;
use prost::Message;
use windlass_core::frontend::access::Restrictions;
use windlass_core::frontend::fields::Forwarding;
use windlass_core::plane::Settings;
use windlass_core::proto::inference::{LogSettingsRequest, TraceSettingRequest};
use windlass_core::trace::settings::Setup;

use crate::client::{Client, INFER, RawClient, framed, request, row};
use crate::fuzz::{Dice, rich};
use crate::server::Server;
use crate::settings::{log, trace};
use crate::site::{Declared, FP32};

/// Nobody listens there: spans are lost, as they may be.
const TRACES: [&str; 4] =
    ["mode=opentelemetry", "opentelemetry,url=http://127.0.0.1:1/v1/traces", "level=TIMESTAMPS", "rate=2"];
const METADATA: [(&str, &str); 4] = [
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", "a=1,b=2"),
    ("x-tenant", "shop"),
    ("triton-grpc-protocol-key", "secret"),
];

fn watched(rules: &[&str]) -> Server {
    let server = Server::start_with(Settings {
        trace: Setup::parse(TRACES).expect("a good setup"),
        grpc_forwarding: Forwarding::parse("^x-").expect("a good pattern"),
        grpc_restrictions: Restrictions::parse(rules.iter().copied(), "triton-grpc-protocol-").expect("good rules"),
        ..Settings::default()
    });
    server.publish(&Declared { sequences: true, ..Declared::new("chain", 8, &[("INPUT0", FP32, &[-1])]) });
    server
}

#[tokio::test]
async fn settings_and_sequences_that_make_no_sense_are_the_clients_fault() {
    use windlass_core::proto::inference::log_settings_request::setting_value::ParameterChoice;
    let server = watched(&[]);
    let mut client = RawClient::new(server.address).await;
    let mut dice = Dice(20_261_123);
    let levels: LogSettingsRequest = log(&[("log_verbose_level", ParameterChoice::Uint32Param(0))]);
    let rates: TraceSettingRequest = trace("mirror", &[("trace_rate", &["2"]), ("trace_level", &["TIMESTAMPS"])]);
    let mut chained = rich();
    chained.model_name = "chain".into();
    let seeds = [
        ("LogSettings", levels.encode_to_vec()),
        ("TraceSetting", rates.encode_to_vec()),
        ("ModelInfer", chained.encode_to_vec()),
    ];
    let mut answered = 0;

    for round in 0..1500 {
        let (rpc, mut message) = seeds[round % seeds.len()].clone();
        dice.mutate(&mut message);
        let head = request(&format!("/inference.GRPCInferenceService/{rpc}"));
        let answer = client.send(head, framed(0, &message)).await.expect("an answer");

        let (status, text) = answer.status();
        assert!([0, 3, 5, 8, 12].contains(&status), "{rpc}: {status} {text}: {message:?}");
        answered += usize::from(status == 0);
    }

    assert!((50..1450).contains(&answered), "{answered}");
    Client::new(&server).await.infer(row(&[1.0])).await.expect("it still serves");
}

#[tokio::test]
async fn metadata_that_makes_no_sense_is_passed_over_or_refused() {
    let server = watched(&["inference:key=secret"]);
    let mut client = RawClient::new(server.address).await;
    let mut dice = Dice(20_261_124);
    let body = framed(0, &row(&[1.0]).encode_to_vec());
    let (mut answered, mut refused) = (0, 0);

    for round in 0..1000 {
        let mut head = request(INFER);
        for (place, (name, value)) in METADATA.into_iter().enumerate() {
            let mut value = value.as_bytes().to_vec();
            if place == round % METADATA.len() {
                dice.mutate(&mut value);
            }
            // What no client can send is left out.
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                head.headers_mut().insert(name, value);
            }
        }
        let answer = client.send(head, body.clone()).await.expect("an answer");

        match answer.status() {
            (0, _) => answered += 1,
            (14, text) if text.contains("This") => refused += 1,
            (status, text) => panic!("{status} {text}"),
        }
    }

    assert!(answered > 500 && refused > 100, "{answered} {refused}");
}
