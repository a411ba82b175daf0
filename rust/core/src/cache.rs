//! Answers kept for requests that are asked again: of all models together, least recently used first out, under one limit in bytes.
//!
//! A request is known by a cryptographic digest of all that decides its answer. Two requests with one digest do not happen, not even by
//! intent, so the inputs themselves, which are often far larger than the answers, need not be kept to be compared.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blake3::Hasher;
use bytes::Bytes;

use crate::request::{Parameters, Request, Response};
use crate::spec::Spec;
use crate::statistics::Spent;
use crate::tensor::{DataType, Name, Shape, Tensor};

/// What an entry takes besides the bytes of its tensors, roughly.
const ENTRY_BYTES: usize = 256;

type Digest = [u8; 32];

/// What was asked, for one load of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    owner: u64,
    digest: Digest,
}

/// The tensors of an answer. Its parameters are not kept: they may tell of the request, which the next one need not be like.
type Kept = Arc<[Output]>;

#[derive(Debug)]
struct Output {
    name: Name,
    data_type: DataType,
    shape: Shape,
    data: Bytes,
}

#[derive(Debug)]
struct Entry {
    owner: u64,
    size: usize,
    used: u64,
    answer: Kept,
}

/// The answers of all models that ask for it.
#[derive(Debug)]
pub struct Cache {
    limit_bytes: usize,
    owners: AtomicU64,
    /// Held for a look-up or a change, never for a copy of tensors.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Digest, Entry>,
    /// Digests by when they were used last.
    order: BTreeMap<u64, Digest>,
    clock: u64,
    size_bytes: usize,
}

/// The part of the cache that belongs to one load of one version. Dropped, its answers are forgotten.
#[derive(Debug)]
pub(crate) struct Share {
    cache: Arc<Cache>,
    owner: u64,
    spec: Arc<Spec>,
}

impl Cache {
    /// A cache that keeps so many bytes.
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, owners: AtomicU64::new(0), state: Mutex::default() }
    }

    /// Bytes that are kept now.
    pub fn size_bytes(&self) -> usize {
        self.lock().size_bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&mut self, digest: &Digest) -> Option<Kept> {
        self.clock += 1;
        let entry = self.entries.get_mut(digest)?;
        self.order.remove(&entry.used);
        entry.used = self.clock;
        self.order.insert(self.clock, *digest);
        Some(entry.answer.clone())
    }

    fn insert(&mut self, key: Key, answer: Kept, size: usize, limit: usize) {
        self.remove(&key.digest);
        while self.size_bytes + size > limit {
            let Some(oldest) = self.order.first_entry().map(|entry| *entry.get()) else { return };
            self.remove(&oldest);
        }
        self.clock += 1;
        self.size_bytes += size;
        self.order.insert(self.clock, key.digest);
        self.entries.insert(key.digest, Entry { owner: key.owner, size, used: self.clock, answer });
    }

    fn remove(&mut self, digest: &Digest) {
        if let Some(entry) = self.entries.remove(digest) {
            self.order.remove(&entry.used);
            self.size_bytes -= entry.size;
        }
    }
}

impl Share {
    /// A part for a version that was just loaded.
    pub(crate) fn new(cache: &Arc<Cache>, spec: &Arc<Spec>) -> Self {
        let owner = cache.owners.fetch_add(1, Ordering::Relaxed);
        Self { cache: Arc::clone(cache), owner, spec: Arc::clone(spec) }
    }

    /// What identifies a request: this load of the version, the inputs, and the outputs asked for. Not its parameters.
    pub(crate) fn key(&self, request: &Request) -> Key {
        let mut hasher = Hasher::new();
        hasher.update(&self.owner.to_le_bytes());
        // How many inputs there are, so that none is taken for the name of an output.
        hasher.update(&(request.inputs.len() as u64).to_le_bytes());
        let mut inputs: Vec<&Tensor> = request.inputs.iter().collect();
        inputs.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for input in inputs {
            update(&mut hasher, input.name.as_bytes());
            hasher.update(&[input.data_type as u8, input.shape.len() as u8]);
            for size in &input.shape {
                hasher.update(&size.to_le_bytes());
            }
            update(&mut hasher, input.data.as_slice());
        }
        let mut outputs: Vec<&Name> = request.outputs.iter().collect();
        outputs.sort_unstable();
        for output in outputs {
            update(&mut hasher, output.as_bytes());
        }
        Key { owner: self.owner, digest: *hasher.finalize().as_bytes() }
    }

    /// The answer that was kept for a request.
    pub(crate) fn find(&self, key: &Key, request: &Request) -> Option<Response> {
        let kept = self.cache.lock().find(&key.digest)?;
        let tensor = |output: &Output| Tensor {
            name: output.name.clone(),
            data_type: output.data_type,
            shape: output.shape.clone(),
            data: output.data.clone().into(),
        };
        Some(Response {
            id: request.id.clone(),
            model: self.spec.model.clone(),
            version: self.spec.version,
            parameters: Parameters::new(),
            outputs: kept.iter().map(tensor).collect(),
            spent: Spent::default(),
        })
    }

    /// Keeps an answer, unless it is larger than the whole cache. Its bytes are copied: they may be a part of a whole batch.
    pub(crate) fn keep(&self, key: Key, response: &Response) {
        let tensors = response.outputs.iter().map(|output| output.data.len() + output.name.len()).sum::<usize>();
        let size = ENTRY_BYTES + tensors;
        if size > self.cache.limit_bytes {
            return;
        }
        let output = |tensor: &Tensor| Output {
            name: tensor.name.clone(),
            data_type: tensor.data_type,
            shape: tensor.shape.clone(),
            data: Bytes::copy_from_slice(tensor.data.as_slice()),
        };
        let answer = response.outputs.iter().map(output).collect();
        self.cache.lock().insert(key, answer, size, self.cache.limit_bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        let gone: Vec<Digest> =
            state.entries.iter().filter(|(_, entry)| entry.owner == self.owner).map(|(digest, _)| *digest).collect();
        for digest in &gone {
            state.remove(digest);
        }
    }
}

/// A part of what is digested, so that it cannot run into the next.
fn update(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::inference::ModelConfig;

    fn tensor(name: &str, shape: &[i64], data: &[u8]) -> Tensor {
        let (data_type, data) = (DataType::Uint8, Bytes::copy_from_slice(data).into());
        Tensor { name: Name::from(name), data_type, shape: shape.to_vec(), data }
    }

    fn share(cache: &Arc<Cache>) -> Share {
        let spec = Spec::read(1, ModelConfig::default(), Bytes::new()).expect("a good configuration");
        Share::new(cache, &Arc::new(spec))
    }

    fn request(inputs: Vec<Tensor>) -> Request {
        Request { inputs, ..Request::default() }
    }

    fn keep(share: &Share, question: u8, size: usize) {
        let response = Response {
            id: "first".into(),
            model: Name::from("m"),
            version: 1,
            parameters: Parameters::new(),
            outputs: vec![tensor("o", &[size as i64], &vec![question; size])],
            spent: Spent::default(),
        };
        share.keep(share.key(&request(vec![tensor("i", &[1], &[question])])), &response);
    }

    fn found(share: &Share, question: u8) -> Option<Vec<u8>> {
        let asked = Request { id: "second".into(), ..request(vec![tensor("i", &[1], &[question])]) };
        let response = share.find(&share.key(&asked), &asked)?;
        assert_eq!(response.id, "second");
        Some(response.outputs[0].data.as_slice().to_vec())
    }

    #[test]
    fn an_answer_is_found_again_and_the_oldest_makes_room() {
        let cache = Arc::new(Cache::new(3 * (ENTRY_BYTES + 101)));
        let share = share(&cache);
        for question in 0..3 {
            keep(&share, question, 100);
        }
        assert_eq!(found(&share, 0), Some(vec![0; 100]), "used just now");

        keep(&share, 3, 100);

        assert_eq!((found(&share, 0).is_some(), found(&share, 1).is_some()), (true, false));
        assert_eq!(cache.size_bytes(), 3 * (ENTRY_BYTES + 101));
    }

    #[test]
    fn an_answer_larger_than_the_cache_is_not_kept_and_pushes_nothing_out() {
        let cache = Arc::new(Cache::new(1000));
        let share = share(&cache);
        keep(&share, 0, 100);

        keep(&share, 1, 1000);

        assert_eq!((found(&share, 0).is_some(), found(&share, 1).is_some()), (true, false));
    }

    #[test]
    fn what_is_kept_again_is_counted_once() {
        let cache = Arc::new(Cache::new(10_000));
        let share = share(&cache);
        for _ in 0..5 {
            keep(&share, 0, 100);
        }
        assert_eq!(cache.size_bytes(), ENTRY_BYTES + 101);
    }

    #[test]
    fn one_load_never_finds_the_answers_of_another_and_takes_its_own_along() {
        let cache = Arc::new(Cache::new(10_000));
        let (old, new) = (share(&cache), share(&cache));
        keep(&old, 0, 100);
        assert_eq!(found(&new, 0), None);
        keep(&new, 0, 50);

        drop(old);

        assert_eq!(found(&new, 0), Some(vec![0; 50]));
        assert_eq!(cache.size_bytes(), ENTRY_BYTES + 51);
    }

    #[test]
    fn whatever_decides_the_answer_tells_requests_apart() {
        let cache = Arc::new(Cache::new(1000));
        let share = share(&cache);
        let two = |one: &[u8], other: &[u8]| request(vec![tensor("a", &[2], one), tensor("b", &[2], other)]);
        let base = two(&[1, 2], &[3, 4]);
        let mut wide = two(&[1, 2], &[3, 4]);
        wide.inputs[0].shape = vec![1, 2];
        let mut typed = two(&[1, 2], &[3, 4]);
        typed.inputs[1].data_type = DataType::Int8;
        let mut partial = two(&[1, 2], &[3, 4]);
        partial.outputs = vec![Name::from("o")];
        let swapped = request(vec![tensor("b", &[2], &[1, 2]), tensor("a", &[2], &[3, 4])]);

        for other in [two(&[1, 2], &[3, 5]), two(&[1], &[2, 3, 4]), wide, typed, partial, swapped] {
            assert_ne!(share.key(&base), share.key(&other), "{other:?}");
        }
        let turned = request(vec![tensor("b", &[2], &[3, 4]), tensor("a", &[2], &[1, 2])]);
        assert_eq!(share.key(&base), share.key(&turned), "the order does not matter");
    }
}
