//! An instance whose `execute` is a Python method: called with one joined batch, or with the requests as they are.

use std::sync::Arc;
use std::time::Instant;

use pyo3::exceptions::{PyBaseException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use windlass_core::batch::{Joined, join};
use windlass_core::error::{Error, Result};
use windlass_core::host::Task;
use windlass_core::instance::{Execution, Instance, Job, Outcome, Watch};
use windlass_core::spec::Spec;
use windlass_core::statistics::Timing;
use windlass_core::tensor::Tensor;

use crate::answers::Answers;
use crate::error::{from_exception, from_value};
use crate::interpreter::enter;
use crate::request::PyRequest;
use crate::responder::{Shared, fail, lock};
use crate::tensor::to_array;

/// A Python object with `execute` or `execute_each`.
pub(crate) struct PythonInstance {
    name: String,
    gpu: Option<String>,
    object: Py<PyAny>,
    /// The bound method that is called for a batch.
    execute: Py<PyAny>,
    per_request: bool,
    answers: Arc<Answers>,
    /// The processor cores that it is kept to.
    cores: Vec<usize>,
}

impl PythonInstance {
    /// Looks up what will be needed for every batch.
    pub(crate) fn wrap(object: &Bound<'_, PyAny>, spec: &Arc<Spec>, cores: Vec<usize>) -> PyResult<Self> {
        let per_request = object.getattr("per_request")?.extract()?;
        let method = if per_request { "execute_each" } else { "execute" };
        Ok(Self {
            name: object.getattr("name")?.extract()?,
            gpu: None,
            execute: object.getattr(method)?.unbind(),
            object: object.clone().unbind(),
            per_request,
            answers: Arc::new(Answers::new(object.py(), spec)?),
            cores,
        })
    }

    /// The same, on the GPU of that name.
    pub(crate) fn on(self, gpu: Option<String>) -> Self {
        Self { gpu, ..self }
    }

    /// Executes a batch, wherever its requests came from.
    pub(crate) fn run<T: Task + Send + 'static>(&self, tasks: &mut [T]) -> Execution {
        let start = Instant::now();
        let outcome = if self.per_request {
            self.execute_requests(tasks)
        } else {
            let answered = |outputs: Vec<Tensor>| Outcome::Answered(outputs.into());
            self.execute_joined(tasks).map(|(results, timing)| (results.into_iter().map(answered).collect(), timing))
        };
        match outcome {
            Ok((outcomes, timing)) => Execution { outcomes, timing },
            Err(error) => {
                let timing = Timing { infer: start.elapsed(), ..Timing::default() };
                Execution { timing, ..Execution::failed(tasks, &error) }
            }
        }
    }

    fn execute_joined<T: Task>(&self, tasks: &mut [T]) -> Result<(Vec<Vec<Tensor>>, Timing)> {
        let start = Instant::now();
        let Joined { inputs, seams } = join(tasks, &self.answers.spec)?;
        let (outputs, called, returned) = enter(|py| {
            let given = PyDict::new(py);
            let fail = |exception: PyErr| from_exception(py, &exception);
            for tensor in inputs {
                let name = self.answers.input_name(py, &tensor.name);
                to_array(py, tensor).and_then(|array| given.set_item(name, array)).map_err(fail)?;
            }
            let called = Instant::now();
            let result = self.execute.bind(py).call1((given,)).map_err(fail)?;
            let returned = Instant::now();
            let outputs = self.answers.complete(&result).map_err(fail)?;
            Ok::<_, Error>((outputs, called, returned))
        })?;
        let results = seams.split(outputs)?;
        Ok((results, Timing { input: called - start, infer: returned - called, output: returned.elapsed() }))
    }

    fn execute_requests<T: Task + Send + 'static>(&self, tasks: &mut [T]) -> Result<(Vec<Outcome>, Timing)> {
        let start = Instant::now();
        enter(|py| {
            let requests: Vec<_> = tasks
                .iter_mut()
                .map(|task| PyRequest::take(py, task, &self.answers))
                .collect::<PyResult<_>>()
                .map_err(|exception| from_exception(py, &exception))?;
            let called = Instant::now();
            let answers = {
                let _loan = Loan::of(tasks, &requests);
                PyList::new(py, &requests).and_then(|requests| self.execute.bind(py).call1((requests,)))
            };
            let returned = Instant::now();
            let answers = answers.and_then(|answers| checked(answers, requests.len()));
            let answers = match answers {
                Ok(answers) => answers,
                Err(exception) => {
                    let error = from_exception(py, &exception);
                    requests
                        .iter()
                        .filter_map(|request| request.get().way_back.recall())
                        .for_each(|responder| fail(responder, error.clone()));
                    return Err(error);
                }
            };
            let settled = tasks.iter_mut().zip(&requests).zip(answers.iter());
            let outcomes =
                settled.map(|((task, request), answer)| self.settle(task, request.bind(py), &answer)).collect();
            Ok((outcomes, Timing { input: called - start, infer: returned - called, output: returned.elapsed() }))
        })
    }

    /// What came of one request. What its responder was taken for goes that way.
    fn settle<T: Task>(&self, task: &mut T, request: &Bound<'_, PyRequest>, answer: &Bound<'_, PyAny>) -> Outcome {
        let responder = request.get().way_back.recall();
        if answer.is_none() {
            return Outcome::Deferred;
        }
        let outcome = if answer.is(request) {
            request.get().put_back(request.py(), task).map(|()| Outcome::Rescheduled)
        } else if answer.is_instance_of::<PyBaseException>() {
            Ok(Outcome::Failed(from_value(answer)))
        } else {
            self.answers.read(answer).map(Outcome::Answered)
        };
        let outcome = outcome.unwrap_or_else(|exception| Outcome::Failed(from_exception(request.py(), &exception)));
        match responder {
            Some(responder) => redirect(task, responder, outcome),
            None => outcome,
        }
    }
}

/// Sends what came of a request through its responder.
fn redirect<T: Task>(task: &mut T, responder: &Shared, outcome: Outcome) -> Outcome {
    let mut shared = lock(responder);
    let Some(open) = shared.as_mut().filter(|responder| !responder.has_ended()) else { return Outcome::Deferred };
    match outcome {
        Outcome::Answered(outputs) => open.respond(Some(Ok(outputs)), true),
        Outcome::Failed(error) => open.respond(Some(Err(error)), true),
        Outcome::Deferred => {}
        Outcome::Rescheduled => {
            if let Some(open) = shared.take() {
                task.keep(open);
            }
            return Outcome::Rescheduled;
        }
    }
    Outcome::Deferred
}

fn checked(answers: Bound<'_, PyAny>, count: usize) -> PyResult<Bound<'_, PyList>> {
    let answers = answers.cast_into::<PyList>().map_err(PyErr::from)?;
    if answers.len() == count {
        return Ok(answers);
    }
    Err(PyValueError::new_err(format!("{} answers for {count} requests", answers.len())))
}

/// Tasks that are reached through their requests while the model's code runs.
struct Loan<'a>(&'a [Py<PyRequest>]);

impl<'a> Loan<'a> {
    /// The tasks stay borrowed as long as the loan lasts.
    fn of<T: Task + Send + 'static>(tasks: &'a mut [T], requests: &'a [Py<PyRequest>]) -> Self {
        let loan = Self(requests);
        for (task, request) in tasks.iter_mut().zip(requests) {
            // SAFETY: the borrow of the tasks ends with the loan, which takes every one back when it is dropped.
            unsafe { request.get().way_back.lend(task) };
        }
        loan
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        for request in self.0 {
            request.get().way_back.recall();
        }
    }
}

impl Instance for PythonInstance {
    fn name(&self) -> &str {
        &self.name
    }

    fn gpu(&self) -> Option<&str> {
        self.gpu.as_deref()
    }

    fn execute(&mut self, jobs: &mut [Job]) -> Execution {
        self.run(jobs)
    }

    fn cores(&self) -> &[usize] {
        &self.cores
    }

    fn watch(&self) -> Option<Watch> {
        let readiness = Python::attach(|py| {
            let found = self.object.bind(py).getattr_opt("readiness").ok()??;
            (!found.is_none()).then(|| found.unbind())
        })?;
        Some(Box::new(move || {
            Python::attach(|py| {
                let reason = readiness.bind(py).call_method0("trouble").and_then(|reason| reason.extract());
                reason.map_or_else(
                    |exception| Some(from_exception(py, &exception)),
                    |reason: Option<String>| reason.map(Error::unavailable),
                )
            })
        }))
    }

    fn close(&mut self) {
        // A model that fails to close is gone all the same.
        let _ = Python::attach(|py| self.object.bind(py).call_method0("close").map(drop));
    }
}
