//! Memory that clients on the same machine share with the server: regions of POSIX shared memory that tensors are read from and written to.
//!
//! The bytes go through the segment's file and never through mapped pages, so a client that changes, shrinks or removes its segment while
//! it is in use gets wrong numbers or an error, and harms nobody else; see docs/decisions/0009.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::{Errno, pread, pwrite};

use crate::error::{Code, Error, Result};
use crate::tensor::{Data, Tensor};

/// Where the system keeps its segments.
const SEGMENTS: &str = "/dev/shm";

/// Segments under such names belong to model processes of another server.
const RESERVED_PREFIX: &str = "triton_python_backend_shm_region_";

/// Bytes that are copied in less than a millisecond.
pub(crate) const LIGHT_BYTES: u64 = 4 << 20;

/// The regions that clients have registered.
#[derive(Debug)]
pub struct Regions {
    /// Whether clients may register any.
    offered: bool,
    /// Never held across anything that blocks. A region lives on while requests use it.
    regions: RwLock<BTreeMap<String, Arc<Region>>>,
}

/// Part of a segment, under a name.
pub struct Region {
    /// What requests call it.
    pub name: String,
    /// What the system calls the segment.
    pub key: String,
    /// Where it starts in the segment.
    pub offset: u64,
    /// How long it is.
    pub byte_size: u64,
    segment: OwnedFd,
}

/// Part of a region: where an input is, or where an output goes.
#[derive(Clone, Debug)]
pub struct Slot {
    region: Arc<Region>,
    /// From the start of the segment.
    start: u64,
    byte_size: usize,
}

impl Regions {
    /// No regions. Without `offered` it stays so.
    pub fn new(offered: bool) -> Self {
        Self { offered, regions: RwLock::default() }
    }

    /// Opens a segment and remembers part of it as a region.
    ///
    /// # Errors
    /// `UNSUPPORTED` where the server does not offer it, `ALREADY_EXISTS` for a name that is taken, `INVALID_ARG` for a segment that is not
    /// there or too small.
    pub fn register(&self, name: &str, key: &str, offset: u64, byte_size: u64) -> Result<()> {
        self.check_offered()?;
        if name.is_empty() {
            return Err(Error::invalid("'region name' is necessary to register system shared memory region"));
        }
        let taken = || Error::new(Code::AlreadyExists, format!("shared memory region '{name}' already in manager"));
        if self.find(name).is_some() {
            return Err(taken());
        }
        check_key(name, key)?;
        let segment = open(key)?;
        let end = offset.checked_add(byte_size).filter(|_| byte_size > 0);
        if end.is_none_or(|end| size_of(&segment).is_none_or(|size| end > size)) {
            return Err(Error::invalid(format!("failed to register shared memory region '{name}': invalid args")));
        }
        let region = Arc::new(Region { name: name.to_owned(), key: key.to_owned(), offset, byte_size, segment });
        let mut regions = self.regions.write().unwrap_or_else(PoisonError::into_inner);
        if regions.contains_key(name) {
            return Err(taken());
        }
        regions.insert(name.to_owned(), region);
        Ok(())
    }

    /// Forgets a region, or all when no name is given. Requests that use one keep it until they are done.
    ///
    /// # Errors
    /// `UNSUPPORTED` where the server does not offer it.
    pub fn unregister(&self, name: &str) -> Result<()> {
        self.check_offered()?;
        let mut regions = self.regions.write().unwrap_or_else(PoisonError::into_inner);
        if name.is_empty() {
            regions.clear();
        } else {
            regions.remove(name);
        }
        Ok(())
    }

    /// Whether there is one that takes long to read.
    pub(crate) fn are_large(&self) -> bool {
        let regions = self.regions.read().unwrap_or_else(PoisonError::into_inner);
        regions.values().any(|region| region.byte_size > LIGHT_BYTES)
    }

    /// The region of that name, or all when no name is given.
    ///
    /// # Errors
    /// `NOT_FOUND` for a name that is not known.
    pub fn status(&self, name: &str) -> Result<Vec<Arc<Region>>> {
        if name.is_empty() {
            return Ok(self.regions.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect());
        }
        let unknown = || Error::new(Code::NotFound, format!("Unable to find system shared memory region: '{name}'"));
        self.find(name).map(|region| vec![region]).ok_or_else(unknown)
    }

    /// Part of a region, for one tensor.
    ///
    /// # Errors
    /// `NOT_FOUND` for a name that is not known, `INVALID_ARG` for what is not inside the region.
    pub fn slot(&self, name: &str, offset: u64, byte_size: u64) -> Result<Slot> {
        let region = self
            .find(name)
            .ok_or_else(|| Error::new(Code::NotFound, format!("Unable to find shared memory region: '{name}'")))?;
        if offset >= region.byte_size {
            return Err(Error::invalid(format!("Invalid offset for shared memory region: '{name}'")));
        }
        let end = offset.checked_add(byte_size).ok_or_else(|| {
            Error::invalid(format!(
                "Integer overflow detected: byte_size ({byte_size}) + offset ({offset}) exceeds maximum value ({}) for region '{name}'",
                u64::MAX
            ))
        })?;
        match usize::try_from(byte_size) {
            Ok(size) if end <= region.byte_size => Ok(Slot { start: region.offset + offset, byte_size: size, region }),
            _ => Err(region.too_short()),
        }
    }

    fn find(&self, name: &str) -> Option<Arc<Region>> {
        self.regions.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Whether memory of GPUs is registered under that name, which it never is.
    ///
    /// # Errors
    /// `NOT_FOUND` for any name.
    pub fn cuda_status(&self, name: &str) -> Result<()> {
        if name.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::NotFound, format!("Unable to find cuda shared memory region: '{name}'")))
    }

    /// Why memory of a GPU is not registered.
    pub fn refuse_cuda(&self, name: &str) -> Error {
        let text = format!("failed to register CUDA shared memory region: '{name}', GPUs not supported");
        Error::new(Code::Unsupported, text)
    }

    /// Forgets memory of GPUs, of which there is none.
    ///
    /// # Errors
    /// `UNSUPPORTED` where the server does not offer shared memory.
    pub fn unregister_cuda(&self) -> Result<()> {
        self.check_offered()
    }

    /// # Errors
    /// `UNSUPPORTED` where the server does not offer shared memory.
    pub fn check_offered(&self) -> Result<()> {
        if self.offered {
            return Ok(());
        }
        Err(Error::new(
            Code::Unsupported,
            "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable.",
        ))
    }
}

impl Slot {
    /// Its bytes as they are now.
    ///
    /// # Errors
    /// `INVALID_ARG` when there are none, or the client has made the segment smaller; `UNAVAILABLE` without memory.
    pub fn read(&self) -> Result<Data> {
        if self.byte_size == 0 {
            return Err(self.region.too_short());
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.byte_size).map_err(|_| {
            Error::unavailable(format!("{} bytes of region '{}' do not fit memory", self.byte_size, self.region.name))
        })?;
        while bytes.len() < self.byte_size {
            let at = self.start + bytes.len() as u64;
            match pread(&self.region.segment, spare_capacity(&mut bytes), at) {
                Ok(0) => return Err(self.shrunk()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed("read", error)),
            }
        }
        // An allocator may give more than was asked for.
        bytes.truncate(self.byte_size);
        Ok(Bytes::from(bytes).into())
    }

    /// Writes an output to its place.
    ///
    /// # Errors
    /// `INVALID_ARG` when it does not fit, or the client has made the segment smaller.
    pub fn write(&self, output: &Tensor) -> Result<()> {
        let mut rest = output.data.as_slice();
        if rest.len() > self.byte_size {
            return Err(Error::invalid(format!(
                "shared memory size specified with the request for output '{}' ({} bytes) should be at least {} bytes to hold the results",
                output.name,
                self.byte_size,
                rest.len()
            )));
        }
        let mut at = self.start;
        // A write beyond its end would make the segment larger.
        if size_of(&self.region.segment).is_none_or(|size| at + rest.len() as u64 > size) {
            return Err(self.shrunk());
        }
        while !rest.is_empty() {
            match pwrite(&self.region.segment, rest, at) {
                Ok(count) => {
                    rest = &rest[count..];
                    at += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed("write", error)),
            }
        }
        Ok(())
    }

    fn shrunk(&self) -> Error {
        let Region { name, key, byte_size, .. } = &*self.region;
        Error::invalid(format!(
            "shared memory region '{name}' was registered with {byte_size} bytes, and its segment '{key}' has become smaller"
        ))
    }

    fn failed(&self, what: &str, error: Errno) -> Error {
        Error::internal(format!("failed to {what} shared memory region '{}': {error}", self.region.name))
    }
}

impl Region {
    fn too_short(&self) -> Error {
        Error::invalid(format!("Invalid offset + byte size for shared memory region: '{}'", self.name))
    }
}

/// Two slots are the same when they are the same bytes.
impl PartialEq for Slot {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.region, &other.region) && (self.start, self.byte_size) == (other.start, other.byte_size)
    }
}

impl Eq for Slot {}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({} = {}[{}..+{}])", self.name, self.key, self.offset, self.byte_size)
    }
}

/// A key is one word after the slash that POSIX wants in front.
fn check_key(name: &str, key: &str) -> Result<()> {
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

fn open(key: &str) -> Result<OwnedFd> {
    let path = format!("{SEGMENTS}/{}", key.trim_start_matches('/'));
    // What stands among the segments without being one must neither lead elsewhere nor keep the server waiting.
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(|_| Error::invalid(format!("Unable to open shared memory region: '{key}'")))
}

/// The real size of a segment; none for anything else.
fn size_of(segment: &OwnedFd) -> Option<u64> {
    let status = fstat(segment).ok()?;
    let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
    u64::try_from(status.st_size).ok().filter(|_| is_file)
}

#[cfg(test)]
pub(crate) mod tests;
