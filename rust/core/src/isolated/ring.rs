//! Memory that two processes share: one writes tensors into it in turn, the other copies them out.
//!
//! Positions only ever grow; a position's place is its remainder by the capacity. The reader says how far it has read in the first word of
//! the memory, so that freeing costs no message. What does not fit now is sent another way.
#![allow(unsafe_code)] // the memory is mapped here and nowhere else; nobody outside sees a pointer

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::proto::isolated::Span;

/// Room for tensors. Pages that were never written take no memory.
const CAPACITY: u64 = 256 << 20;
/// The first word and what keeps the tensors apart from it.
const HEADER: usize = 4096;
const ALIGNMENT: u64 = 64;

/// The memory, as one process sees it.
struct Mapping {
    start: NonNull<u8>,
    capacity: u64,
}

// SAFETY: the mapping is plain memory; who may touch which part of it is what positions say.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(memory: &OwnedFd) -> io::Result<Self> {
        let size = usize::try_from(fstat(memory)?.st_size).unwrap_or(0);
        if size <= HEADER {
            return Err(io::Error::other("the shared memory is too small"));
        }
        let flags = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; its size is sealed, so its pages do not go away.
        let start = unsafe { mmap(ptr::null_mut(), size, flags, MapFlags::SHARED, memory, 0)? };
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at no address"))?;
        Ok(Self { start, capacity: (size - HEADER) as u64 })
    }

    /// How far the reader has read.
    fn read_up_to(&self) -> &AtomicU64 {
        // SAFETY: the first word of the mapping is only ever used as this atomic, by both processes; pages are aligned.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().cast()) }
    }

    /// The place of a span that does not run over the end.
    fn place(&self, position: u64, size: u64) -> Option<*mut u8> {
        let offset = position % self.capacity;
        if offset.checked_add(size)? > self.capacity {
            return None;
        }
        // SAFETY: within the mapping, as was just checked.
        Some(unsafe { self.start.as_ptr().add(HEADER + offset as usize) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody holds a pointer into it.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), HEADER + self.capacity as usize) };
    }
}

/// Makes memory for a ring. Its size can not be changed by whoever is handed it.
pub(crate) fn memory() -> io::Result<OwnedFd> {
    let memory = memfd_create(c"windlass", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&memory, HEADER as u64 + CAPACITY)?;
    fcntl_add_seals(memory.as_fd(), SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(memory)
}

/// The end that writes.
pub(crate) struct Inlet {
    mapping: Mapping,
    written: u64,
}

impl Inlet {
    pub(crate) fn new(memory: &OwnedFd) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::new(memory)?, written: 0 })
    }

    /// Copies bytes in; `None` when there is no room now.
    pub(crate) fn put(&mut self, data: &[u8]) -> Option<Span> {
        let capacity = self.mapping.capacity;
        let size = (data.len() as u64).next_multiple_of(ALIGNMENT);
        let mut read = self.mapping.read_up_to().load(Ordering::Acquire);
        if read >= self.written {
            // All was read: begin at the start again, where the pages are warm. The reader writes nothing before it is given something.
            self.written = self.written.next_multiple_of(capacity);
            read = self.written;
            self.mapping.read_up_to().store(read, Ordering::Release);
        }
        let mut position = self.written;
        if position % capacity + size > capacity {
            position = position.next_multiple_of(capacity);
        }
        if position + size - read > capacity {
            return None;
        }
        let place = self.mapping.place(position, size)?;
        // SAFETY: the reader was told of nothing in this span, and is past what was there before.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), place, data.len()) };
        self.written = position + size;
        Some(Span { position, size: data.len() as u64 })
    }
}

/// The end that reads.
pub(crate) struct Outlet {
    mapping: Mapping,
}

impl Outlet {
    pub(crate) fn new(memory: &OwnedFd) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::new(memory)? })
    }

    /// Copies bytes out and frees their place. Spans are taken in the order in which they were written. `None` for one that cannot be.
    pub(crate) fn take(&mut self, span: Span) -> Option<BytesMut> {
        let place = self.mapping.place(span.position, span.size)?;
        let size = span.size as usize;
        let mut bytes = BytesMut::with_capacity(size);
        // SAFETY: the span is within the mapping; the writer leaves it alone until it is freed below; there is room for it, all of which is
        // written before it counts. Were the other process to write all the same, the copy would hold other numbers, and nothing else.
        unsafe {
            ptr::copy_nonoverlapping(place, bytes.as_mut_ptr(), size);
            bytes.set_len(size);
        }
        let end = span.position.saturating_add(span.size.next_multiple_of(ALIGNMENT));
        self.mapping.read_up_to().store(end, Ordering::Release);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> (Inlet, Outlet) {
        let memory = memory().expect("memory");
        (Inlet::new(&memory).expect("a mapping"), Outlet::new(&memory).expect("a mapping"))
    }

    #[test]
    fn what_goes_in_comes_out_in_turn() {
        let (mut inlet, mut outlet) = ring();
        let spans: Vec<Span> = (1..100_u8).map(|n| inlet.put(&vec![n; usize::from(n) * 100]).expect("room")).collect();
        for (n, span) in (1..100_u8).zip(spans) {
            assert_eq!(outlet.take(span).expect("a span"), vec![n; usize::from(n) * 100]);
        }
    }

    #[test]
    fn a_full_ring_takes_nothing_until_something_is_read() {
        let (mut inlet, mut outlet) = ring();
        let large = vec![7; (CAPACITY / 2) as usize];
        let first = inlet.put(&large).expect("room");
        inlet.put(&large).expect("room");
        assert!(inlet.put(b"more").is_none());
        outlet.take(first).expect("a span");
        let over_the_end = inlet.put(b"more").expect("room");
        assert_eq!(over_the_end.position % CAPACITY, 0);
    }

    #[test]
    fn an_empty_ring_begins_at_its_start_again() {
        let (mut inlet, mut outlet) = ring();
        for _ in 0..3 {
            let span = inlet.put(b"hello").expect("room");
            assert_eq!(span.position % CAPACITY, 0);
            assert_eq!(&outlet.take(span).expect("a span")[..], b"hello");
        }
    }

    #[test]
    fn a_span_outside_of_the_ring_is_none() {
        let (_, mut outlet) = ring();
        assert!(outlet.take(Span { position: CAPACITY - 1, size: 2 }).is_none());
        assert!(outlet.take(Span { position: u64::MAX, size: u64::MAX }).is_none());
    }
}
