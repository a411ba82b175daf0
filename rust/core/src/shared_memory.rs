//! Memory that clients on the same machine share with the server: regions of it that tensors are read from and written to.
//!
//! A region is part of a segment of POSIX shared memory, or memory of a GPU. The bytes of a segment go through its file and never through
//! mapped pages, so a client that changes, shrinks or removes its segment while it is in use gets wrong numbers or an error, and harms
//! nobody else; see docs/decisions/0009. What is in memory of a GPU is copied by its driver; see docs/decisions/0010.

mod segment;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::error::{Code, Error, Result};
use crate::gpu::{Gpus, Handle, Loan};
use crate::shared_memory::segment::check_key;
use crate::tensor::{Data, Tensor};

pub use segment::Segment;

/// Bytes that are copied in less than a millisecond.
pub(crate) const LIGHT_BYTES: u64 = 4 << 20;

/// The regions that clients have registered.
#[derive(Debug)]
pub struct Regions {
    /// Whether clients may register any.
    offered: bool,
    /// Where there may be any.
    gpus: Option<Arc<dyn Gpus>>,
    /// Never held across anything that blocks. A region lives on while requests use it.
    named: RwLock<BTreeMap<String, Arc<Region>>>,
}

/// What kind of memory clients share. All regions have different names, whatever their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// POSIX shared memory.
    System,
    /// Memory of a GPU.
    Cuda,
}

/// Memory under a name.
pub struct Region {
    /// What requests call it.
    pub name: String,
    /// How long it is.
    pub byte_size: u64,
    /// Where it is.
    pub memory: Memory,
}

/// The memory of a region.
pub enum Memory {
    /// Part of a segment.
    System(Segment),
    /// That of the GPU of this number, as its driver counts.
    Cuda(usize, Loan),
}

/// Why bytes do not come or go.
enum Fault {
    /// The client has taken them away.
    Shrunk(String),
    /// The system or the driver says so.
    Failed(String),
}

/// Part of a region: where an input is, or where an output goes.
#[derive(Clone, Debug)]
pub struct Slot {
    region: Arc<Region>,
    /// From the start of the region.
    start: u64,
    byte_size: usize,
}

impl Regions {
    /// No regions. Without `offered` it stays so.
    pub fn new(offered: bool) -> Self {
        Self { offered, gpus: None, named: RwLock::default() }
    }

    /// The same, where there may be GPUs.
    #[must_use]
    pub fn with_gpus(self, gpus: Option<Arc<dyn Gpus>>) -> Self {
        Self { gpus, ..self }
    }

    /// Opens a segment and remembers part of it as a region.
    ///
    /// # Errors
    /// `UNSUPPORTED` where the server does not offer it, `ALREADY_EXISTS` for a name that is taken, `INVALID_ARG` for a segment that is not
    /// there or too small.
    pub fn register(&self, name: &str, key: &str, offset: u64, byte_size: u64) -> Result<()> {
        self.check_offered()?;
        self.check_free(name, "system")?;
        check_key(name, key)?;
        let segment = Segment::open(key, offset)?;
        if byte_size == 0 || segment.byte_size().is_none_or(|size| byte_size > size) {
            return Err(invalid_args(name, ""));
        }
        self.add(Region { name: name.to_owned(), byte_size, memory: Memory::System(segment) })
    }

    /// Opens memory of a GPU and remembers it as a region. Waits for the driver.
    ///
    /// # Errors
    /// As `register`; `UNSUPPORTED` also where there is no GPU.
    pub fn register_cuda(&self, name: &str, handle: &[u8], device: i64, byte_size: u64) -> Result<()> {
        self.check_offered()?;
        let Some((gpus, count)) = self.gpus.as_ref().map(|gpus| (gpus, gpus.count())).filter(|(_, count)| *count > 0)
        else {
            let text = format!("failed to register CUDA shared memory region: '{name}', GPUs not supported");
            return Err(Error::new(Code::Unsupported, text));
        };
        self.check_free(name, "cuda")?;
        let bytes = handle.len();
        let handle = <&Handle>::try_from(handle).map_err(|_| {
            invalid_args(name, &format!(": a handle of {bytes} bytes, expected {}", size_of::<Handle>()))
        })?;
        let index = usize::try_from(device).ok().filter(|index| *index < count);
        let index = index
            .ok_or_else(|| invalid_args(name, &format!(": there is no GPU {device}, found {count}, counted from 0")))?;
        let memory = gpus.open(handle, index).map_err(|why| invalid_args(name, &format!(": {why}")))?;
        let found = memory.byte_size();
        if byte_size == 0 || byte_size > found {
            return Err(invalid_args(name, &format!(": {byte_size} bytes of memory that has {found}")));
        }
        self.add(Region { name: name.to_owned(), byte_size, memory: Memory::Cuda(index, Loan::new(memory)) })
    }

    /// Forgets a region of that kind, or all when no name is given. Requests that use one keep it until they are done. Waits for the driver
    /// where it is memory of a GPU: once it is forgotten and not in use, its client may free it.
    ///
    /// # Errors
    /// `UNSUPPORTED` where the server does not offer it.
    pub fn unregister(&self, kind: Kind, name: &str) -> Result<()> {
        self.check_offered()?;
        let mut gone = Vec::new();
        self.named.write().unwrap_or_else(PoisonError::into_inner).retain(|_, region| {
            let is_meant = region.kind() == kind && (name.is_empty() || region.name == name);
            if is_meant {
                gone.push(Arc::clone(region));
            }
            !is_meant
        });
        // Closed before the client is told, unless it is in use.
        for region in gone.into_iter().filter_map(Arc::into_inner) {
            if let Memory::Cuda(_, loan) = region.memory {
                loan.close();
            }
        }
        Ok(())
    }

    /// Whether there is one that takes long to read: it is large, or a driver has to be waited for.
    pub(crate) fn take_long(&self) -> bool {
        let regions = self.named.read().unwrap_or_else(PoisonError::into_inner);
        regions.values().any(|region| region.byte_size > LIGHT_BYTES || region.kind() == Kind::Cuda)
    }

    /// The region of that name, or all of that kind when no name is given.
    ///
    /// # Errors
    /// `NOT_FOUND` for a name that is not known, or that of another kind.
    pub fn status(&self, kind: Kind, name: &str) -> Result<Vec<Arc<Region>>> {
        let regions = self.named.read().unwrap_or_else(PoisonError::into_inner);
        if name.is_empty() {
            return Ok(regions.values().filter(|region| region.kind() == kind).cloned().collect());
        }
        let fault = match (regions.get(name), kind) {
            (Some(region), _) if region.kind() == kind => return Ok(vec![Arc::clone(region)]),
            (None, Kind::System) => format!("Unable to find system shared memory region: '{name}'"),
            (None, Kind::Cuda) => format!("Unable to find cuda shared memory region: '{name}'"),
            (Some(_), Kind::System) => {
                format!("The region named '{name}' is registered as CUDA shared memory, not system shared memory")
            }
            (Some(_), Kind::Cuda) => {
                format!("The region named '{name}' is registered as system shared memory, not CUDA shared memory")
            }
        };
        Err(Error::new(Code::NotFound, fault))
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
            Ok(size) if end <= region.byte_size => Ok(Slot { start: offset, byte_size: size, region }),
            _ => Err(region.too_short()),
        }
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

    fn check_free(&self, name: &str, kind: &str) -> Result<()> {
        if name.is_empty() {
            return Err(Error::invalid(format!("'region name' is necessary to register {kind} shared memory region")));
        }
        self.find(name).map_or(Ok(()), |_| Err(taken(name)))
    }

    fn add(&self, region: Region) -> Result<()> {
        let mut regions = self.named.write().unwrap_or_else(PoisonError::into_inner);
        if regions.contains_key(&region.name) {
            return Err(taken(&region.name));
        }
        regions.insert(region.name.clone(), Arc::new(region));
        Ok(())
    }

    fn find(&self, name: &str) -> Option<Arc<Region>> {
        self.named.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl Slot {
    /// Its bytes as they are now.
    ///
    /// # Errors
    /// `INVALID_ARG` when there are none, or the client has made the segment smaller; `UNAVAILABLE` without memory; `INTERNAL` where the
    /// system or the driver fails.
    pub fn read(&self) -> Result<Data> {
        if self.byte_size == 0 {
            return Err(self.region.too_short());
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.byte_size).map_err(|_| {
            Error::unavailable(format!("{} bytes of region '{}' do not fit memory", self.byte_size, self.region.name))
        })?;
        let failed = |why| self.region.failed("read", why);
        match &self.region.memory {
            Memory::System(segment) => segment.read(self.start, self.byte_size, &mut bytes).map_err(failed)?,
            Memory::Cuda(_, loan) => {
                loan.read(self.start, self.byte_size, &mut bytes).map_err(|why| failed(Fault::Failed(why)))?;
            }
        }
        Ok(Bytes::from(bytes).into())
    }

    /// Writes an output to its place.
    ///
    /// # Errors
    /// `INVALID_ARG` when it does not fit, or the client has made the segment smaller; `INTERNAL` where the system or the driver fails.
    pub fn write(&self, output: &Tensor) -> Result<()> {
        let bytes = output.data.as_slice();
        if bytes.len() > self.byte_size {
            return Err(Error::invalid(format!(
                "shared memory size specified with the request for output '{}' ({} bytes) should be at least {} bytes to hold the results",
                output.name,
                self.byte_size,
                bytes.len()
            )));
        }
        let failed = |why| self.region.failed("write", why);
        match &self.region.memory {
            Memory::System(segment) => segment.write(self.start, bytes).map_err(failed),
            Memory::Cuda(_, loan) => loan.write(self.start, bytes).map_err(|why| failed(Fault::Failed(why))),
        }
    }

    /// Whether getting there waits for the driver of a GPU.
    pub(crate) fn waits(&self) -> bool {
        self.region.kind() == Kind::Cuda
    }
}

impl Region {
    fn kind(&self) -> Kind {
        match self.memory {
            Memory::System(_) => Kind::System,
            Memory::Cuda(..) => Kind::Cuda,
        }
    }

    fn too_short(&self) -> Error {
        Error::invalid(format!("Invalid offset + byte size for shared memory region: '{}'", self.name))
    }

    fn failed(&self, what: &str, fault: Fault) -> Error {
        let Self { name, byte_size, .. } = self;
        match fault {
            Fault::Shrunk(why) => Error::invalid(format!(
                "shared memory region '{name}' was registered with {byte_size} bytes, and {why}"
            )),
            Fault::Failed(why) => Error::internal(format!("failed to {what} shared memory region '{name}': {why}")),
        }
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
        match &self.memory {
            Memory::System(Segment { key, offset, .. }) => {
                write!(f, "Region({} = {key}[{offset}..+{}])", self.name, self.byte_size)
            }
            Memory::Cuda(device, _) => write!(f, "Region({} = {} bytes of GPU {device})", self.name, self.byte_size),
        }
    }
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("shared memory region '{name}' already in manager"))
}

fn invalid_args(name: &str, why: &str) -> Error {
    Error::invalid(format!("failed to register shared memory region '{name}': invalid args{why}"))
}

#[cfg(test)]
pub(crate) mod tests;
