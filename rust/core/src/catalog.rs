//! What is loaded now, and what is known of what is not. Picks the version that answers a request.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::{Error, Result};
use crate::model::Model;
use crate::tensor::Name;

/// Where a version is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Answers requests.
    Ready,
    /// Does not; the reason tells why.
    Unavailable,
    /// On its way in.
    Loading,
    /// On its way out.
    Unloading,
}

impl State {
    /// Every state with its name in the protocol.
    const TABLE: [(Self, &'static str); 4] = [
        (Self::Ready, "READY"),
        (Self::Unavailable, "UNAVAILABLE"),
        (Self::Loading, "LOADING"),
        (Self::Unloading, "UNLOADING"),
    ];

    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        Self::TABLE[self as usize].1
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

/// One line of the repository index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The model.
    pub model: Name,
    /// The version; `None` for a model of which no version is known.
    pub version: Option<i64>,
    /// Its state; `None` for a model that was never loaded.
    pub state: Option<State>,
    /// Why it is in that state; often empty.
    pub reason: String,
}

#[derive(Default)]
struct Entry {
    /// What is said of the model as a whole, as long as it has no version.
    whole: Option<(State, String)>,
    versions: BTreeMap<i64, Slot>,
}

struct Slot {
    state: State,
    reason: String,
    model: Option<Arc<Model>>,
}

impl Slot {
    fn ready(&self) -> Option<&Arc<Model>> {
        self.model.as_ref().filter(|_| self.state == State::Ready)
    }
}

/// All models known to the server.
#[derive(Default)]
pub(crate) struct Catalog(RwLock<BTreeMap<Name, Entry>>);

impl Catalog {
    /// The version that answers: the one named, or the highest that is ready when `version` is empty.
    pub(crate) fn pick(&self, name: &str, version: &str) -> Result<Arc<Model>> {
        let entries = self.read();
        if version.is_empty() {
            let entry = entries.get(name).ok_or_else(|| Error::unknown_model(name))?;
            let ready = entry.versions.values().rev().find_map(Slot::ready);
            return ready.cloned().ok_or_else(|| Error::no_versions(name));
        }
        let number = parse_version(version)?;
        let entry = entries.get(name).ok_or_else(|| Error::unknown_model(name))?;
        let slot = entry.versions.get(&number).ok_or_else(|| Error::unknown_version(name, number))?;
        slot.ready().cloned().ok_or_else(|| Error::not_ready(name, number))
    }

    /// Puts a version in service; returns the one it replaces.
    pub(crate) fn publish(&self, model: Arc<Model>) -> Option<Arc<Model>> {
        let (name, version) = (model.spec.model.clone(), model.spec.version);
        let mut entries = self.write();
        let entry = entries.entry(name).or_default();
        entry.whole = None;
        let slot = Slot { state: State::Ready, reason: String::new(), model: Some(model) };
        entry.versions.insert(version, slot).and_then(|old| old.model)
    }

    /// Notes the state of a version, or of a model without versions. A version that is ready stays in service.
    pub(crate) fn announce(&self, name: &str, version: Option<i64>, state: State, reason: &str) {
        let mut entries = self.write();
        let entry = entries.entry(Name::from(name)).or_default();
        let Some(version) = version else {
            entry.whole = Some((state, reason.to_owned()));
            return;
        };
        let slot = entry.versions.entry(version).or_insert(Slot { state, reason: String::new(), model: None });
        if slot.ready().is_none() {
            slot.state = state;
            reason.clone_into(&mut slot.reason);
        }
    }

    /// Takes a version out of service; returns it, so that it can be brought to its end.
    pub(crate) fn withdraw(&self, name: &str, version: i64) -> Option<Arc<Model>> {
        let mut entries = self.write();
        let slot = entries.get_mut(name)?.versions.get_mut(&version)?;
        let model = slot.model.take()?;
        slot.state = State::Unloading;
        slot.reason.clear();
        Some(model)
    }

    /// Strikes a model out, as if it had never been known; returns what was in service.
    pub(crate) fn forget(&self, name: &str) -> Vec<Arc<Model>> {
        let entry = self.write().remove(name).unwrap_or_default();
        entry.versions.into_values().filter_map(|slot| slot.model).collect()
    }

    /// Whether that version is ready; without one, whether any is.
    pub(crate) fn is_ready(&self, name: &str, version: &str) -> Result<bool> {
        match self.pick(name, version) {
            Ok(model) => model.trouble().map_or(Ok(true), Err),
            Err(_) if version.is_empty() && self.read().contains_key(name) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether every model has a version, and every version is healthy or was unloaded on request.
    pub(crate) fn all_ready(&self) -> bool {
        let settled = self.read().values().all(|entry| {
            let settled = |slot: &Slot| slot.ready().is_some() || slot.reason == "unloaded";
            !entry.versions.is_empty() && entry.versions.values().all(settled)
        });
        // A model's own code may have a say in it, which must not be asked while the catalog is locked.
        settled && self.ready().iter().all(|model| model.trouble().is_none())
    }

    /// Everything in service, by name and version.
    pub(crate) fn ready(&self) -> Vec<Arc<Model>> {
        self.read().values().flat_map(|entry| entry.versions.values().filter_map(Slot::ready)).cloned().collect()
    }

    /// What is in service of one model, by version.
    pub(crate) fn ready_of(&self, name: &str) -> Vec<Arc<Model>> {
        let entries = self.read();
        let versions = entries.get(name).map(|entry| entry.versions.values());
        versions.into_iter().flatten().filter_map(Slot::ready).cloned().collect()
    }

    /// The repository index.
    pub(crate) fn index(&self, only_ready: bool) -> Vec<IndexEntry> {
        let mut index = Vec::new();
        for (name, entry) in self.read().iter() {
            if entry.versions.is_empty() && !only_ready {
                let (state, reason) = entry.whole.clone().unzip();
                let reason = reason.unwrap_or_default();
                index.push(IndexEntry { model: name.clone(), version: None, state, reason });
            }
            for (&version, slot) in &entry.versions {
                if !only_ready || slot.state == State::Ready {
                    let (state, reason) = (Some(slot.state), slot.reason.clone());
                    index.push(IndexEntry { model: name.clone(), version: Some(version), state, reason });
                }
            }
        }
        index
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Name, Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Name, Entry>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A version as clients write it. The texts are those that the protocol's first server produced.
fn parse_version(text: &str) -> Result<i64> {
    const RULE: &str = "version should be an integral value > 0";
    let number: i64 = text.parse().map_err(|_| {
        Error::invalid(format!(
            "failed to get model version from specified version string '{text}' (details: stol), {RULE}"
        ))
    })?;
    if number < 0 {
        return Err(Error::invalid(format!("invalid model version specified '{text}' , {RULE}")));
    }
    Ok(number)
}
