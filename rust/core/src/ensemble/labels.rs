//! What the elements of an ensemble's outputs stand for: what the steps that write them say, where the ensemble itself says nothing.

use crate::catalog::Catalog;
use crate::ensemble::graph::Graph;
use crate::spec::Spec;

/// Takes labels over from the models of the steps, as far as they are loaded.
pub(crate) fn inherit(spec: &mut Spec, catalog: &Catalog) {
    let Ok(graph) = Graph::read(&spec.config) else { return };
    for (output, wire) in spec.outputs.iter_mut().zip(&graph.outputs).filter(|(output, _)| output.labels.is_empty()) {
        let writer = graph.steps.iter().find_map(|step| {
            let written = step.outputs.iter().find(|written| written.tensor == wire.tensor)?;
            Some((catalog.pick(&step.model, &step.version).ok()?, &written.name))
        });
        if let Some(labels) = writer.and_then(|(model, name)| Some(model.spec.output(name)?.labels.clone())) {
            output.labels = labels;
        }
    }
}
