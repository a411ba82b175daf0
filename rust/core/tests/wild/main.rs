//! Models' processes that say nonsense, the same in every run: it costs their own requests, and nobody else.

mod child;
#[allow(dead_code)] // the tests of REST use the rest
#[path = "../http/client.rs"]
mod client;
mod dice;
#[allow(unused_imports)]
#[path = "../server/mod.rs"]
mod site;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, panic};

use windlass_core::isolated::process::Launch;

use crate::client::{Answer, Client};
use crate::site::{BYTES, Declared, FP32, Site};

/// Where a process counts its lives; only a process that is meant to talk has it.
const LIVES: &str = "WINDLASS_WILD_LIVES";

/// The other end of the conversation, when this program was started for that.
#[test]
fn a_process_talks() {
    if let Some(lives) = env::var_os(LIVES) {
        child::talk(&PathBuf::from(lives));
    }
}

fn launch(name: &str, lives: PathBuf) -> Launch {
    let program = env::current_exe().expect("this program");
    Launch {
        name: name.to_owned(),
        command: vec![program.into(), "a_process_talks".into(), "--exact".into(), "--nocapture".into()],
        environment: vec![(LIVES.into(), lives.into())],
    }
}

fn publish_wild(site: &Site, declared: &Declared, lives: PathBuf) {
    let spec = Arc::new(declared.spec());
    let process = site.plane.process(launch(declared.name, lives)).expect("it starts");
    let instance = site.plane.adopt(process, &spec, None).expect("the server listens");
    site.plane.publish(spec, vec![instance], Duration::ZERO).expect("it has an instance");
}

fn ask(client: &mut Client, model: &str, inputs: &str) -> Answer {
    let body = format!(r#"{{"inputs":[{inputs}]}}"#);
    client.ask("POST", &format!("/v2/models/{model}/infer"), &[], body.as_bytes())
}

#[test]
fn whatever_a_process_says_the_server_goes_on() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
    let lives = env::temp_dir().join(format!("windlass-wild-{}", std::process::id()));
    let site = Site::open();
    let inputs = [("INPUT0", FP32, &[-1][..]), ("INPUT1", BYTES, &[1][..])];
    publish_wild(&site, &Declared::new("wild", 4, &inputs), lives.clone());
    site.publish(&Declared::new("sound", 4, &[("INPUT0", FP32, &[-1])]));
    site.plane.start();

    let large = vec!["1"; 5_000].join(",");
    let number = |values: &str, size: usize| {
        format!(r#"{{"name":"INPUT0","shape":[1,{size}],"datatype":"FP32","data":[{values}]}}"#)
    };
    let word = r#"{"name":"INPUT1","shape":[1,1],"datatype":"BYTES","data":["x"]}"#;
    let mut statuses = BTreeMap::new();
    let mut client = Client::connect(site.http);
    for round in 0..800 {
        let first = if round % 7 == 0 { number(&large, 5_000) } else { number("1", 1) };
        let answer = ask(&mut client, "wild", &format!("{first},{word}"));
        *statuses.entry(answer.status).or_insert(0) += 1;
        if round % 50 == 0 {
            let sound = ask(&mut client, "sound", &number("7", 1));
            assert_eq!(sound.status, 200, "{}", sound.text());
        }
    }
    drop(site);

    let count = std::fs::metadata(&lives).expect("it lived").len();
    let _ = std::fs::remove_file(&lives);
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
    assert!(statuses[&200] > 100 && statuses[&500] > 100 && count > 100, "{statuses:?} in {count} lives");
}
