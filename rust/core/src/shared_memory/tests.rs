use std::fs::{File, OpenOptions, remove_file};
use std::os::unix::fs::FileExt;
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::segment::SEGMENTS;
use super::*;
use crate::gpu::{DeviceMemory, Reading};
use crate::tensor::{DataType, Name};

/// A client's segment, named after its test; gone when that ends.
pub(crate) struct Segment {
    pub(crate) key: String,
    file: File,
}

impl Segment {
    pub(crate) fn new(test: &str, bytes: &[u8]) -> Self {
        let key = format!("/test_{test}_{}", process::id());
        let path = format!("{SEGMENTS}{key}");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.expect("a segment");
        file.write_all_at(bytes, 0).expect("there is room");
        Self { key, file }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.file.metadata().expect("a file").len() as usize];
        self.file.read_exact_at(&mut bytes, 0).expect("as many");
        bytes
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let _ = remove_file(format!("{SEGMENTS}{}", self.key));
    }
}

fn output(bytes: &[u8]) -> Tensor {
    let data = Bytes::copy_from_slice(bytes).into();
    Tensor { name: Name::from("y"), data_type: DataType::Uint8, shape: vec![bytes.len() as i64], data }
}

fn fault<T: std::fmt::Debug>(result: Result<T>) -> (Code, String) {
    let error = result.expect_err("a fault");
    (error.code, error.message)
}

fn invalid(text: &str) -> (Code, String) {
    (Code::InvalidArgument, text.to_owned())
}

#[test]
fn tensors_are_read_and_written_where_they_are() {
    let segment = Segment::new("place", b"0123456789");
    let regions = Regions::new(true);
    regions.register("r", &segment.key, 2, 8).expect("a region");

    let read = regions.slot("r", 1, 3).and_then(|slot| slot.read()).expect("bytes");
    regions.slot("r", 4, 4).and_then(|slot| slot.write(&output(b"abc"))).expect("it fits");

    assert_eq!(read.as_slice(), b"345");
    assert_eq!(segment.bytes(), b"012345abc9");
}

#[test]
fn regions_are_shown_until_they_are_forgotten() {
    let segment = Segment::new("status", b"0123456789");
    let regions = Regions::new(true);
    let names =
        || regions.status(Kind::System, "").expect("all").iter().map(|region| region.name.clone()).collect::<Vec<_>>();
    regions.register("b", &segment.key, 0, 10).expect("a region");
    regions.register("a", &segment.key, 1, 2).expect("a region");

    assert_eq!(names(), ["a", "b"]);
    let region = &regions.status(Kind::System, "a").expect("it is there")[0];
    assert_eq!(format!("{region:?}"), format!("Region(a = {}[1..+2])", segment.key));
    let taken = "shared memory region 'a' already in manager".to_owned();
    assert_eq!(fault(regions.register("a", &segment.key, 0, 1)), (Code::AlreadyExists, taken));
    regions.unregister(Kind::System, "a").expect("it was there");
    regions.unregister(Kind::System, "a").expect("it does not have to be");
    let unknown = "Unable to find system shared memory region: 'a'".to_owned();
    assert_eq!(fault(regions.status(Kind::System, "a")), (Code::NotFound, unknown));
    regions.unregister(Kind::System, "").expect("all");
    assert!(names().is_empty());
}

#[test]
fn who_uses_a_region_keeps_it() {
    let segment = Segment::new("kept", b"0123456789");
    let regions = Regions::new(true);
    regions.register("r", &segment.key, 0, 10).expect("a region");
    let slot = regions.slot("r", 0, 4).expect("a slot");

    regions.unregister(Kind::System, "").expect("all");

    assert_eq!(slot.read().expect("bytes").as_slice(), b"0123");
}

#[test]
fn what_is_outside_a_region_is_refused() {
    let segment = Segment::new("bounds", b"0123456789");
    let regions = Regions::new(true);
    regions.register("r", &segment.key, 0, 8).expect("a region");
    let size = "Invalid offset + byte size for shared memory region: 'r'";
    let offset = "Invalid offset for shared memory region: 'r'";
    for (at, byte_size, text) in [(0, 9, size), (7, 2, size), (8, 1, offset), (u64::MAX, 1, offset)] {
        assert_eq!(fault(regions.slot("r", at, byte_size)), invalid(text), "{at} {byte_size}");
    }
    let nothing = regions.slot("r", 0, 0).expect("room for an output without elements");
    assert_eq!(fault(nothing.read()), invalid(size));
    let overflow = "Integer overflow detected: byte_size (18446744073709551615) + offset (1) exceeds maximum value \
                    (18446744073709551615) for region 'r'";
    assert_eq!(fault(regions.slot("r", 1, u64::MAX)), invalid(overflow));
    let unknown = "Unable to find shared memory region: 'x'".to_owned();
    assert_eq!(fault(regions.slot("x", 0, 1)), (Code::NotFound, unknown));
}

#[test]
fn only_what_is_inside_a_segment_becomes_a_region() {
    let segment = Segment::new("real", b"0123456789");
    let regions = Regions::new(true);
    for (offset, byte_size) in [(0, 11), (10, 1), (0, 0), (u64::MAX, 2)] {
        let found = fault(regions.register("r", &segment.key, offset, byte_size));
        assert_eq!(found, invalid("failed to register shared memory region 'r': invalid args"));
    }
    for (key, text) in [
        ("/test_none", "Unable to open shared memory region: '/test_none'"),
        ("..", "Unable to open shared memory region: '..'"),
        ("/a/../b", "cannot register shared memory region 'r' - invalid shm key '/a/../b'"),
        ("/", "cannot register shared memory region 'r' - invalid shm key '/'"),
        (
            "//triton_python_backend_shm_region_1",
            "cannot register shared memory region 'r' with key '//triton_python_backend_shm_region_1' as the key contains the reserved \
             prefix 'triton_python_backend_shm_region_'",
        ),
    ] {
        assert_eq!(fault(regions.register("r", key, 0, 1)), invalid(text));
    }
    let nameless = "'region name' is necessary to register system shared memory region";
    assert_eq!(fault(regions.register("", &segment.key, 0, 1)), invalid(nameless));
}

#[test]
fn a_link_among_the_segments_leads_nowhere() {
    let segment = Segment::new("target", b"secret");
    let key = format!("/test_link_{}", process::id());
    let path = format!("{SEGMENTS}{key}");
    std::os::unix::fs::symlink(format!("{SEGMENTS}{}", segment.key), &path).expect("a link");

    let found = fault(Regions::new(true).register("r", &key, 0, 1));

    remove_file(path).expect("it was there");
    assert_eq!(found, invalid(&format!("Unable to open shared memory region: '{key}'")));
}

#[test]
fn a_segment_that_shrinks_is_told_and_does_not_grow() {
    let segment = Segment::new("shrunk", b"0123456789");
    let regions = Regions::new(true);
    regions.register("r", &segment.key, 0, 10).expect("a region");
    let slot = regions.slot("r", 0, 8).expect("a slot");
    segment.file.set_len(4).expect("a smaller file");
    let text = format!(
        "shared memory region 'r' was registered with 10 bytes, and its segment '{}' has become smaller",
        segment.key
    );

    assert_eq!(fault(slot.read()), invalid(&text));
    assert_eq!(fault(slot.write(&output(b"abcdefgh"))), invalid(&text));
    assert_eq!(segment.bytes(), b"0123");
}

#[test]
fn an_output_has_to_fit() {
    let segment = Segment::new("fit", b"0123456789");
    let regions = Regions::new(true);
    regions.register("r", &segment.key, 0, 10).expect("a region");

    let found = fault(regions.slot("r", 0, 2).expect("a slot").write(&output(b"abc")));

    let text = "shared memory size specified with the request for output 'y' (2 bytes) should be at least 3 bytes to hold the results";
    assert_eq!(found, invalid(text));
    assert_eq!(segment.bytes(), b"0123456789");
}

#[test]
fn a_server_that_does_not_offer_it_says_how_it_would() {
    let regions = Regions::new(false);
    let text = "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable.";
    for answer in
        [regions.register("r", "/x", 0, 1), regions.unregister(Kind::System, ""), regions.unregister(Kind::Cuda, "")]
    {
        assert_eq!(fault(answer), (Code::Unsupported, text.to_owned()));
    }
    assert!(regions.status(Kind::System, "").expect("none").is_empty());
}

#[test]
fn a_region_that_takes_long_to_read_is_known() {
    let small = Segment::new("small", b"0123456789");
    let large = Segment::new("large", &vec![0; LIGHT_BYTES as usize + 1]);
    let regions = Regions::new(true);
    regions.register("small", &small.key, 0, 10).expect("a region");
    assert!(!regions.take_long());

    regions.register("large", &large.key, 0, LIGHT_BYTES + 1).expect("a region");

    assert!(regions.take_long());
}

/// Two GPUs. Memory of theirs is named by the first byte of its handle, which is also how long it is.
#[derive(Debug, Default)]
struct Pair {
    open: Arc<AtomicUsize>,
}

struct Lent {
    bytes: Mutex<Vec<u8>>,
    open: Arc<AtomicUsize>,
}

impl Gpus for Pair {
    fn count(&self) -> usize {
        2
    }

    fn open(&self, handle: &Handle, _device: usize) -> std::result::Result<Box<dyn DeviceMemory>, String> {
        if handle[0] == 0 {
            return Err("cuIpcOpenMemHandle: CUDA_ERROR_INVALID_VALUE".to_owned());
        }
        self.open.fetch_add(1, Ordering::AcqRel);
        Ok(Box::new(Lent { bytes: Mutex::new((0..handle[0]).collect()), open: Arc::clone(&self.open) }))
    }

    fn uuid(&self, _device: usize) -> Option<String> {
        None
    }

    fn readings(&self) -> Vec<Reading> {
        Vec::new()
    }
}

impl DeviceMemory for Lent {
    fn byte_size(&self) -> u64 {
        self.bytes.lock().expect("nobody panicked").len() as u64
    }

    fn read(&self, at: u64, byte_size: usize, bytes: &mut Vec<u8>) -> std::result::Result<(), String> {
        bytes.extend(&self.bytes.lock().expect("nobody panicked")[at as usize..][..byte_size]);
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> std::result::Result<(), String> {
        if bytes == b"bad" {
            return Err("cuMemcpyHtoDAsync: CUDA_ERROR_ILLEGAL_ADDRESS".to_owned());
        }
        self.bytes.lock().expect("nobody panicked")[at as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
}

fn with_gpus() -> (Regions, Arc<AtomicUsize>) {
    let pair = Pair::default();
    let open = Arc::clone(&pair.open);
    (Regions::new(true).with_gpus(Some(Arc::new(pair))), open)
}

const TEN: &[u8] = &[10; 64];

#[test]
fn memory_of_a_gpu_is_read_and_written_like_any_other() {
    let (regions, _) = with_gpus();
    regions.register_cuda("c", TEN, 1, 8).expect("a region");

    regions.slot("c", 2, 4).and_then(|slot| slot.write(&output(b"abc"))).expect("it fits");
    let read = regions.slot("c", 1, 5).and_then(|slot| slot.read()).expect("bytes");

    assert_eq!(read.as_slice(), b"\x01abc\x05");
    assert!(regions.take_long(), "a driver is waited for");
    let failed = "failed to write shared memory region 'c': cuMemcpyHtoDAsync: CUDA_ERROR_ILLEGAL_ADDRESS".to_owned();
    assert_eq!(fault(regions.slot("c", 0, 8).expect("a slot").write(&output(b"bad"))), (Code::Internal, failed));
    assert_eq!(fault(regions.slot("c", 7, 2)), invalid("Invalid offset + byte size for shared memory region: 'c'"));
}

#[test]
fn only_memory_that_a_gpu_has_becomes_a_region() {
    let (regions, open) = with_gpus();
    let segment = Segment::new("taken", b"0123456789");
    regions.register("r", &segment.key, 0, 10).expect("a region");
    let prefix = "failed to register shared memory region 'c': invalid args: ";
    for (handle, device, byte_size, why) in [
        (&[10; 63][..], 0, 8, "a handle of 63 bytes, expected 64"),
        (TEN, 2, 8, "there is no GPU 2, found 2, counted from 0"),
        (TEN, -1, 8, "there is no GPU -1, found 2, counted from 0"),
        (&[0; 64], 0, 8, "cuIpcOpenMemHandle: CUDA_ERROR_INVALID_VALUE"),
        (TEN, 0, 11, "11 bytes of memory that has 10"),
        (TEN, 0, 0, "0 bytes of memory that has 10"),
    ] {
        assert_eq!(fault(regions.register_cuda("c", handle, device, byte_size)), invalid(&format!("{prefix}{why}")));
    }
    let taken = "shared memory region 'r' already in manager".to_owned();
    assert_eq!(fault(regions.register_cuda("r", TEN, 0, 8)), (Code::AlreadyExists, taken));
    assert_eq!(open.load(Ordering::Acquire), 0, "what is refused is closed");
    let nowhere = "failed to register CUDA shared memory region: 'c', GPUs not supported".to_owned();
    assert_eq!(fault(Regions::new(true).register_cuda("c", TEN, 0, 8)), (Code::Unsupported, nowhere));
}

#[test]
fn memory_of_a_gpu_is_closed_when_its_client_is_told_or_by_its_last_user() {
    let (regions, open) = with_gpus();
    for name in ["a", "b", "c"] {
        regions.register_cuda(name, TEN, 0, 8).expect("a region");
    }
    let used = regions.slot("b", 0, 4).expect("a slot");

    regions.unregister(Kind::Cuda, "a").expect("it was there");
    assert_eq!(open.load(Ordering::Acquire), 2);
    regions.unregister(Kind::Cuda, "").expect("all");
    assert_eq!(open.load(Ordering::Acquire), 1);
    assert_eq!(used.read().expect("bytes").as_slice(), [0, 1, 2, 3]);
    drop(used);
    assert_eq!(open.load(Ordering::Acquire), 0);
}

#[test]
fn regions_of_two_kinds_are_told_apart() {
    let (regions, _) = with_gpus();
    let segment = Segment::new("kinds", b"0123456789");
    regions.register("r", &segment.key, 0, 10).expect("a region");
    regions.register_cuda("c", TEN, 1, 8).expect("a region");
    let names = |kind| format!("{:?}", regions.status(kind, "").expect("all"));

    assert_eq!(names(Kind::Cuda), "[Region(c = 8 bytes of GPU 1)]");
    let other = "The region named 'r' is registered as system shared memory, not CUDA shared memory".to_owned();
    assert_eq!(fault(regions.status(Kind::Cuda, "r")), (Code::NotFound, other));
    let other = "The region named 'c' is registered as CUDA shared memory, not system shared memory".to_owned();
    assert_eq!(fault(regions.status(Kind::System, "c")), (Code::NotFound, other));
    regions.unregister(Kind::System, "c").expect("it does not have to be");
    regions.unregister(Kind::System, "").expect("all");
    assert_eq!((names(Kind::System), names(Kind::Cuda).len() > 2), ("[]".to_owned(), true));
}
