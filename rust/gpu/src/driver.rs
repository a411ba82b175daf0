//! The GPUs as the data plane sees them.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

use windlass_core::control::Level;
use windlass_core::gpu::{DeviceMemory, Gpus, Handle, Reading};

use crate::cuda::Cuda;
use crate::meter::Meter;

/// Hears what is worth a line in the log.
pub type Tell = Box<dyn Fn(Level, &str) + Send + Sync>;

/// The driver of the GPUs of this machine, where there is one.
pub struct Driver {
    tell: Tell,
    /// Opened when it is first needed: that takes a while, and memory of every GPU.
    cuda: OnceLock<Option<Arc<Cuda>>>,
    meter: OnceLock<Option<Meter>>,
}

impl Driver {
    /// A driver that looks for its libraries when they are needed. What it finds, or why it finds none, it tells.
    pub fn new(tell: Tell) -> Self {
        Self { tell, cuda: OnceLock::new(), meter: OnceLock::new() }
    }

    fn cuda(&self) -> Option<&Arc<Cuda>> {
        let open = || match Cuda::open() {
            Ok(cuda) => Some(Arc::new(cuda)),
            Err(why) => {
                (self.tell)(Level::Info, &format!("no CUDA shared memory: {why}"));
                None
            }
        };
        self.cuda.get_or_init(open).as_ref()
    }

    fn meter(&self) -> Option<&Meter> {
        let open = || match Meter::open() {
            Ok(meter) => Some(meter),
            Err(why) => {
                (self.tell)(Level::Info, &format!("no metrics of GPUs: {}", cause(&why)));
                None
            }
        };
        self.meter.get_or_init(open).as_ref()
    }
}

impl Gpus for Driver {
    fn count(&self) -> usize {
        self.cuda().map_or(0, |cuda| cuda.count())
    }

    fn open(&self, handle: &Handle, device: usize) -> Result<Box<dyn DeviceMemory>, String> {
        let cuda = self.cuda().ok_or("there is no CUDA driver")?;
        Ok(Box::new(cuda.lend(handle, device)?))
    }

    fn uuid(&self, device: usize) -> Option<String> {
        self.cuda()?.uuid(device).ok()
    }

    fn readings(&self) -> Vec<Reading> {
        self.meter().map_or_else(Vec::new, |meter| meter.readings(&self.tell))
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

/// The innermost reason: what is around it says less.
fn cause(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}
