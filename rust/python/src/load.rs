//! `windlass._plane.LoadGenerator`: loads, handed through. Python goes on hearing signals while they run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;
use windlass_load::{Arrivals, Load, Mode, Outcome, Request, Spread, Trust};

/// How often signals are looked for.
const TICK: Duration = Duration::from_millis(20);

/// A body, and headers of its own.
type Described = (PyBackedBytes, Vec<(String, String)>);

/// Loads that are to run at the same time.
#[pyclass(name = "LoadGenerator", module = "windlass._plane")]
pub(crate) struct PyLoadGenerator {
    loads: Vec<Load>,
    threads: usize,
}

#[pymethods]
impl PyLoadGenerator {
    #[new]
    #[pyo3(signature = (*, threads = 1))]
    fn new(threads: usize) -> Self {
        Self { loads: Vec::new(), threads }
    }

    #[pyo3(signature = (*, url, requests, seconds, concurrency, rate = None, arrivals = "poisson", seed = 0, path = String::new(),
        method = "POST".to_owned(), headers = Vec::new(), timeout_s = 30.0, connections = None, authorities = None, certificate = None,
        key = None))]
    #[allow(clippy::too_many_arguments)] // what there is to say of a load
    fn add(
        &mut self,
        url: String,
        requests: Vec<Described>,
        seconds: f64,
        concurrency: usize,
        rate: Option<f64>,
        arrivals: &str,
        seed: u64,
        path: String,
        method: String,
        headers: Vec<(String, String)>,
        timeout_s: f64,
        connections: Option<usize>,
        authorities: Option<PathBuf>,
        certificate: Option<PathBuf>,
        key: Option<PathBuf>,
    ) -> PyResult<()> {
        let mode = match rate {
            None => Mode::Closed { concurrency },
            Some(rate) => Mode::Open { rate, arrivals: arrivals_of(arrivals)?, seed, in_flight: concurrency },
        };
        let requests =
            requests.into_iter().map(|(body, headers)| Request { body: Bytes::copy_from_slice(&body), headers });
        self.loads.push(Load {
            url,
            requests: requests.collect(),
            mode,
            length: duration(seconds)?,
            path,
            method,
            headers,
            timeout: duration(timeout_s)?,
            connections,
            trust: Trust { authorities, certificate, key },
        });
        Ok(())
    }

    /// Runs all loads at once; what came of each, in their order. A signal that raises ends them.
    fn run<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let (loads, threads, stop) = (self.loads.clone(), self.threads, Arc::new(AtomicBool::new(false)));
        let (tell, mut told) = sync_channel(1);
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            // Nobody hears it where a signal came first.
            let _ = tell.send(windlass_load::run(&loads, threads, &stopped));
        });
        let outcomes = loop {
            match hear(py, &mut told, TICK) {
                Ok(outcomes) => break outcomes.map_err(|error| PyValueError::new_err(error.to_string()))?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("the load generator panicked; this is a bug in windlass"),
            }
            if let Err(signal) = py.check_signals() {
                stop.store(true, Ordering::Relaxed);
                // It ends in a moment, and leaves no connection behind; a name that is looked up is not waited for.
                let _ = hear(py, &mut told, 5 * TICK);
                return Err(signal);
            }
        };
        outcomes.iter().map(|outcome| described(py, outcome)).collect()
    }
}

/// Waits without the interpreter's lock.
fn hear<T: Send>(py: Python<'_>, told: &mut Receiver<T>, time: Duration) -> Result<T, RecvTimeoutError> {
    py.detach(move || told.recv_timeout(time))
}

fn arrivals_of(name: &str) -> PyResult<Arrivals> {
    match name {
        "poisson" => Ok(Arrivals::Poisson),
        "constant" => Ok(Arrivals::Constant),
        _ => Err(PyValueError::new_err(format!("unknown arrivals `{name}`: poisson or constant"))),
    }
}

fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| PyValueError::new_err(format!("a length of {seconds} seconds: {error}")))
}

/// With the names that `bench/outcome.py` has for them.
fn described<'py>(py: Python<'py>, outcome: &Outcome) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    let (failures, examples) = (PyDict::new(py), PyDict::new(py));
    for (failure, count) in &outcome.failures {
        failures.set_item(failure.to_string(), count)?;
    }
    for (failure, text) in &outcome.examples {
        examples.set_item(failure.to_string(), text)?;
    }
    let intervals: Vec<(u64, u64, f64)> =
        outcome.intervals.iter().map(|one| (one.requests, one.failures, micros(one.latency_sum))).collect();
    told.set_item("requests", outcome.requests())?;
    told.set_item("failures", failures)?;
    told.set_item("examples", examples)?;
    told.set_item("unsent", outcome.unsent)?;
    told.set_item("seconds", outcome.length.as_secs_f64())?;
    told.set_item("latencies", spread(py, &outcome.latencies)?)?;
    told.set_item("delays", spread(py, &outcome.delays)?)?;
    told.set_item("intervals", intervals)?;
    told.set_item("connections", outcome.connections)?;
    told.set_item("cpu_seconds", outcome.cpu.as_secs_f64())?;
    Ok(told)
}

fn spread<'py>(py: Python<'py>, spread: &Spread) -> PyResult<Bound<'py, PyDict>> {
    let (values, counts): (Vec<f64>, Vec<u64>) = spread.counts().map(|(nanos, count)| (micros(nanos), count)).unzip();
    let told = PyDict::new(py);
    told.set_item("values_us", values)?;
    told.set_item("counts", counts)?;
    told.set_item("sum_us", micros(spread.sum()))?;
    told.set_item("max_us", micros(spread.max()))?;
    Ok(told)
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}
