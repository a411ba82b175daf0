//! Named resources that instances of all models share: an instance executes while it has what its configuration says it needs.
//!
//! `demand` tells what an instance needs, `pool` who may go. Without `--rate-limit` there is no limiter, and an instance that needs nothing
//! never meets it.

mod demand;
mod pool;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use prost::Message;

use crate::error::{Error, Result};
use crate::proto::inference::ModelConfig;
use demand::{Demand, Resource};
use pool::Pool;

/// How much there is of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// How much there is.
    pub count: u64,
    /// Where; on every device without it. One that all devices share has none.
    pub device: Option<u32>,
}

/// What the instances of a server share.
pub struct RateLimiter {
    limits: Vec<Limit>,
    /// Held for the length of a decision.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pool: Pool,
    /// Of those that wait.
    wakers: HashMap<u64, Waker>,
}

impl RateLimiter {
    /// Resources and how much there is of each. Without any limit there is as much of each as the most demanding instance needs; with one,
    /// nothing of those that are not listed.
    pub fn new(limits: Vec<Limit>) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Whether every instance of a model could ever execute. `config` is a serialised `ModelConfig`.
    ///
    /// # Errors
    /// `INVALID_ARG` for one that needs more of a resource than there is, and for a resource that is both shared and not.
    pub fn check(&self, config: &[u8]) -> Result<()> {
        self.check_groups(&ModelConfig::decode(config).map_err(|error| Error::invalid(error.to_string()))?)
    }

    fn check_groups(&self, config: &ModelConfig) -> Result<()> {
        let demands: Vec<Demand> = config.instance_group.iter().flat_map(Demand::all).collect();
        let needs = || demands.iter().flat_map(|demand| &demand.needs);
        let state = self.lock();
        for (resource, _) in needs() {
            let otherwise =
                |(other, _): &(Resource, u64)| other.name == resource.name && other.is_global() != resource.is_global();
            if state.pool.is_known_otherwise(resource) || needs().any(otherwise) {
                return Err(Error::invalid(format!(
                    "Resource \"{}\" is present as both global and device-specific resource in the model configuration.",
                    resource.name
                )));
            }
        }
        for (resource, count) in needs() {
            if let Some(limit) = self.limit(resource).filter(|limit| limit < count) {
                return Err(Error::invalid(format!(
                    "Resource count for \"{}\" is limited to {limit} which will prevent scheduling of one or more model instances, the \
                     minimum required count is {count}",
                    resource.name
                )));
            }
        }
        Ok(())
    }

    /// The stake of an instance; none when it needs nothing.
    pub(crate) fn stake(self: &Arc<Self>, config: &ModelConfig, instance: &str) -> Option<Stake> {
        let demand = Demand::of(config, instance)?;
        let mut state = self.lock();
        let number = state.pool.join(demand, |resource| self.limit(resource));
        // Where it brought more of a resource, others may go.
        let next = state.pool.eligible();
        Self::wake(state, &next);
        Some(Stake { limiter: Arc::clone(self), number })
    }

    /// How much there is of a resource, where the server was told.
    fn limit(&self, resource: &Resource) -> Option<u64> {
        if self.limits.is_empty() {
            return None;
        }
        let named = || self.limits.iter().filter(|limit| *limit.name == *resource.name);
        let here = |limit: &&Limit| resource.is_global() || limit.device == resource.device;
        let everywhere = |limit: &&Limit| limit.device.is_none();
        let found = named().rfind(here).or_else(|| named().rfind(everywhere));
        Some(found.map_or(0, |limit| limit.count))
    }

    /// Wakes those that may go now. Not under the lock: they come back to it.
    fn wake(mut state: MutexGuard<'_, State>, numbers: &[u64]) {
        let wakers: Vec<Waker> = numbers.iter().filter_map(|number| state.wakers.remove(number)).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An instance's part in it. Dropped with the instance.
pub(crate) struct Stake {
    limiter: Arc<RateLimiter>,
    number: u64,
}

impl Stake {
    /// How many turns the instance has had, by its weight: the least comes first.
    pub(crate) fn standing(&self) -> u64 {
        self.limiter.lock().pool.standing(self.number)
    }

    /// Whether the instance may execute now. If not, it is woken when it should ask again.
    pub(crate) fn claim(&self, waker: impl FnOnce() -> Waker) -> bool {
        let mut state = self.limiter.lock();
        let granted = state.pool.claim(self.number);
        if granted {
            state.wakers.remove(&self.number);
        } else {
            state.wakers.insert(self.number, waker());
        }
        granted
    }

    /// The instance is done.
    pub(crate) fn release(&self) {
        let mut state = self.limiter.lock();
        let next = state.pool.release(self.number);
        RateLimiter::wake(state, &next);
    }

    /// It has nothing to execute after all.
    pub(crate) fn withdraw(&self) {
        let mut state = self.limiter.lock();
        state.wakers.remove(&self.number);
        let next = state.pool.withdraw(self.number);
        RateLimiter::wake(state, &next);
    }
}

impl Drop for Stake {
    fn drop(&mut self) {
        let mut state = self.limiter.lock();
        let waker = state.wakers.remove(&self.number);
        let next = state.pool.leave(self.number);
        RateLimiter::wake(state, &next);
        // It may be what kept its scheduler alive: that ends outside the lock.
        drop(waker);
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::inference::model_rate_limiter::Resource as Wanted;
    use crate::proto::inference::{ModelInstanceGroup, ModelRateLimiter};

    fn needing(resources: &[(&str, u32, bool)]) -> ModelConfig {
        let resource = |&(name, count, global): &(&str, u32, bool)| Wanted { name: name.into(), count, global };
        let resources = resources.iter().map(resource).collect();
        let limiter = Some(ModelRateLimiter { resources, priority: 0 });
        let group = ModelInstanceGroup { name: "m_0".into(), rate_limiter: limiter, ..ModelInstanceGroup::default() };
        ModelConfig { instance_group: vec![group], ..ModelConfig::default() }
    }

    fn limit(name: &str, count: u64, device: Option<u32>) -> Limit {
        Limit { name: name.into(), count, device }
    }

    #[test]
    fn an_instance_that_could_never_execute_is_refused() {
        let limiter = RateLimiter::new(vec![limit("R", 4, None), limit("S", 2, Some(1))]);

        assert!(limiter.check_groups(&needing(&[("R", 4, false), ("other", 0, false)])).is_ok());
        for (name, there) in [("R", 4), ("S", 0), ("T", 0)] {
            assert_eq!(
                limiter.check_groups(&needing(&[(name, 5, false)])).expect_err("too much").message,
                format!(
                    "Resource count for \"{name}\" is limited to {there} which will prevent scheduling of one or more model \
                     instances, the minimum required count is 5"
                )
            );
        }
        assert!(limiter.check_groups(&needing(&[("S", 2, true)])).is_ok(), "what is shared has no device");
        assert!(
            RateLimiter::new(vec![]).check_groups(&needing(&[("R", 5, false)])).is_ok(),
            "as much as anybody needs"
        );
    }

    #[test]
    fn a_resource_is_either_shared_or_not() {
        let limiter = Arc::new(RateLimiter::new(vec![]));
        let text = "Resource \"R\" is present as both global and device-specific resource in the model configuration.";
        let stake = limiter.stake(&needing(&[("R", 1, false)]), "m_0_0");

        let refusal = |config: &ModelConfig| limiter.check_groups(config).expect_err("both").message;
        assert_eq!(refusal(&needing(&[("R", 1, true)])), text);
        assert_eq!(refusal(&needing(&[("R", 1, true), ("R", 1, false)])), text);
        drop(stake);
        assert!(limiter.check_groups(&needing(&[("R", 1, true)])).is_ok(), "nobody needs the other any more");
    }
}
