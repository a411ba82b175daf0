use super::*;
use crate::control::ControlParameter;

struct Quiet;

impl Control for Quiet {
    fn load(&self, _: &str, _: Vec<(String, ControlParameter)>) -> Result<()> {
        Ok(())
    }

    fn unload(&self, _: &str, _: bool) -> Result<()> {
        Ok(())
    }

    fn log(&self, _: crate::control::Level, _: &str) {}
}

fn tracing(texts: &[&str]) -> Arc<Tracing> {
    let setup = Setup::parse(texts.iter().copied()).expect("a good setup");
    Arc::new(Tracing::new(setup, Arc::new(Quiet)))
}

fn changes(key: &str, values: &[&str]) -> Changes {
    let mut changes = Changes::default();
    changes.add(key, values, "").expect("good values");
    changes
}

/// Which of so many requests are followed.
fn picked(tracing: &Arc<Tracing>, model: &str, count: usize) -> Vec<usize> {
    (1..=count).filter(|_| tracing.lock().scope(model).pick(false).is_some()).collect()
}

fn setting(tracing: &Tracing, model: Option<&str>, key: &str) -> String {
    let rows = tracing.answer(model);
    rows.into_iter().find(|row| row.0 == key).map(|row| row.1.join("+")).expect("a setting")
}

#[test]
fn every_nth_request_is_followed_as_long_as_the_count_lasts() {
    assert_eq!(picked(&tracing(&["level=TIMESTAMPS", "rate=3"]), "m", 7), [3, 6]);
    assert_eq!(picked(&tracing(&["level=TIMESTAMPS", "rate=2", "count=2"]), "m", 9), [2, 4]);
    assert!(picked(&tracing(&["level=TIMESTAMPS"]), "m", 999).is_empty());
    assert!(picked(&tracing(&["rate=1"]), "m", 9).is_empty());
}

#[test]
fn a_trace_from_outside_is_always_followed() {
    let tracing = tracing(&["level=TIMESTAMPS", "rate=0", "mode=opentelemetry"]);
    let context = || Context::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None);

    assert!(tracing.sample("m", || None).is_none());
    let trace = tracing.sample("m", context).expect("a trace");

    let (parent, child) = (Context::from_json(&trace.context()), Context::from_json(&trace.child().context()));
    let ids = [parent, child].map(|context| context.expect("a context").trace_id);
    assert_eq!(ids, [context().expect("good").trace_id; 2]);
}

#[test]
fn what_model_code_was_given_leads_back_to_its_trace() {
    let tracing = tracing(&["level=TIMESTAMPS", "rate=1", "triton,file=/dev/null"]);
    let trace = tracing.sample("m", || None).expect("a trace");

    let resumed = tracing.resume(&trace.context()).expect("a trace");

    assert_eq!(resumed.lock().parent_id, trace.id);
    assert!(tracing.resume("{}").is_none());
}

#[test]
fn nothing_is_followed_that_has_nowhere_to_go() {
    assert!(tracing(&["level=TIMESTAMPS", "rate=1"]).sample("m", || None).is_none());
}

#[test]
fn settings_of_a_model_hide_those_of_the_server_until_they_are_reset() {
    let tracing = tracing(&["level=TIMESTAMPS", "rate=5", "triton,file=/dev/null"]);
    tracing.change(Some("m"), &changes("trace_rate", &["10"])).expect("good");
    tracing.change(None, &changes("trace_rate", &["20"])).expect("good");
    tracing.change(None, &changes("trace_count", &["9"])).expect("good");

    assert_eq!(setting(&tracing, Some("m"), "trace_rate"), "10");
    assert_eq!(setting(&tracing, Some("m"), "trace_count"), "9");
    tracing.change(Some("m"), &changes("trace_rate", &[])).expect("good");
    assert_eq!(setting(&tracing, Some("m"), "trace_rate"), "20");
    tracing.change(None, &changes("trace_rate", &[])).expect("good");
    assert_eq!(setting(&tracing, None, "trace_rate"), "5");
}

#[test]
fn nothing_is_turned_on_that_has_nowhere_to_go() {
    let error = tracing(&[]).change(None, &changes("trace_level", &["TENSORS"])).expect_err("a refusal");
    assert_eq!(error.message, "Attempting to set invalid trace setting :trace file name is not given");
}

#[test]
fn a_rate_of_nothing_follows_nothing() {
    let tracing = tracing(&["level=TIMESTAMPS", "rate=1", "triton,file=/dev/null"]);
    tracing.change(None, &changes("trace_rate", &["0"])).expect("good");
    assert!(tracing.sample("m", || None).is_none());
}
