//! What an instance needs while it executes, as its group in the configuration says.

use std::sync::Arc;

use crate::proto::inference::model_instance_group::Kind;
use crate::proto::inference::{ModelConfig, ModelInstanceGroup};

/// A resource: one that all devices share, or that of one device. The CPU counts as device 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Resource {
    pub(crate) name: Arc<str>,
    pub(crate) device: Option<u32>,
}

impl Resource {
    pub(crate) fn on(name: &str, device: u32) -> Self {
        Self { name: name.into(), device: Some(device) }
    }

    pub(crate) fn shared(name: &str) -> Self {
        Self { name: name.into(), device: None }
    }

    pub(crate) fn is_global(&self) -> bool {
        self.device.is_none()
    }
}

/// What one instance needs of each resource, and its weight: one of 1 gets twice the turns of one of 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) needs: Vec<(Resource, u64)>,
    pub(crate) weight: u64,
}

impl Demand {
    /// What the instance of that name needs; nothing when its group does not say.
    pub(crate) fn of(config: &ModelConfig, instance: &str) -> Option<Self> {
        let groups = &config.instance_group;
        let place =
            |group: &ModelInstanceGroup| instance.strip_prefix(group.name.as_str())?.strip_prefix('_')?.parse().ok();
        let named = groups.iter().find_map(|group| Some((group, place(group)?)));
        // A backend that names its instances otherwise still belongs to the only group there is.
        let (group, index) = named.or(groups.first().filter(|_| groups.len() == 1).map(|group| (group, 0)))?;
        Self::read(group, device(group, index))
    }

    /// What the instances of a group need, those on each of its devices.
    pub(crate) fn all(group: &ModelInstanceGroup) -> Vec<Self> {
        let count = usize::try_from(group.count).unwrap_or(1).max(1);
        (0..group.gpus.len().max(1)).filter_map(|place| Self::read(group, device(group, place * count))).collect()
    }

    fn read(group: &ModelInstanceGroup, device: u32) -> Option<Self> {
        let limiter = group.rate_limiter.as_ref()?;
        let mut needs: Vec<(Resource, u64)> = Vec::new();
        for resource in limiter.resources.iter().filter(|resource| resource.count > 0) {
            let name = resource.name.as_str();
            let key = if resource.global { Resource::shared(name) } else { Resource::on(name, device) };
            let count = u64::from(resource.count);
            match needs.iter_mut().find(|(known, _)| *known == key) {
                Some((_, most)) => *most = count.max(*most),
                None => needs.push((key, count)),
            }
        }
        let weight = u64::from(limiter.priority.max(1));
        (!needs.is_empty()).then_some(Self { needs, weight })
    }

    pub(crate) fn count(&self, resource: &Resource) -> Option<u64> {
        self.needs.iter().find(|(known, _)| known == resource).map(|&(_, count)| count)
    }
}

/// Where an instance is: a group has as many on each of its GPUs, in their order.
fn device(group: &ModelInstanceGroup, index: usize) -> u32 {
    if matches!(group.kind(), Kind::Cpu | Kind::Model) {
        return 0;
    }
    let place = index / usize::try_from(group.count).unwrap_or(1).max(1);
    let listed = group.gpus.get(place).and_then(|&gpu| u32::try_from(gpu).ok());
    listed.unwrap_or(if group.gpus.is_empty() { place as u32 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::inference::ModelRateLimiter;
    use crate::proto::inference::model_rate_limiter::Resource as Wanted;

    fn config() -> ModelConfig {
        let resource = |name: &str, count, global| Wanted { name: name.into(), count, global };
        let group = |name: &str, kind: Kind, gpus: &[i32], resources: Vec<Wanted>| ModelInstanceGroup {
            name: name.into(),
            kind: kind.into(),
            count: 2,
            gpus: gpus.to_vec(),
            rate_limiter: Some(ModelRateLimiter { resources, priority: 3 }),
            ..ModelInstanceGroup::default()
        };
        ModelConfig {
            instance_group: vec![
                group("m_0", Kind::Cpu, &[], vec![resource("R", 2, false), resource("G", 1, true)]),
                group("m_0_x", Kind::Gpu, &[4, 7], vec![resource("R", 1, false), resource("R", 3, false)]),
                group("m_1", Kind::Cpu, &[], vec![resource("R", 0, false)]),
            ],
            ..ModelConfig::default()
        }
    }

    #[test]
    fn an_instance_needs_what_its_group_says_on_its_own_device() {
        let needs = |name: &str| Demand::of(&config(), name).map(|demand| demand.needs);

        assert_eq!(needs("m_0_1"), Some(vec![(Resource::on("R", 0), 2), (Resource::shared("G"), 1)]));
        assert_eq!(needs("m_0_x_0"), Some(vec![(Resource::on("R", 4), 3)]), "of one told twice, the most");
        assert_eq!(needs("m_0_x_3"), Some(vec![(Resource::on("R", 7), 3)]));
        assert_eq!(needs("m_1_0"), None, "none of something is nothing");
        assert_eq!(needs("other"), None);
    }

    #[test]
    fn a_group_needs_it_on_each_of_its_devices() {
        let devices: Vec<Option<u32>> =
            Demand::all(&config().instance_group[1]).iter().map(|demand| demand.needs[0].0.device).collect();

        assert_eq!(devices, [Some(4), Some(7)]);
    }
}
