//! Requests that every instance executes before its version is put in service, so that the first client does not pay for what a model does
//! only once. `sample` says what they are, `rounds` makes their batches. They count in the statistics like those of clients.

mod rounds;
mod sample;

use std::mem;
use std::sync::Arc;
use std::thread;

use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::instance::Job;
use crate::model::Model;
use crate::pending::Pending;
use crate::reactor::Reactor;
use crate::reply::reply;
use crate::scheduler::Scheduler;
use crate::sequence::Memory;
use crate::spec::{Files, Spec};
use crate::statistics::Statistics;
use crate::warmup::rounds::Rounds;
use crate::warmup::sample::Sample;
use crate::worker::Worker;

/// What all instances of a version have in common.
struct Course<'a> {
    spec: &'a Arc<Spec>,
    samples: &'a [Sample],
    statistics: &'a Arc<Statistics>,
    home: &'a Arc<Reactor>,
}

/// Has every instance of a version execute every sample, all instances at the same time. Blocks.
///
/// # Errors
/// `INVALID_ARG` for a sample that does not fit the model, and for one that it fails.
pub(crate) fn warm_up(model: &Model, scheduler: &Scheduler, files: &Files) -> Result<()> {
    let samples = &*Sample::read_all(&model.spec, files)?;
    for sample in samples {
        model.admit(&sample.request(&model.spec))?;
    }
    if samples.is_empty() {
        return Ok(());
    }
    let course = Course { spec: &model.spec, samples, statistics: &model.statistics, home: &scheduler.home };
    let (workers, result) = course.take_all(scheduler.lend());
    scheduler.restore(workers);
    result
}

impl Course<'_> {
    /// Gives the workers back, and what went wrong first.
    fn take_all(&self, workers: Vec<Worker>) -> (Vec<Worker>, Result<()>) {
        let outcomes: Vec<(Vec<Worker>, Result<()>)> = thread::scope(|scope| {
            let threads: Vec<_> = workers.into_iter().map(|worker| scope.spawn(move || self.take(worker))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let mut all = (Vec::new(), Ok(()));
        for (workers, result) in outcomes {
            all.0.extend(workers);
            all.1 = all.1.and(result);
        }
        all
    }

    fn take(&self, worker: Worker) -> (Vec<Worker>, Result<()>) {
        let mut workers = vec![worker];
        for sample in self.samples {
            if let Err(error) = self.check(sample, &workers) {
                return (workers, Err(error));
            }
            let line = Box::new(Rounds::new(sample.batch_size));
            let lent = mem::take(&mut workers);
            let (statistics, home) = (Arc::clone(self.statistics), Arc::clone(self.home));
            let scheduler = Arc::new(Scheduler::new(self.spec, line, statistics, home, lent));
            let result = self.execute(sample, &scheduler);
            workers = scheduler.release();
            if result.is_err() {
                return (workers, result);
            }
        }
        (workers, Ok(()))
    }

    fn check(&self, sample: &Sample, workers: &[Worker]) -> Result<()> {
        let (size, limit) = (sample.batch_size, self.spec.max_batch_size.max(1));
        if size <= limit {
            return Ok(());
        }
        let name = workers.first().map_or("", Worker::name);
        Err(sample.failed(&format!("batch size {size} for '{name}', max allowed is {limit}; ")))
    }

    /// One sample on one worker, on this thread or wherever the worker's instance executes.
    fn execute(&self, sample: &Sample, scheduler: &Arc<Scheduler>) -> Result<()> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| Error::internal(format!("no runtime to warm up `{}`: {error}", self.spec.model)))?;
        let reactor = Arc::<Reactor>::default();
        runtime.block_on(async {
            let rounds = async {
                for _ in 0..sample.count {
                    self.round(sample, scheduler, &reactor).await?;
                }
                Ok(())
            };
            tokio::select! {
                result = rounds => result,
                () = reactor.drive() => Err(Error::stopping()),
            }
        })
    }

    /// One batch.
    async fn round(&self, sample: &Sample, scheduler: &Arc<Scheduler>, reactor: &Arc<Reactor>) -> Result<()> {
        let mut waiting = Vec::new();
        for _ in 0..sample.batch_size {
            let (reply, answers) = reply();
            let mut request = sample.executed(self.spec, Memory::start(self.spec).as_ref());
            scheduler.reshapes.enter(&mut request.inputs)?;
            let job = Job {
                request,
                rows: 1,
                likeness: None,
                arrived: Instant::now(),
                started: None,
                place: None,
                reply: Some(reply),
                watch: None,
                was_abandoned: false,
                kept: None,
                reactor: Arc::clone(reactor),
                scheduler: Arc::clone(scheduler),
                sequence: None,
            };
            scheduler.push(job)?;
            waiting.push(Pending::queued(answers, Arc::clone(scheduler), Arc::clone(reactor)));
        }
        reactor.note(scheduler);
        let mut reasons = String::new();
        for pending in &mut waiting {
            while let Some(answer) = pending.next().await {
                if let Some(Err(error)) = answer.result {
                    reasons += &error.message;
                    reasons += "; ";
                }
            }
        }
        if reasons.is_empty() { Ok(()) } else { Err(sample.failed(&reasons)) }
    }
}
