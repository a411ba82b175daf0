//! The CUDA driver, as far as memory that another process lends needs it. The functions are those of `libcuda.so.1`, found by their names.
#![allow(unsafe_code)] // foreign functions are called: every call says why what it is given is right

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt::Write as _;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;

use libloading::{Library, Symbol};
use windlass_core::gpu::{DeviceMemory, HANDLE_BYTES, Handle};

const LIBRARY: &str = "libcuda.so.1";

/// `CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS`: memory of a GPU other than the one that was named is reached through that one.
const PEER_ACCESS: c_uint = 1;
/// `CU_STREAM_NON_BLOCKING`: copies wait for no kernel of a model that runs in this process.
const NON_BLOCKING: c_uint = 1;

type Outcome = c_int;
type Device = c_int;
type Context = *mut c_void;
type Stream = *mut c_void;
type Address = u64;

/// `CUipcMemHandle`, which is handed over by value.
#[repr(C)]
#[derive(Clone, Copy)]
struct IpcHandle([u8; HANDLE_BYTES]);

/// Declares the functions that are used: what each is called here, its name in the library (or names, of which any will do), and what it
/// takes.
macro_rules! functions {
    ($($field:ident = $($symbol:literal)|+ ($($argument:ty),*);)*) => {
        struct Functions {
            $($field: unsafe extern "C" fn($($argument),*) -> Outcome,)*
        }

        impl Functions {
            fn find(library: &Library) -> Result<Self, String> {
                // SAFETY: the types are those of cuda.h for these names, which the driver keeps for ever: a change gets a new name.
                unsafe {
                    Ok(Self { $($field: *find(library, &[$($symbol),+])?,)* })
                }
            }
        }
    };
}

/// The function of the first of these names that the library has.
///
/// # Safety
/// The function has to be of that type.
unsafe fn find<'a, T>(library: &'a Library, names: &[&str]) -> Result<Symbol<'a, T>, String> {
    // SAFETY: the caller knows.
    let found = names.iter().find_map(|name| unsafe { library.get(name.as_bytes()) }.ok());
    found.ok_or_else(|| format!("{LIBRARY} has no {}", names.join(" or ")))
}

functions! {
    init = "cuInit" (c_uint);
    error_name = "cuGetErrorName" (Outcome, *mut *const c_char);
    device_count = "cuDeviceGetCount" (*mut c_int);
    device = "cuDeviceGet" (*mut Device, c_int);
    uuid = "cuDeviceGetUuid" | "cuDeviceGetUuid_v2" (*mut [u8; 16], Device);
    retain_context = "cuDevicePrimaryCtxRetain" (*mut Context, Device);
    release_context = "cuDevicePrimaryCtxRelease_v2" (Device);
    push_context = "cuCtxPushCurrent_v2" (Context);
    pop_context = "cuCtxPopCurrent_v2" (*mut Context);
    create_stream = "cuStreamCreate" (*mut Stream, c_uint);
    destroy_stream = "cuStreamDestroy_v2" (Stream);
    synchronize = "cuStreamSynchronize" (Stream);
    open_handle = "cuIpcOpenMemHandle_v2" (*mut Address, IpcHandle, c_uint);
    close_handle = "cuIpcCloseMemHandle" (Address);
    address_range = "cuMemGetAddressRange_v2" (*mut Address, *mut usize, Address);
    to_host = "cuMemcpyDtoHAsync_v2" (*mut c_void, Address, usize, Stream);
    to_device = "cuMemcpyHtoDAsync_v2" (Address, *const c_void, usize, Stream);
}

/// The driver, with at least one GPU.
pub(crate) struct Cuda {
    functions: Functions,
    count: usize,
    /// Never unloaded: the driver has threads of its own.
    _library: ManuallyDrop<Library>,
}

impl Cuda {
    /// Finds the driver and its GPUs.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn open() -> Result<Self, String> {
        // SAFETY: what runs when the driver's library is loaded is the driver's.
        let library = unsafe { Library::new(LIBRARY) }.map_err(|error| error.to_string())?;
        let functions = Functions::find(&library)?;
        let mut cuda = Self { functions, count: 0, _library: ManuallyDrop::new(library) };
        let mut count = 0;
        // SAFETY: there are no flags, and the count has a place of its own.
        unsafe {
            cuda.check("cuInit", (cuda.functions.init)(0))?;
            cuda.check("cuDeviceGetCount", (cuda.functions.device_count)(&raw mut count))?;
        }
        cuda.count = usize::try_from(count).unwrap_or(0);
        if cuda.count == 0 { Err("the CUDA driver has no device".to_owned()) } else { Ok(cuda) }
    }

    /// How many GPUs there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Opens memory that another process allocated.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn lend(self: &Arc<Self>, handle: &Handle, device: usize) -> Result<Lent, String> {
        let primary = Primary::of(self, device)?;
        let mut lent = Lent { primary, stream: ptr::null_mut(), start: 0, byte_size: 0 };
        lent.open(handle)?;
        Ok(lent)
    }

    /// The name of a GPU, as NVML has it: a whole GPU's, also where the process is given a part.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn uuid(&self, number: usize) -> Result<String, String> {
        let device = self.device(number)?;
        let mut uuid = [0; 16];
        // SAFETY: there is room for the sixteen bytes.
        self.check("cuDeviceGetUuid", unsafe { (self.functions.uuid)(&raw mut uuid, device) })?;
        let mut name = "GPU".to_owned();
        for (place, byte) in uuid.iter().enumerate() {
            let dash = if [0, 4, 6, 8, 10].contains(&place) { "-" } else { "" };
            let _ = write!(name, "{dash}{byte:02x}");
        }
        Ok(name)
    }

    fn device(&self, number: usize) -> Result<Device, String> {
        let number = c_int::try_from(number).map_err(|error| error.to_string())?;
        let mut device = 0;
        // SAFETY: the device has a place of its own.
        self.check("cuDeviceGet", unsafe { (self.functions.device)(&raw mut device, number) })?;
        Ok(device)
    }

    /// Fails with the driver's own name for what went wrong.
    fn check(&self, call: &str, outcome: Outcome) -> Result<(), String> {
        if outcome == 0 {
            return Ok(());
        }
        let mut name = ptr::null();
        // SAFETY: the name has a place of its own; the driver sets it to a constant text, or to nothing.
        let known = unsafe { (self.functions.error_name)(outcome, &raw mut name) == 0 && !name.is_null() };
        if !known {
            return Err(format!("{call}: error {outcome}"));
        }
        // SAFETY: it was just set.
        let name = unsafe { CStr::from_ptr(name) };
        Err(format!("{call}: {}", name.to_string_lossy()))
    }
}

/// The primary context of a GPU: that which frameworks in this process use as well. It exists as long as somebody retains it.
struct Primary {
    cuda: Arc<Cuda>,
    device: Device,
    context: Context,
}

impl Primary {
    fn of(cuda: &Arc<Cuda>, number: usize) -> Result<Self, String> {
        let device = cuda.device(number)?;
        let mut context = ptr::null_mut();
        // SAFETY: the context has a place of its own.
        let retained = unsafe { (cuda.functions.retain_context)(&raw mut context, device) };
        cuda.check("cuDevicePrimaryCtxRetain", retained)?;
        Ok(Self { cuda: Arc::clone(cuda), device, context })
    }

    /// Does work with the context current on this thread, and leaves the thread as it was.
    fn within(&self, work: impl FnOnce(&Functions) -> Result<(), String>) -> Result<(), String> {
        let functions = &self.cuda.functions;
        // SAFETY: the context is retained as long as this exists.
        self.check("cuCtxPushCurrent", unsafe { (functions.push_context)(self.context) })?;
        let done = work(functions);
        let mut popped = ptr::null_mut();
        // SAFETY: what is popped was pushed above, and has a place of its own.
        let left = self.check("cuCtxPopCurrent", unsafe { (functions.pop_context)(&raw mut popped) });
        done.and(left)
    }

    fn check(&self, call: &str, outcome: Outcome) -> Result<(), String> {
        self.cuda.check(call, outcome)
    }
}

impl Drop for Primary {
    fn drop(&mut self) {
        // SAFETY: it was retained once, and nothing of it is in use any more. That it fails has no consequences.
        unsafe { (self.cuda.functions.release_context)(self.device) };
    }
}

/// Memory that another process allocated, and a stream for copies from and to it.
pub(crate) struct Lent {
    primary: Primary,
    /// Null until it is created.
    stream: Stream,
    /// 0 until it is opened, and never after.
    start: Address,
    byte_size: u64,
}

// SAFETY: contexts, streams and addresses belong to no thread; the driver may be called from any.
unsafe impl Send for Lent {}
// SAFETY: the same. Copies on one stream follow each other, and each waits for its own.
unsafe impl Sync for Lent {}

impl Lent {
    /// Opens it. Whatever was made before a failure is given back by `drop`.
    fn open(&mut self, handle: &Handle) -> Result<(), String> {
        let Self { primary, stream, start, byte_size } = self;
        primary.within(|functions| {
            let (mut base, mut size) = (0, 0);
            // SAFETY: everything that is set has a place of its own, and the context is current.
            unsafe {
                primary.check("cuStreamCreate", (functions.create_stream)(stream, NON_BLOCKING))?;
                let opened = (functions.open_handle)(start, IpcHandle(*handle), PEER_ACCESS);
                primary.check("cuIpcOpenMemHandle", opened)?;
                let found = (functions.address_range)(&raw mut base, &raw mut size, *start);
                primary.check("cuMemGetAddressRange", found)?;
            }
            *byte_size = (base + size as u64).saturating_sub(*start);
            Ok(())
        })
    }

    /// Refuses to leave the memory, whoever asks.
    fn check_bounds(&self, at: u64, byte_size: usize) -> Result<(), String> {
        match at.checked_add(byte_size as u64) {
            Some(end) if end <= self.byte_size => Ok(()),
            _ => Err(format!("{byte_size} bytes from {at} of {}: this is a bug in windlass", self.byte_size)),
        }
    }
}

impl DeviceMemory for Lent {
    fn byte_size(&self) -> u64 {
        self.byte_size
    }

    fn read(&self, at: u64, byte_size: usize, bytes: &mut Vec<u8>) -> Result<(), String> {
        self.check_bounds(at, byte_size)?;
        bytes.reserve(byte_size);
        let room = bytes.spare_capacity_mut().as_mut_ptr().cast();
        self.primary.within(|functions| {
            // SAFETY: both places have so many bytes, and stay until the copy is done, which is waited for also when it failed to start.
            unsafe {
                let copied = (functions.to_host)(room, self.start + at, byte_size, self.stream);
                let done = (functions.synchronize)(self.stream);
                self.primary.check("cuMemcpyDtoHAsync", copied)?;
                self.primary.check("cuStreamSynchronize", done)
            }
        })?;
        // SAFETY: the copy has filled them.
        unsafe { bytes.set_len(bytes.len() + byte_size) };
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), String> {
        self.check_bounds(at, bytes.len())?;
        self.primary.within(|functions| {
            // SAFETY: as in `read`.
            unsafe {
                let copied = (functions.to_device)(self.start + at, bytes.as_ptr().cast(), bytes.len(), self.stream);
                let done = (functions.synchronize)(self.stream);
                self.primary.check("cuMemcpyHtoDAsync", copied)?;
                self.primary.check("cuStreamSynchronize", done)
            }
        })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure.
        let _ = self.primary.within(|functions| {
            // SAFETY: both were made in this context, and nobody uses them any more.
            unsafe {
                if !self.stream.is_null() {
                    (functions.destroy_stream)(self.stream);
                }
                if self.start != 0 {
                    (functions.close_handle)(self.start);
                }
            }
            Ok(())
        });
    }
}
