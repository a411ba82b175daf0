//! Shared memory of a client.
#![allow(dead_code)] // each test file uses its own part

use std::fs::{File, OpenOptions, remove_file};
use std::os::unix::fs::FileExt;
use std::process;

/// A segment, named after its test; gone when that ends.
pub(crate) struct Segment {
    pub(crate) key: String,
    file: File,
}

impl Segment {
    pub(crate) fn new(test: &str, bytes: &[u8]) -> Self {
        let key = format!("/test_{test}_{}", process::id());
        let path = format!("/dev/shm{key}");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.expect("a segment");
        file.write_all_at(bytes, 0).expect("there is room");
        Self { key, file }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.file.metadata().expect("a file").len() as usize];
        self.file.read_exact_at(&mut bytes, 0).expect("as many");
        bytes
    }

    pub(crate) fn floats(&self) -> Vec<f32> {
        self.bytes().chunks_exact(4).map(|part| f32::from_le_bytes([part[0], part[1], part[2], part[3]])).collect()
    }

    pub(crate) fn shrink(&self, size: u64) {
        self.file.set_len(size).expect("a smaller segment");
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let _ = remove_file(format!("/dev/shm{}", self.key));
    }
}
