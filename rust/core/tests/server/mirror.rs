//! A model that answers with what it was asked.

use std::sync::Arc;

use windlass_core::instance::{Execution, Instance, Job, Outcome};
use windlass_core::statistics::Timing;
use windlass_core::tensor::{Name, Tensor};

use super::gate::Gate;

/// Answers `INPUT…` with `OUTPUT…`, once its gate is open.
pub(crate) struct Mirror(Arc<Gate>);

impl Mirror {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self(gate)
    }
}

impl Instance for Mirror {
    fn name(&self) -> &'static str {
        "mirror_0"
    }

    fn execute(&mut self, jobs: &mut [Job]) -> Execution {
        let watches: Vec<_> = jobs.iter().filter_map(Job::cancellation).collect();
        self.0.pass(jobs.len(), || watches.iter().all(windlass_core::reply::Cancellation::is_cancelled));
        let rename = |input: Tensor| Tensor { name: Name::from(input.name.replace("INPUT", "OUTPUT")), ..input };
        let answer = |job: &mut Job| {
            let wanted = job.request.outputs.clone();
            let outputs = std::mem::take(&mut job.request.inputs).into_iter().map(rename);
            let kept = outputs.filter(|output| wanted.is_empty() || wanted.contains(&output.name));
            Outcome::Answered(kept.collect::<Vec<_>>().into())
        };
        Execution { outcomes: jobs.iter_mut().map(answer).collect(), timing: Timing::default() }
    }
}
