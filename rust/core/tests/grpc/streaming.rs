//! `ModelStreamInfer`: what is asked and answered on one stream.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tonic::Code;
use windlass_core::proto::inference::infer_parameter::ParameterChoice;
use windlass_core::proto::inference::{InferParameter, ModelInferRequest};

use crate::client::{Client, RawClient, STREAM, Told, failure, framed, request, row, words};
use crate::server::Server;

const STRICT: (&str, &str) = ("triton_grpc_error", "true");

fn told(id: &str, model: &str, version: &str, says: Option<&str>, last: Option<bool>) -> Told {
    Told { id: id.into(), model: (model.into(), version.into()), says: says.map(str::to_owned), last }
}

fn word(id: &str, says: &str, last: bool) -> Told {
    told(id, "stream", "1", Some(says), Some(last))
}

fn with_empty_final(mut message: ModelInferRequest) -> ModelInferRequest {
    let parameter = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    message.parameters.insert("triton_enable_empty_final_response".into(), parameter);
    message
}

fn named(id: &str, message: ModelInferRequest) -> ModelInferRequest {
    ModelInferRequest { id: id.into(), ..message }
}

#[tokio::test]
async fn single_answers_come_in_the_order_of_the_questions() {
    let server = Server::start();
    let stream = Client::new(&server).await.stream(&[]).await.expect("a stream");

    for value in 0..500 {
        stream.ask(named(&value.to_string(), row(&[value as f32])));
    }

    let answers = stream.rest().await;
    let expected = (0..500).map(|value| told(&value.to_string(), "mirror", "1", Some(&value.to_string()), Some(true)));
    assert_eq!(answers, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_decoupled_model_answers_as_often_as_it_likes() {
    let server = Server::start();
    let mut client = Client::new(&server).await;
    for (asked, answers) in [
        (&["a", "b"][..], vec![word("1", "a", false), word("1", "b", false)]),
        (&["here", "a", "last:b"], vec![word("1", "a", false), word("1", "b", true)]),
        (&[], vec![]),
    ] {
        let stream = client.stream(&[]).await.expect("a stream");
        stream.ask(words("1", asked));
        assert_eq!(stream.rest().await, answers, "{asked:?}");
    }
}

#[tokio::test]
async fn the_end_is_told_on_request_where_it_says_nothing_else() {
    let server = Server::start();
    let mut client = Client::new(&server).await;
    let empty = |version| told("1", "stream", version, None, Some(true));
    let versioned = ModelInferRequest { model_version: "1".into(), ..words("1", &[]) };
    for (asked, answers) in [
        (words("1", &["a"]), vec![word("1", "a", false), empty("")]),
        (words("1", &["last:a"]), vec![word("1", "a", true)]),
        (versioned, vec![empty("1")]),
        (named("5", row(&[1.0])), vec![told("5", "mirror", "1", Some("1"), Some(true))]),
    ] {
        let stream = client.stream(&[]).await.expect("a stream");
        stream.ask(with_empty_final(asked));
        assert_eq!(stream.rest().await, answers);
    }
}

#[tokio::test]
async fn a_failing_model_leaves_the_stream_open() {
    let server = Server::start();
    let mut stream = Client::new(&server).await.stream(&[]).await.expect("a stream");

    stream.ask(words("1", &["a", "fail:no", "b"]));
    for answer in [word("1", "a", false), told("1", "stream", "", Some("no"), Some(false)), word("1", "b", false)] {
        assert_eq!(stream.told().await, answer);
    }
    stream.ask(ModelInferRequest { model_version: "1".into(), ..words("2", &["last:fail:no"]) });
    assert_eq!(stream.told().await, told("2", "stream", "1", Some("no"), Some(true)));
    stream.ask(words("3", &["leave"]));
    let left = stream.told().await;
    assert_eq!(left.says.as_deref(), Some("the model let go of a request before its last answer"));
    assert_eq!(left.last, Some(true));
    stream.ask(row(&[1.0]));
    assert_eq!(stream.rest().await.len(), 1);
}

#[tokio::test]
async fn a_request_that_is_refused_is_told_so_in_the_stream() {
    let server = Server::start();
    let mut client = Client::new(&server).await;
    // Even where a model's failure would end it.
    let stream = client.stream(&[STRICT]).await.expect("a stream");
    let mut wrong_shape = named("3", row(&[1.0, 2.0]));
    wrong_shape.inputs[0].shape = vec![1, 3];
    let mut wrong_type = words("4", &[]);
    let number = InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(1)) };
    wrong_type.parameters.insert("triton_enable_empty_final_response".into(), number);
    let refusals = [
        (
            ModelInferRequest { model_name: "nobody".into(), id: "1".into(), ..ModelInferRequest::default() },
            "Request for unknown model: 'nobody' is not found",
        ),
        (
            ModelInferRequest { model_version: "7".into(), ..named("2", row(&[1.0])) },
            "Request for unknown model: 'mirror' version 7 is not found",
        ),
        (
            wrong_shape,
            "[request id: 3] input byte size mismatch for input 'INPUT0' for model 'mirror'. Expected 12, got 8",
        ),
        (wrong_type, "invalid value type for 'triton_enable_empty_final_response' parameter, expected bool_param."),
    ];
    let texts = refusals.clone().map(|(_, text)| text);

    for (message, _) in refusals {
        stream.ask(message);
    }
    stream.ask(named("5", row(&[1.0])));

    let answers = stream.rest().await;
    for (index, (answer, text)) in answers.iter().zip(texts).enumerate() {
        assert_eq!(*answer, told(&(index + 1).to_string(), "", "", Some(text), None));
    }
    assert_eq!(answers.len(), 5);
}

#[tokio::test]
async fn a_strict_client_has_a_failing_model_end_the_stream() {
    let server = Server::start();
    server.gate.shut();
    let mut stream = Client::new(&server).await.stream(&[STRICT]).await.expect("a stream");
    stream.ask(words("0", &["gate"]));
    server.gate.reached().await;

    stream.ask(words("1", &["a", "fail:no", "b"]));

    assert_eq!(stream.told().await, word("1", "a", false));
    assert_eq!(failure(stream.next().await), (Code::Internal, "no".to_owned()));
    server.gate.cancelled().await;
}

#[tokio::test]
async fn models_share_a_stream_and_the_slow_hold_up_nobody() {
    let server = Server::start();
    server.gate.shut();
    let mut stream = Client::new(&server).await.stream(&[]).await.expect("a stream");

    stream.ask(words("slow", &["gate", "late"]));
    stream.ask(words("quick", &["a", "last:b"]));
    assert_eq!(stream.told().await, word("quick", "a", false));
    assert_eq!(stream.told().await, word("quick", "b", true));
    server.gate.open();
    stream.ask(named("5", row(&[1.0])));

    let mut rest = stream.rest().await;
    rest.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(rest, [told("5", "mirror", "1", Some("1"), Some(true)), word("slow", "late", false)]);
}

#[tokio::test]
async fn a_client_that_asks_nothing_more_gets_what_is_in_flight() {
    let server = Server::start();
    server.gate.shut();
    let mut stream = Client::new(&server).await.stream(&[]).await.expect("a stream");
    stream.ask(words("1", &["gate", "a"]));
    server.gate.reached().await;
    stream.finish();

    server.gate.open();

    assert_eq!(stream.rest().await, [word("1", "a", false)]);
    let idle = Client::new(&server).await.stream(&[]).await.expect("a stream");
    assert_eq!(idle.rest().await, []);
}

#[tokio::test]
async fn a_stream_that_is_cancelled_abandons_its_requests() {
    let server = Server::start();
    server.gate.shut();
    let mut client = Client::new(&server).await;
    let stream = client.stream(&[]).await.expect("a stream");
    stream.ask(words("1", &["gate", "a"]));
    server.gate.reached().await;

    drop(stream);

    server.gate.cancelled().await;
    client.infer(row(&[1.0])).await.expect("the connection still serves");
}

#[tokio::test]
async fn a_connection_that_breaks_abandons_the_requests_of_its_streams() {
    let server = Server::start();
    server.gate.shut();
    let socket = TcpStream::connect(server.address).await.expect("a connection");
    let (mut client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    let (_response, mut stream) = client.send_request(request(STREAM), false).expect("a stream");
    stream.send_data(framed(0, &words("1", &["gate"]).encode_to_vec()), false).expect("a stream");
    let connection = tokio::spawn(connection);
    server.gate.reached().await;

    connection.abort();

    server.gate.cancelled().await;
}

#[tokio::test]
async fn a_deadline_that_passes_ends_the_stream_once_it_is_answered() {
    let server = Server::start();
    let head = Request::post(format!("http://server{STREAM}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "50m")
        .body(())
        .expect("a request");
    let body = framed(0, &words("1", &["a"]).encode_to_vec());

    let (answer, parts) = RawClient::new(server.address).await.hold(head, body).await.expect("an answer");

    assert_eq!(answer.status(), (4, "Deadline Exceeded"));
    assert!(parts > 0);
}

#[tokio::test]
async fn a_drain_answers_what_is_in_flight_and_ends_the_stream() {
    let server = Server::start();
    server.gate.shut();
    let mut client = Client::new(&server).await;
    let mut stream = client.stream(&[]).await.expect("a stream");
    stream.ask(words("1", &["gate", "a"]));
    server.gate.reached().await;

    let plane = server.plane.clone();
    let drained = spawn_blocking(move || plane.drain(Duration::from_secs(20)));
    while !server.plane.stopping() {
        tokio::task::yield_now().await;
    }
    assert!(client.stream(&[]).await.is_err());
    server.gate.open();

    assert_eq!(stream.told().await, word("1", "a", false));
    let stopping = "GRPC server is shutting down and has stopped accepting new requests.";
    assert_eq!(failure(stream.next().await), (Code::Unavailable, stopping.to_owned()));
    assert!(drained.await.expect("no panic"));
}

#[tokio::test]
async fn many_answers_come_complete_and_in_their_order() {
    let server = Server::start();
    let mut client = Client::new(&server).await;
    let mut stream = client.stream(&[]).await.expect("a stream");
    for id in ["0", "1", "2"] {
        stream.ask(words(id, &["count:5000"]));
    }
    stream.finish();

    let mut counts = [0; 3];
    while let Some(message) = stream.next().await.expect("no failure") {
        let told = Told::from(message);
        let id: usize = told.id.parse().expect("a number");
        assert_eq!(told.says, Some(counts[id].to_string()));
        counts[id] += 1;
    }

    assert_eq!(counts, [5000; 3]);
}

#[tokio::test]
async fn tensors_larger_than_every_window_go_both_ways() {
    let server = Server::start();
    let stream = Client::new(&server).await.stream(&[]).await.expect("a stream");
    let values: Vec<f32> = (0..100_000).map(|value| (value % 10) as f32).collect();

    for _ in 0..4 {
        stream.ask(row(&values));
    }

    let answers = stream.rest().await;
    assert_eq!(answers.len(), 4);
    assert!(answers.iter().all(|answer| answer.says.as_ref().is_some_and(|says| says.len() == values.len())));
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_little_and_gets_the_rest_when_it_does() {
    let server = Server::start();
    let socket = TcpStream::connect(server.address).await.expect("a connection");
    let mut builder = h2::client::Builder::new();
    let (mut client, connection) =
        builder.initial_window_size(1000).handshake::<_, Bytes>(socket).await.expect("HTTP/2");
    tokio::spawn(connection);
    let (response, mut stream) = client.send_request(request(STREAM), false).expect("a stream");
    stream.send_data(framed(0, &words("1", &["count:3000"]).encode_to_vec()), true).expect("a stream");
    let mut incoming = response.await.expect("an answer").into_body();
    // It goes on with others meanwhile.
    Client::new(&server).await.infer(row(&[1.0])).await.expect("it still serves");

    let mut received = 0;
    while let Some(part) = incoming.data().await {
        let part = part.expect("no failure");
        received += part.len();
        incoming.flow_control().release_capacity(part.len()).expect("an open stream");
    }

    assert!(received > 3000 * 20, "{received}");
    let trailers = incoming.trailers().await.expect("an end").expect("trailers");
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn what_is_no_message_ends_the_stream() {
    let server = Server::start();
    let mut client = RawClient::new(server.address).await;
    let good = framed(0, &row(&[1.0]).encode_to_vec());
    let cut = [&good[..], &good[..9]].concat();
    for (body, status, text) in [
        (Bytes::from(cut), 3, "the request ended before its message was complete"),
        (framed(7, b""), 3, "the message has compression flag 7, expected 0 or 1"),
        (framed(1, b""), 13, "the message is flagged as compressed, but no 'grpc-encoding' tells how"),
    ] {
        let answer = client.send(request(STREAM), body).await.expect("an answer");
        assert_eq!(answer.status(), (status, text));
    }
    let garbage = client.send(request(STREAM), framed(0, &[0xff; 40])).await.expect("an answer");
    assert_eq!(garbage.status().0, 3, "{garbage:?}");
}

#[tokio::test]
async fn compressed_requests_are_understood() {
    let server = Server::start();
    let mut client = Client::new(&server).await.compressing(tonic::codec::CompressionEncoding::Gzip);

    let stream = client.stream(&[]).await.expect("a stream");
    for id in ["1", "2"] {
        stream.ask(words(id, &["a"]));
    }

    assert_eq!(stream.rest().await.len(), 2);
}
