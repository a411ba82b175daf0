//! The graph of an ensemble: which step writes which tensor, and who reads it. Values only; nothing here runs.

use std::collections::{BTreeMap, HashMap};

use crate::error::{Error, Result};
use crate::proto::inference::ModelConfig;
use crate::proto::inference::model_config::SchedulingChoice;
use crate::tensor::{Name, Shape};

/// A name of a model's input or output, and the tensor of the ensemble that it stands for.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) name: Name,
    /// Its place among the ensemble's tensors.
    pub(super) tensor: usize,
}

/// One model that is asked on the way.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) model: String,
    /// As the catalog reads it: empty for the latest.
    pub(super) version: String,
    pub(super) inputs: Vec<Wire>,
    pub(super) outputs: Vec<Wire>,
}

/// All steps, and what the ensemble takes and gives.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) steps: Vec<Step>,
    pub(super) inputs: Vec<Wire>,
    pub(super) outputs: Vec<Wire>,
    tensors: usize,
    /// Requests that may be under way at one step for one request to the ensemble; `None` for any number.
    pub(super) max_inflight: Option<usize>,
}

/// What one request needs of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// For each tensor, the steps that wait for it.
    pub(super) readers: Vec<Vec<usize>>,
    /// For each tensor, how often it is handed on.
    pub(super) uses: Vec<usize>,
    /// For each step, how many tensors it waits for; none for those that are not needed.
    pub(super) missing: Vec<usize>,
    /// For each tensor, whether it is an output that is asked for.
    pub(super) ends: Vec<bool>,
    /// For each output, whether it is asked for.
    pub(super) wanted: Vec<bool>,
}

impl Graph {
    /// Reads the graph of a configuration.
    ///
    /// # Errors
    /// `INVALID_ARG` for a configuration without steps.
    pub(super) fn read(config: &ModelConfig) -> Result<Self> {
        let Some(SchedulingChoice::EnsembleScheduling(ensemble)) = &config.scheduling_choice else {
            let name = &config.name;
            return Err(Error::invalid(format!(
                "ensemble scheduling must be set for ensemble {name} whose platform is ensemble"
            )));
        };
        let mut places = HashMap::new();
        let mut place = |tensor: &str| {
            let next = places.len();
            *places.entry(tensor.to_owned()).or_insert(next)
        };
        let mut wire = |name: &str, tensor: &str| Wire { name: Name::from(name), tensor: place(tensor) };
        let inputs = config.input.iter().map(|input| wire(&input.name, &input.name)).collect();
        let outputs = config.output.iter().map(|output| wire(&output.name, &output.name)).collect();
        let mut steps = Vec::with_capacity(ensemble.step.len());
        for step in &ensemble.step {
            let mut wires =
                |map: &BTreeMap<String, String>| map.iter().map(|(name, tensor)| wire(name, tensor)).collect();
            let version = if step.model_version < 0 { String::new() } else { step.model_version.to_string() };
            let (inputs, outputs) = (wires(&step.input_map), wires(&step.output_map));
            steps.push(Step { model: step.model_name.clone(), version, inputs, outputs });
        }
        let max_inflight = Some(ensemble.max_inflight_requests as usize).filter(|&limit| limit > 0);
        Ok(Self { steps, inputs, outputs, tensors: places.len(), max_inflight })
    }

    /// What has to be done for these outputs; for all when none is named.
    pub(super) fn plan(&self, requested: &[Name]) -> Plan {
        let wanted: Vec<bool> =
            self.outputs.iter().map(|output| requested.is_empty() || requested.contains(&output.name)).collect();
        let needed = self.needed(&wanted);
        let mut plan = Plan {
            readers: vec![Vec::new(); self.tensors],
            uses: vec![0; self.tensors],
            missing: vec![0; self.steps.len()],
            ends: vec![false; self.tensors],
            wanted,
        };
        for (output, _) in self.outputs.iter().zip(&plan.wanted).filter(|(_, wanted)| **wanted) {
            plan.uses[output.tensor] += 1;
            plan.ends[output.tensor] = true;
        }
        for (index, step) in self.steps.iter().enumerate().filter(|(index, _)| needed[*index]) {
            for input in &step.inputs {
                plan.uses[input.tensor] += 1;
                // A tensor may go into several inputs of one step, which waits for it once.
                if plan.readers[input.tensor].last() != Some(&index) {
                    plan.readers[input.tensor].push(index);
                    plan.missing[index] += 1;
                }
            }
        }
        plan
    }

    /// The steps from which a wanted output can be reached.
    fn needed(&self, wanted: &[bool]) -> Vec<bool> {
        let mut needed = vec![false; self.steps.len()];
        let ends = self.outputs.iter().zip(wanted).filter(|(_, wanted)| **wanted);
        let mut open: Vec<usize> = ends.map(|(output, _)| output.tensor).collect();
        while let Some(tensor) = open.pop() {
            for (index, step) in self.steps.iter().enumerate() {
                if !needed[index] && step.outputs.iter().any(|output| output.tensor == tensor) {
                    needed[index] = true;
                    open.extend(step.inputs.iter().map(|input| input.tensor));
                }
            }
        }
        needed
    }
}

/// The shape of a tensor as whoever takes it next expects it. Between a model with a batch dimension and one without, a batch of one is
/// added or taken away; `rows` is 0 for a tensor that comes from a model without.
pub(super) fn fit(dims: &[i64], batching: bool, rows: usize, mut shape: Shape) -> Shape {
    let fits = |shape: &[i64]| {
        dims.len() == shape.len()
            && dims.iter().zip(shape).all(|(&declared, &found)| declared == -1 || declared == found)
    };
    if batching && rows == 0 && fits(&shape) {
        shape.insert(0, 1);
    } else if !batching && rows == 1 && !fits(&shape) {
        shape.remove(0);
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::inference::model_ensembling::Step as StepConfig;
    use crate::proto::inference::{ModelEnsembling, ModelInput, ModelOutput};

    fn step(model: &str, inputs: &[(&str, &str)], outputs: &[(&str, &str)]) -> StepConfig {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
        StepConfig {
            model_name: model.into(),
            model_version: -1,
            input_map: map(inputs),
            output_map: map(outputs),
            ..StepConfig::default()
        }
    }

    fn graph(inputs: &[&str], outputs: &[&str], step: Vec<StepConfig>) -> Graph {
        let ensemble = ModelEnsembling { step, max_inflight_requests: 0 };
        let input = |name: &&str| ModelInput { name: (*name).into(), ..ModelInput::default() };
        let output = |name: &&str| ModelOutput { name: (*name).into(), ..ModelOutput::default() };
        let config = ModelConfig {
            input: inputs.iter().map(input).collect(),
            output: outputs.iter().map(output).collect(),
            scheduling_choice: Some(SchedulingChoice::EnsembleScheduling(ensemble)),
            ..ModelConfig::default()
        };
        Graph::read(&config).expect("it has steps")
    }

    fn forked() -> Graph {
        let steps = vec![
            step("first", &[("I", "x")], &[("O", "middle")]),
            step("left", &[("I", "middle")], &[("O", "l")]),
            step("right", &[("A", "middle"), ("B", "middle")], &[("O", "r")]),
        ];
        graph(&["x"], &["l", "r"], steps)
    }

    #[test]
    fn only_what_leads_to_a_wanted_output_is_planned() {
        let graph = forked();

        let all = graph.plan(&[]);
        let left = graph.plan(&[Name::from("l")]);

        assert_eq!(all.missing, [1, 1, 1]);
        assert_eq!(left.missing, [1, 1, 0]);
        assert_eq!(left.wanted, [true, false]);
    }

    #[test]
    fn a_tensor_knows_how_often_it_is_handed_on() {
        let graph = forked();
        let middle = graph.steps[0].outputs[0].tensor;

        let plan = graph.plan(&[]);

        assert_eq!(plan.readers[middle], [1, 2]);
        assert_eq!(plan.uses[middle], 3, "once to the left, twice to the right");
    }

    #[test]
    fn a_batch_of_one_comes_and_goes_between_models_with_a_batch_and_those_without() {
        assert_eq!(fit(&[-1], true, 0, vec![4]), [1, 4]);
        assert_eq!(fit(&[-1], false, 1, vec![1, 4]), [4]);
        assert_eq!(fit(&[-1, 4], false, 1, vec![1, 4]), [1, 4], "it fits as it is");
        assert_eq!(fit(&[-1], false, 2, vec![2, 4]), [2, 4], "two rows stay two");
        assert_eq!(fit(&[4], true, 2, vec![2, 4]), [2, 4]);
    }
}
