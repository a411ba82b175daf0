//! `windlass._plane.Plane`: the façade, handed through. Whatever blocks lets other Python threads run.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use windlass_core::catalog::State;
use windlass_core::control::Control;
use windlass_core::instance::Executor;
use windlass_core::isolated::process::Launch;
use windlass_core::limiter::Limit;
use windlass_core::metrics;
use windlass_core::plane::{Plane, Settings};
use windlass_core::spec::Spec;
use windlass_gpu::Driver;

use crate::control::PythonControl;
use crate::error::to_exception;
use crate::grpc::GrpcSettings;
use crate::host::PyHost;
use crate::instance::PythonInstance;
use crate::observe::Observation;
use crate::process::PyProcess;
use crate::version::PyVersion;

/// The data plane of one server.
#[pyclass(name = "Plane", module = "windlass._plane", frozen)]
pub(crate) struct PyPlane(Arc<Plane>);

#[pymethods]
impl PyPlane {
    #[new]
    #[pyo3(signature = (control, *, name, version, http, grpc, metrics, reuse_http_port = false,
        reuse_grpc_port = false, grpc_settings = None, reactors = 0, busy_poll_us = 0, http_max_input_bytes = 67_108_864, strict_readiness = true,
        client_shm = false, cache_bytes = 0, rate_limits = None, observe = None))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools)] // the keywords of a constructor
    fn new(
        control: Py<PyAny>,
        name: String,
        version: String,
        http: Option<String>,
        grpc: Option<String>,
        metrics: Option<String>,
        reuse_http_port: bool,
        reuse_grpc_port: bool,
        grpc_settings: Option<GrpcSettings>,
        reactors: usize,
        busy_poll_us: u64,
        http_max_input_bytes: usize,
        strict_readiness: bool,
        client_shm: bool,
        cache_bytes: usize,
        rate_limits: Option<Vec<(String, u64, Option<u32>)>>,
        observe: Option<Observation>,
    ) -> PyResult<Self> {
        let limit = |(name, count, device)| Limit { name, count, device };
        let control = Arc::new(PythonControl(control));
        let log = Arc::clone(&control);
        let settings = Settings {
            name,
            version,
            http,
            grpc,
            metrics,
            reuse_http_port,
            reuse_grpc_port,
            reactors,
            busy_poll: Duration::from_micros(busy_poll_us),
            http_max_input_bytes,
            strict_readiness,
            client_shm,
            gpus: Some(Arc::new(Driver::new(Box::new(move |level, line| log.log(level, line))))),
            cache_bytes,
            rate_limits: rate_limits.map(|limits| limits.into_iter().map(limit).collect()),
            ..Settings::default()
        };
        let settings = match grpc_settings {
            None => settings,
            Some(grpc) => grpc.apply(settings).map_err(|error| PyValueError::new_err(error.message))?,
        };
        let settings = match observe {
            None => settings,
            Some(observe) => observe.apply(settings).map_err(|error| PyValueError::new_err(error.message))?,
        };
        Ok(Self(Arc::new(Plane::new(settings, control))))
    }

    /// Binds the addresses, starts the network threads, returns the addresses with their real ports.
    fn listen<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let addresses = py.detach(|| self.0.listen()).map_err(|error| PyOSError::new_err(error.to_string()))?;
        let named = PyDict::new(py);
        for (name, address) in [("http", addresses.http), ("grpc", addresses.grpc), ("metrics", addresses.metrics)] {
            if let Some(address) = address {
                named.set_item(name, address.to_string())?;
            }
        }
        Ok(named)
    }

    #[pyo3(signature = (name, version, state, reason = ""))]
    fn announce(&self, name: &str, version: Option<i64>, state: &str, reason: &str) -> PyResult<()> {
        let state = State::from_name(state).ok_or_else(|| {
            PyValueError::new_err(format!("unknown state `{state}`: READY, UNAVAILABLE, LOADING or UNLOADING"))
        })?;
        self.0.announce(name, version, state, reason);
        Ok(())
    }

    /// Makes a version of its instances, and has these warm up. `labels` says for an output what its elements stand for; `files` are those
    /// that the configuration names, by their paths in the model's folder; `cores` keep each instance to some processor cores.
    #[pyo3(signature = (version, config, config_json, instances, load_ns, *, labels = HashMap::new(), files = HashMap::new(),
        cores = Vec::new()))]
    #[allow(clippy::too_many_arguments)] // what there is to say of a version
    fn prepare(
        &self,
        py: Python<'_>,
        version: i64,
        config: &[u8],
        config_json: &str,
        instances: Vec<Py<PyAny>>,
        load_ns: u64,
        labels: HashMap<String, Vec<String>>,
        files: HashMap<String, Vec<u8>>,
        cores: Vec<Vec<usize>>,
    ) -> PyResult<PyVersion> {
        let files = files.into_iter().map(|(path, data)| (path, data.into())).collect();
        let mut spec = Spec::decode_with(version, config, config_json, &files)
            .map_err(|error| PyValueError::new_err(error.message))?;
        for (output, labels) in labels {
            spec.label(&output, labels);
        }
        self.0.complete(&mut spec);
        let spec = Arc::new(spec);
        let cores = cores.into_iter().chain(std::iter::repeat_with(Vec::new));
        let instances = instances.into_iter().zip(cores);
        let instances = instances
            .map(|(instance, cores)| self.executor(instance.bind(py), &spec, cores))
            .collect::<PyResult<_>>()?;
        py.detach(|| self.0.prepare(spec, instances, Duration::from_nanos(load_ns), &files))
            .map(PyVersion::new)
            .map_err(|error| to_exception(py, &error))
    }

    /// Puts a prepared version in service.
    fn publish(&self, py: Python<'_>, version: &PyVersion) -> PyResult<()> {
        let model = version.take()?;
        py.detach(|| self.0.enter(model));
        Ok(())
    }

    /// Raises `ValueError` when an instance of the model needs more of what the server limits than there is.
    fn check_limits(&self, config: &[u8]) -> PyResult<()> {
        let limiter = self.0.limiter();
        limiter.map_or(Ok(()), |limiter| limiter.check(config)).map_err(|error| PyValueError::new_err(error.message))
    }

    /// Starts a process for an instance.
    fn process(
        &self,
        py: Python<'_>,
        name: String,
        command: Vec<OsString>,
        environment: HashMap<OsString, OsString>,
    ) -> PyResult<PyProcess> {
        let launch = Launch { name, command, environment: environment.into_iter().collect() };
        py.detach(|| self.0.process(launch)).map(PyProcess::new).map_err(|error| PyOSError::new_err(error.to_string()))
    }

    #[pyo3(signature = (name, version, timeout_s, reason = "unloaded"))]
    fn retire(&self, py: Python<'_>, name: &str, version: i64, timeout_s: f64, reason: &str) -> PyResult<bool> {
        let timeout = seconds(timeout_s)?;
        Ok(py.detach(|| self.0.retire(name, version, timeout, reason)))
    }

    fn forget(&self, py: Python<'_>, name: &str) {
        py.detach(|| self.0.forget(name));
    }

    fn start(&self) {
        self.0.start();
    }

    fn drain(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = seconds(timeout_s)?;
        Ok(py.detach(|| self.0.drain(timeout)))
    }

    fn close(&self, py: Python<'_>, patience_s: f64) -> PyResult<()> {
        let patience = seconds(patience_s)?;
        py.detach(|| self.0.close(patience));
        Ok(())
    }

    /// The repository index, as a list of dictionaries with the protocol's keys; what is empty is left out.
    fn index<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let row = |entry: windlass_core::catalog::IndexEntry| {
            let row = PyDict::new(py);
            row.set_item("name", &*entry.model)?;
            if let Some(version) = entry.version {
                row.set_item("version", version.to_string())?;
            }
            if let Some(state) = entry.state {
                row.set_item("state", state.name())?;
            }
            if !entry.reason.is_empty() {
                row.set_item("reason", entry.reason)?;
            }
            Ok(row)
        };
        self.0.index(false).into_iter().map(row).collect()
    }

    /// The server, as model code in this process sees it.
    fn host(&self) -> PyHost {
        PyHost::new(self.0.host())
    }

    fn metrics(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.metrics())
    }
}

impl PyPlane {
    /// An instance, in this process or in its own.
    fn executor(&self, instance: &Bound<'_, PyAny>, spec: &Arc<Spec>, cores: Vec<usize>) -> PyResult<Executor> {
        let gpu = self.gpu(instance)?;
        let Some(process) = instance.getattr_opt("process")? else {
            return PythonInstance::wrap(instance, spec, cores).map(|made| Executor::Local(Box::new(made.on(gpu))));
        };
        let process = process.cast::<PyProcess>().map_err(PyErr::from)?.get().take()?;
        self.0.adopt(process, spec, gpu).map_err(|error| PyOSError::new_err(error.message))
    }

    /// The name of the GPU that an instance is on, where it is on one.
    fn gpu(&self, instance: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        if instance.getattr("kind")?.extract::<String>()? != "GPU" {
            return Ok(None);
        }
        let device = instance.getattr("device")?.extract()?;
        Ok(instance.py().detach(|| self.0.gpu_uuid(device)))
    }
}

fn seconds(value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|error| PyValueError::new_err(format!("a time-out of {value} seconds: {error}")))
}

/// Every metric: name, type, help.
#[pyfunction]
pub(crate) fn metric_catalogue() -> Vec<(&'static str, &'static str, &'static str)> {
    metrics::catalogue()
}
