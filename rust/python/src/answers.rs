//! What a model's code answers, read as tensors: the outputs the specification declares, found by their names.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use windlass_core::instance::Outputs;
use windlass_core::spec::{Spec, TensorSpec};
use windlass_core::tensor::{Name, Tensor};

use crate::parameters;
use crate::tensor::from_array;

/// Reads answers of one model; shared by its instances, requests and responders.
pub(crate) struct Answers {
    pub(crate) spec: Arc<Spec>,
    /// The outputs in the order of the specification, then what the server remembers of sequences.
    returned: Vec<TensorSpec>,
    names: Vec<Py<PyString>>,
    /// The names of the inputs, which every request brings along.
    inputs: Vec<(Name, Py<PyString>)>,
    /// What a client that names no outputs asks for.
    pub(crate) all: Py<PyList>,
}

impl Answers {
    pub(crate) fn new(py: Python<'_>, spec: &Arc<Spec>) -> PyResult<Self> {
        let returned = spec.returned();
        let inputs = spec.inputs.iter();
        let inputs = inputs.map(|input| (input.name.clone(), PyString::intern(py, &input.name).unbind()));
        let names: Vec<_> = returned.iter().map(|output| PyString::intern(py, &output.name)).collect();
        Ok(Self {
            spec: Arc::clone(spec),
            returned,
            all: PyList::new(py, &names[..spec.outputs.len()])?.unbind(),
            inputs: inputs.collect(),
            names: names.into_iter().map(Bound::unbind).collect(),
        })
    }

    /// The name of an input, for models: made once, except for what the server adds itself.
    pub(crate) fn input_name<'py>(&self, py: Python<'py>, name: &Name) -> Bound<'py, PyString> {
        let known = self.inputs.iter().find(|(known, _)| known == name);
        known.map_or_else(|| PyString::intern(py, name), |(_, known)| known.bind(py).clone())
    }

    /// Reads a mapping of names to arrays, which has to have every output.
    pub(crate) fn complete(&self, answer: &Bound<'_, PyAny>) -> PyResult<Vec<Tensor>> {
        self.tensors(answer, true)
    }

    /// Reads a mapping of names to arrays, or a pair of such a mapping and parameters.
    pub(crate) fn read(&self, answer: &Bound<'_, PyAny>) -> PyResult<Outputs> {
        let Ok(pair) = answer.cast::<PyTuple>() else {
            return Ok(self.tensors(answer, false)?.into());
        };
        let (outputs, given): (Bound<'_, PyAny>, Bound<'_, PyDict>) = pair.extract()?;
        Ok(Outputs { tensors: self.tensors(&outputs, false)?, parameters: parameters::from_dict(&given)? })
    }

    fn tensors(&self, answer: &Bound<'_, PyAny>, complete: bool) -> PyResult<Vec<Tensor>> {
        let py = answer.py();
        let mut outputs = Vec::with_capacity(self.names.len());
        let dict = answer.cast::<PyDict>().ok();
        for (spec, name) in self.returned.iter().zip(&self.names) {
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
