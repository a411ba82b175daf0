//! A segment of POSIX shared memory that belongs to a client. Its bytes go through its file; see docs/decisions/0009.

use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::{Errno, pread, pwrite};

use crate::error::{Error, Result};
use crate::shared_memory::Fault;

/// Where the system keeps its segments.
pub(super) const SEGMENTS: &str = "/dev/shm";

/// Segments under such names belong to model processes of another server.
const RESERVED_PREFIX: &str = "triton_python_backend_shm_region_";

/// Part of an open segment: from `offset` on.
pub struct Segment {
    /// What the system calls the segment.
    pub key: String,
    /// Where the part starts.
    pub offset: u64,
    file: OwnedFd,
}

impl Segment {
    pub(super) fn open(key: &str, offset: u64) -> Result<Self> {
        let path = format!("{SEGMENTS}/{}", key.trim_start_matches('/'));
        // What stands among the segments without being one must neither lead elsewhere nor keep the server waiting.
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let unable = |_| Error::invalid(format!("Unable to open shared memory region: '{key}'"));
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(unable)?;
        Ok(Self { key: key.to_owned(), offset, file })
    }

    /// How long the part can be: there is no more of the segment. None of anything that is no segment.
    pub(super) fn byte_size(&self) -> Option<u64> {
        let status = fstat(&self.file).ok()?;
        let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
        u64::try_from(status.st_size).ok().filter(|_| is_file)?.checked_sub(self.offset)
    }

    /// Fills `bytes`, which has room for so many, with those from `at` on.
    pub(super) fn read(&self, at: u64, byte_size: usize, bytes: &mut Vec<u8>) -> std::result::Result<(), Fault> {
        while bytes.len() < byte_size {
            let at = self.offset + at + bytes.len() as u64;
            match pread(&self.file, spare_capacity(bytes), at) {
                Ok(0) => return Err(self.shrunk()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Fault::Failed(error.to_string())),
            }
        }
        // An allocator may give more than was asked for.
        bytes.truncate(byte_size);
        Ok(())
    }

    pub(super) fn write(&self, at: u64, mut rest: &[u8]) -> std::result::Result<(), Fault> {
        // A write beyond its end would make the segment larger.
        if self.byte_size().is_none_or(|size| at + rest.len() as u64 > size) {
            return Err(self.shrunk());
        }
        let mut at = self.offset + at;
        while !rest.is_empty() {
            match pwrite(&self.file, rest, at) {
                Ok(count) => {
                    rest = &rest[count..];
                    at += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(Fault::Failed(error.to_string())),
            }
        }
        Ok(())
    }

    fn shrunk(&self) -> Fault {
        Fault::Shrunk(format!("its segment '{}' has become smaller", self.key))
    }
}

/// A key is one word after the slash that POSIX wants in front.
pub(super) fn check_key(name: &str, key: &str) -> Result<()> {
    let word = key.trim_start_matches('/');
    if word.starts_with(RESERVED_PREFIX) {
        return Err(Error::invalid(format!(
            "cannot register shared memory region '{name}' with key '{key}' as the key contains the reserved prefix '{RESERVED_PREFIX}'"
        )));
    }
    if word.is_empty() || word.contains(['/', '\0']) {
        return Err(Error::invalid(format!("cannot register shared memory region '{name}' - invalid shm key '{key}'")));
    }
    Ok(())
}
