//! GPUs, as far as the data plane has to do with them: memory that clients lend, and what metrics tell. Who drives them is another crate;
//! this one neither knows their libraries nor has unsafe code for them.

use std::fmt::Debug;

use tokio::runtime::Handle as Runtime;

/// What names memory of a GPU to other processes: a `cudaIpcMemHandle_t`.
pub type Handle = [u8; HANDLE_BYTES];

/// Its bytes.
pub const HANDLE_BYTES: usize = 64;

/// The GPUs of this machine. Methods wait for the driver: they are called on threads made for that.
pub trait Gpus: Debug + Send + Sync {
    /// How many there are; none where there is no driver.
    fn count(&self) -> usize;

    /// Opens memory of a GPU that another process allocated.
    ///
    /// # Errors
    /// Why the driver does not, in its own words.
    fn open(&self, handle: &Handle, device: usize) -> Result<Box<dyn DeviceMemory>, String>;

    /// The name of a GPU, the same for ever and everywhere: `GPU-` and so on.
    fn uuid(&self, device: usize) -> Option<String>;

    /// What all of them do now. What one does not tell is missing.
    fn readings(&self) -> Vec<Reading>;
}

/// What a GPU does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Its name.
    pub uuid: String,
    /// How much of the time it worked lately: 0 to 1.
    pub utilization: Option<f64>,
    /// All its memory.
    pub memory_total_bytes: Option<u64>,
    /// What of it is in use.
    pub memory_used_bytes: Option<u64>,
    /// What it draws.
    pub power_watts: Option<f64>,
    /// What it may draw.
    pub power_limit_watts: Option<f64>,
    /// What it has used since some time in the past.
    pub energy_joules: Option<f64>,
}

/// Memory of a GPU that another process allocated. Dropped, it is closed.
pub trait DeviceMemory: Send + Sync {
    /// How much there is, as the driver knows it.
    fn byte_size(&self) -> u64;

    /// Appends `byte_size` bytes to `bytes`, which has room for them.
    ///
    /// # Errors
    /// Why the driver does not, in its own words.
    fn read(&self, at: u64, byte_size: usize, bytes: &mut Vec<u8>) -> Result<(), String>;

    /// Writes bytes to their place.
    ///
    /// # Errors
    /// Why the driver does not, in its own words.
    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), String>;
}

/// Memory that is closed on a thread made for that, wherever its last user lets go of it.
pub struct Loan(Option<Box<dyn DeviceMemory>>);

impl Loan {
    pub(crate) fn new(memory: Box<dyn DeviceMemory>) -> Self {
        Self(Some(memory))
    }

    pub(crate) fn read(&self, at: u64, byte_size: usize, bytes: &mut Vec<u8>) -> Result<(), String> {
        self.memory()?.read(at, byte_size, bytes)
    }

    pub(crate) fn write(&self, at: u64, bytes: &[u8]) -> Result<(), String> {
        self.memory()?.write(at, bytes)
    }

    fn memory(&self) -> Result<&dyn DeviceMemory, String> {
        self.0.as_deref().ok_or_else(|| "it is closed: this is a bug in windlass".to_owned())
    }

    /// Closes it on this thread.
    pub(crate) fn close(mut self) {
        self.0 = None;
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(memory) = self.0.take() else { return };
        if let Ok(runtime) = Runtime::try_current() {
            runtime.spawn_blocking(move || drop(memory));
        }
    }
}
