//! Memory that two processes share: one writes tensors into it, the other copies them out or reads them where they are.
//!
//! The writer keeps the list of what is free. Before every span lies a word that says whether it is lent; the reader clears it when it is done,
//! in whatever order it likes, so that giving back costs no message. What does not fit now is sent another way.
#![allow(unsafe_code)] // the memory is mapped here and nowhere else

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::BytesMut;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::proto::isolated::Span;

/// Room for tensors. Pages that were never written take no memory.
const CAPACITY: u64 = 256 << 20;
/// The widest vector unit's; the word before a span takes as much.
const ALIGNMENT: u64 = 64;

const FREE: u32 = 0;
const LENT: u32 = 1;

/// The memory, as one process sees it.
struct Mapping {
    start: NonNull<u8>,
    size: u64,
}

// SAFETY: the mapping is plain memory; who may touch which part of it is what the words before the spans say.
unsafe impl Send for Mapping {}
// SAFETY: as above; the words are atomic.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(memory: &OwnedFd) -> io::Result<Arc<Self>> {
        let size = u64::try_from(fstat(memory)?.st_size).unwrap_or(0);
        let flags = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; its size is sealed, so its pages do not go away.
        let start = unsafe { mmap(ptr::null_mut(), size as usize, flags, MapFlags::SHARED, memory, 0)? };
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at no address"))?;
        Ok(Arc::new(Self { start, size }))
    }

    /// The word before a span, and the span's first byte; `None` for a span that is not within the memory.
    fn place(&self, span: Span) -> Option<(&AtomicU32, *mut u8)> {
        let end = span.position.checked_add(span.size)?;
        if end > self.size || span.position < ALIGNMENT || !span.position.is_multiple_of(ALIGNMENT) {
            return None;
        }
        // SAFETY: both lie within the mapping, as was just checked; the word is aligned, and only ever used as this atomic.
        unsafe {
            let first = self.start.as_ptr().add(span.position as usize);
            Some((AtomicU32::from_ptr(first.sub(ALIGNMENT as usize).cast()), first))
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: whoever holds a pointer into it holds the mapping.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.size as usize) };
    }
}

/// Makes memory to share. Its size can not be changed by whoever is handed it.
pub(super) fn memory() -> io::Result<OwnedFd> {
    let memory = memfd_create(c"windlass", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&memory, CAPACITY)?;
    fcntl_add_seals(memory.as_fd(), SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(memory)
}

/// The end that writes.
pub(super) struct Inlet {
    mapping: Arc<Mapping>,
    /// Places and sizes, of which no two touch.
    free: BTreeMap<u64, u64>,
    lent: Vec<(u64, u64)>,
}

impl Inlet {
    pub(super) fn new(memory: &OwnedFd) -> io::Result<Self> {
        let mapping = Mapping::new(memory)?;
        Ok(Self { free: BTreeMap::from([(0, mapping.size)]), lent: Vec::new(), mapping })
    }

    /// Copies bytes in; `None` when there is no room now.
    pub(super) fn put(&mut self, data: &[u8]) -> Option<Span> {
        self.collect();
        let size = ALIGNMENT + (data.len() as u64).next_multiple_of(ALIGNMENT);
        // The lowest place that is large enough: its pages are the likeliest to be warm.
        let (&place, &room) = self.free.iter().find(|(_, room)| **room >= size)?;
        let span = Span { position: place + ALIGNMENT, size: data.len() as u64 };
        let (word, first) = self.mapping.place(span)?;
        word.store(LENT, Ordering::Relaxed);
        // SAFETY: the reader has given back what was here before, and was not told of this span yet.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), first, data.len()) };
        self.free.remove(&place);
        if room > size {
            self.free.insert(place + size, room - size);
        }
        self.lent.push((place, size));
        Some(span)
    }

    /// Takes back what the reader is done with.
    fn collect(&mut self) {
        let (mapping, free) = (&self.mapping, &mut self.free);
        self.lent.retain(|&(place, size)| {
            let span = Span { position: place + ALIGNMENT, size: 0 };
            let lent = mapping.place(span).is_some_and(|(word, _)| word.load(Ordering::Acquire) != FREE);
            if !lent {
                give_back(free, place, size);
            }
            lent
        });
    }
}

/// Adds a place to those that are free, and joins it with its neighbours.
fn give_back(free: &mut BTreeMap<u64, u64>, mut place: u64, mut size: u64) {
    if let Some(behind) = free.remove(&(place + size)) {
        size += behind;
    }
    if let Some((&before, &room)) = free.range(..place).next_back()
        && before + room == place
    {
        free.remove(&before);
        place = before;
        size += room;
    }
    free.insert(place, size);
}

/// The end that reads.
pub(super) struct Outlet(Arc<Mapping>);

impl Outlet {
    pub(super) fn new(memory: &OwnedFd) -> io::Result<Self> {
        Mapping::new(memory).map(Self)
    }

    /// Copies bytes out and gives their place back. `None` for a span that is none. For a reader that does not trust the writer: nothing it
    /// has got is written by somebody else afterwards.
    pub(super) fn take(&self, span: Span) -> Option<BytesMut> {
        let (word, first) = self.0.place(span)?;
        let size = span.size as usize;
        let mut bytes = BytesMut::with_capacity(size);
        // SAFETY: the span is within the mapping; there is room for it in `bytes`, all of which is written before it counts. Were the other
        // process to write meanwhile, the copy would hold other numbers, and nothing else.
        unsafe {
            ptr::copy_nonoverlapping(first, bytes.as_mut_ptr(), size);
            bytes.set_len(size);
        }
        word.store(FREE, Ordering::Release);
        Some(bytes)
    }

    /// Borrows bytes where they are. For a reader that trusts the writer to leave them alone meanwhile.
    pub(super) fn borrow(&self, span: Span) -> Option<Loan> {
        self.0.place(span)?;
        Some(Loan { mapping: Arc::clone(&self.0), span })
    }
}

/// Bytes in memory that is shared with another process. Nobody else reads or writes them until they are given back, by dropping this.
pub struct Loan {
    mapping: Arc<Mapping>,
    span: Span,
}

impl Loan {
    /// The first byte, to be read and written as long as this lives.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.mapping.place(self.span).map_or(ptr::null_mut(), |(_, first)| first)
    }
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        let Some((_, first)) = self.mapping.place(self.span) else { return &[] };
        // SAFETY: the span is within the mapping, which lives as long as this; nobody else touches it meanwhile.
        unsafe { slice::from_raw_parts(first, self.span.size as usize) }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some((word, _)) = self.mapping.place(self.span) {
            word.store(FREE, Ordering::Release);
        }
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loan({:?})", self.span)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment() -> (Inlet, Outlet) {
        let memory = memory().expect("memory");
        (Inlet::new(&memory).expect("a mapping"), Outlet::new(&memory).expect("a mapping"))
    }

    #[test]
    fn what_goes_in_comes_out() {
        let (mut inlet, outlet) = segment();
        let spans: Vec<Span> = (1..100_u8).map(|n| inlet.put(&vec![n; usize::from(n) * 100]).expect("room")).collect();
        for (n, span) in (1..100_u8).zip(spans) {
            assert_eq!(outlet.take(span).expect("a span"), vec![n; usize::from(n) * 100]);
        }
    }

    #[test]
    fn full_memory_takes_nothing_until_something_is_given_back() {
        let (mut inlet, outlet) = segment();
        let large = vec![7; (CAPACITY / 2 - ALIGNMENT) as usize];
        let first = outlet.borrow(inlet.put(&large).expect("room")).expect("a span");
        let _second = outlet.borrow(inlet.put(&large).expect("room")).expect("a span");
        assert!(inlet.put(b"more").is_none());
        drop(first);
        assert!(inlet.put(b"more").is_some());
    }

    #[test]
    fn a_span_outside_of_the_memory_is_none() {
        let (_, outlet) = segment();
        for (position, size) in [(CAPACITY - 64, 65), (0, 1), (65, 1), (u64::MAX - 63, 64), (64, u64::MAX)] {
            assert!(outlet.take(Span { position, size }).is_none(), "{position} {size}");
        }
    }

    proptest! {
        #[test]
        fn loans_never_overlap_and_all_memory_comes_back(steps in proptest::collection::vec((1..100_000_usize, 0..8_usize), 1..200)) {
            let (mut inlet, outlet) = segment();
            let mut held: Vec<(u8, usize, Loan)> = Vec::new();
            for (turn, (size, keep)) in steps.into_iter().enumerate() {
                let mark = turn as u8;
                let span = inlet.put(&vec![mark; size]).expect("there is room for two hundred of these");
                held.push((mark, size, outlet.borrow(span).expect("a span")));
                while held.len() > keep {
                    let (mark, size, loan) = held.swap_remove(held.len() / 2);
                    prop_assert_eq!(loan.as_ref(), &vec![mark; size][..]);
                }
            }
            held.clear();
            inlet.collect();
            prop_assert_eq!(inlet.free, BTreeMap::from([(0, CAPACITY)]));
        }
    }
}
