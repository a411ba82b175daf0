//! An instance whose `execute` is a Python method: called with one joined batch, or with the requests as they are.

use std::sync::Arc;
use std::time::Instant;

use pyo3::exceptions::{PyBaseException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use windlass_core::batch::{join, split};
use windlass_core::error::{Error, Result};
use windlass_core::instance::{Execution, Instance, Job, Outcome};
use windlass_core::spec::Spec;
use windlass_core::statistics::Timing;
use windlass_core::tensor::Tensor;

use crate::error::{from_exception, from_value};
use crate::request::PyRequest;
use crate::tensor::{from_array, to_array};

/// A Python object with `execute` or `execute_each`.
pub(crate) struct PythonInstance {
    name: String,
    spec: Arc<Spec>,
    object: Py<PyAny>,
    /// The bound method that is called for a batch.
    execute: Py<PyAny>,
    per_request: bool,
    /// Names of the outputs, in the order of the specification.
    outputs: Vec<Py<PyString>>,
    all_outputs: Py<PyList>,
}

impl PythonInstance {
    /// Looks up what will be needed for every batch.
    pub(crate) fn wrap(object: &Bound<'_, PyAny>, spec: &Arc<Spec>) -> PyResult<Self> {
        let py = object.py();
        let per_request = object.getattr("per_request")?.extract()?;
        let method = if per_request { "execute_each" } else { "execute" };
        let names: Vec<_> = spec.outputs.iter().map(|output| PyString::intern(py, &output.name)).collect();
        Ok(Self {
            name: object.getattr("name")?.extract()?,
            spec: Arc::clone(spec),
            execute: object.getattr(method)?.unbind(),
            object: object.clone().unbind(),
            per_request,
            all_outputs: PyList::new(py, &names)?.unbind(),
            outputs: names.into_iter().map(Bound::unbind).collect(),
        })
    }

    fn execute_joined(&self, jobs: &mut [Job]) -> Result<(Vec<Vec<Tensor>>, Timing)> {
        let start = Instant::now();
        let inputs = join(jobs)?;
        let (outputs, called, returned) = Python::attach(|py| {
            let given = PyDict::new(py);
            let fail = |exception: PyErr| from_exception(py, &exception);
            for tensor in inputs {
                let name = PyString::intern(py, &tensor.name);
                to_array(py, tensor).and_then(|array| given.set_item(name, array)).map_err(fail)?;
            }
            let called = Instant::now();
            let result = self.execute.bind(py).call1((given,)).map_err(fail)?;
            let returned = Instant::now();
            let outputs = self.read(&result, true).map_err(fail)?;
            Ok::<_, Error>((outputs, called, returned))
        })?;
        let results = split(outputs, jobs, self.spec.max_batch_size > 0)?;
        Ok((results, Timing { input: called - start, infer: returned - called, output: returned.elapsed() }))
    }

    fn execute_requests(&self, jobs: &mut [Job]) -> Result<(Vec<Outcome>, Timing)> {
        let start = Instant::now();
        Python::attach(|py| {
            let fail = |exception: PyErr| from_exception(py, &exception);
            let requests: Vec<_> = jobs
                .iter_mut()
                .map(|job| PyRequest::take(py, job, &self.all_outputs))
                .collect::<PyResult<_>>()
                .map_err(fail)?;
            let requests = PyList::new(py, requests).map_err(fail)?;
            let called = Instant::now();
            let answers = self.execute.bind(py).call1((requests,)).map_err(fail)?;
            let returned = Instant::now();
            let answers = answers.cast_into::<PyList>().map_err(|error| fail(error.into()))?;
            let outcomes = answers.iter().map(|answer| {
                if answer.is_instance_of::<PyBaseException>() {
                    return Outcome::Failed(from_value(&answer));
                }
                match self.read(&answer, false) {
                    Ok(outputs) => Outcome::Answered(outputs.into()),
                    Err(exception) => Outcome::Failed(fail(exception)),
                }
            });
            let outcomes = outcomes.collect();
            Ok((outcomes, Timing { input: called - start, infer: returned - called, output: returned.elapsed() }))
        })
    }

    /// Reads a mapping of names to arrays. `complete` asks for every declared output.
    fn read(&self, answer: &Bound<'_, PyAny>, complete: bool) -> PyResult<Vec<Tensor>> {
        let py = answer.py();
        let mut outputs = Vec::with_capacity(self.outputs.len());
        let dict = answer.cast::<PyDict>().ok();
        for (spec, name) in self.spec.outputs.iter().zip(&self.outputs) {
            let name = name.bind(py);
            let value = match dict {
                Some(dict) => dict.get_item(name)?,
                None if answer.contains(name)? => Some(answer.get_item(name)?),
                None => None,
            };
            match value {
                Some(value) => outputs.push(from_array(&spec.name, spec.data_type, &value)?),
                None if complete => {
                    let found: Vec<String> =
                        answer.try_iter()?.map(|key| Ok(key?.to_string())).collect::<PyResult<_>>()?;
                    return Err(PyValueError::new_err(format!(
                        "the model returned no output `{}`: it returned {found:?}",
                        spec.name
                    )));
                }
                None => {}
            }
        }
        Ok(outputs)
    }
}

impl Instance for PythonInstance {
    fn name(&self) -> &str {
        &self.name
    }

    fn execute(&mut self, jobs: &mut [Job]) -> Execution {
        let outcome = if self.per_request {
            self.execute_requests(jobs)
        } else {
            let answered = |outputs: Vec<Tensor>| Outcome::Answered(outputs.into());
            self.execute_joined(jobs).map(|(results, timing)| (results.into_iter().map(answered).collect(), timing))
        };
        match outcome {
            Ok((outcomes, timing)) => Execution { outcomes, timing },
            Err(error) => Execution::failed(jobs, &error),
        }
    }

    fn close(&mut self) {
        // A model that fails to close is gone all the same.
        let _ = Python::attach(|py| self.object.bind(py).call_method0("close").map(drop));
    }
}
