//! Tensors as numpy arrays and back, sharing memory wherever that is sound.
//!
//! An input's memory belongs to nobody else, so a model may write in it and may keep it: the array holds on to it. A large output is not
//! copied either, unless the model keeps it: the answer holds on to the array until it has been written to the wire.

use std::ffi::{c_int, c_void};
use std::ptr;

use bytes::{Bytes, BytesMut};
use numpy::npyffi::{self, NPY_ARRAY_WRITEABLE, PY_ARRAY_API};
use numpy::{PyArray1, PyArrayDescr, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString};
use windlass_core::isolated::segment::Loan;
use windlass_core::tensor::{Data, DataType, Name, Shape, Tensor, byte_strings};

/// Outputs up to this size are copied: holding on to a Python object costs more.
const COPY_BYTES: usize = 16 * 1024;

/// References to an output that nobody but its result holds: the result's own, and the one we look through.
const RESULT_REFERENCES: isize = 2;

/// The memory behind an input array, of one kind or the other. Never touched from Rust again: numpy owns what it shows.
#[pyclass(frozen, module = "windlass._plane")]
struct Memory {
    _bytes: BytesMut,
    _loan: Option<Loan>,
}

impl Memory {
    /// The memory of a tensor whose elements have that size, and where it begins: at an address that suits them.
    fn of(data: Data, size: usize) -> (Self, *mut u8) {
        let mut bytes = match data {
            Data::Lent(mut loan) => {
                let address = loan.as_mut_ptr();
                return (Self { _bytes: BytesMut::new(), _loan: Some(loan) }, address);
            }
            data => data.into_unique(),
        };
        if !(bytes.as_ptr() as usize).is_multiple_of(size) {
            bytes = BytesMut::from(&bytes[..]);
        }
        let address = bytes.as_mut_ptr();
        (Self { _bytes: bytes, _loan: None }, address)
    }
}

/// numpy's description of a data type.
pub(crate) fn descriptor(py: Python<'_>, data_type: DataType) -> PyResult<&Bound<'_, PyArrayDescr>> {
    static ALL: PyOnceLock<Vec<Py<PyArrayDescr>>> = PyOnceLock::new();
    let all = ALL.get_or_try_init(py, || {
        let names = [
            "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32",
            "float64", "object",
        ];
        let mut all = Vec::with_capacity(names.len() + 1);
        for name in names {
            all.push(PyArrayDescr::new(py, name)?.unbind());
        }
        let bfloat16 = py.import("ml_dtypes")?.getattr("bfloat16")?;
        all.push(PyArrayDescr::new(py, bfloat16)?.unbind());
        Ok::<_, PyErr>(all)
    })?;
    Ok(all[data_type as usize].bind(py))
}

/// A tensor as an array that the callee owns: writable, aligned, row-major.
pub(crate) fn to_array(py: Python<'_>, tensor: Tensor) -> PyResult<Bound<'_, PyAny>> {
    if tensor.data_type == DataType::Bytes {
        return strings_to_array(py, &tensor);
    }
    let size = tensor.data_type.size().unwrap_or(1);
    let (memory, address) = Memory::of(tensor.data, size);
    let address = address.cast::<c_void>();
    let memory = Bound::new(py, memory)?.into_any();
    let mut dims: Vec<npyffi::npy_intp> = tensor.shape.iter().map(|&size| size as npyffi::npy_intp).collect();
    let descriptor = descriptor(py, tensor.data_type)?.clone();
    // SAFETY: the data type and the dimensions were checked to fill the buffer exactly; its address stays, since the buffer is heap
    // or shared memory owned by `memory`, which the array keeps alive; nobody else reads or writes it. The two calls take over the references to the
    // descriptor and to the memory.
    unsafe {
        let array = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            npyffi::get_type_object(py, npyffi::NpyTypes::PyArray_Type),
            descriptor.into_dtype_ptr(),
            dims.len() as c_int,
            dims.as_mut_ptr(),
            ptr::null_mut(),
            address,
            NPY_ARRAY_WRITEABLE,
            ptr::null_mut(),
        );
        let array = Bound::from_owned_ptr_or_err(py, array)?;
        if PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), memory.into_ptr()) < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(array)
    }
}

fn strings_to_array<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let elements: Vec<Py<PyAny>> =
        byte_strings(tensor.data.as_slice()).map(|element| PyBytes::new(py, element).into_any().unbind()).collect();
    let shape: Vec<usize> = tensor.shape.iter().map(|&size| size as usize).collect();
    Ok(PyArray1::from_vec(py, elements).reshape(shape)?.into_any())
}

/// A model's array as an output of that name and type.
///
/// # Errors
/// `ValueError` when it is no array, or of another type than the model declares.
pub(crate) fn from_array(name: &Name, data_type: DataType, value: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let py = value.py();
    let array = value.cast::<PyUntypedArray>().map_err(|_| {
        PyValueError::new_err(format!("output `{name}`: expected a numpy array, got `{}`", value.get_type()))
    })?;
    let shape: Shape = array.shape().iter().map(|&size| size as i64).collect();
    let data = if data_type == DataType::Bytes {
        strings_from_array(name, array)?
    } else {
        let expected = descriptor(py, data_type)?;
        let found = array.dtype();
        if !found.is(expected) && !found.is_equiv_to(expected) {
            return Err(PyValueError::new_err(format!(
                "unexpected datatype {found} for inference output '{name}', expecting {expected}"
            )));
        }
        if array.is_c_contiguous() {
            array_bytes(array)
        } else {
            let contiguous = py.import("numpy")?.call_method1("ascontiguousarray", (array,))?;
            array_bytes(contiguous.cast::<PyUntypedArray>()?)
        }
    };
    Ok(Tensor { name: name.clone(), data_type, shape, data })
}

/// An array as a tensor of the type it has.
///
/// # Errors
/// `TypeError` when it is no array, or of a type that the protocol does not carry.
pub(crate) fn to_tensor(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let array = value.cast::<PyUntypedArray>().map_err(|_| {
        PyTypeError::new_err(format!("tensor `{name}`: expected a numpy array, got `{}`", value.get_type()))
    })?;
    let data_type = data_type(value.py(), array)?;
    from_array(&Name::from(name), data_type, value)
}

fn data_type(py: Python<'_>, array: &Bound<'_, PyUntypedArray>) -> PyResult<DataType> {
    let found = array.dtype();
    if matches!(found.kind(), b'O' | b'S' | b'U') {
        return Ok(DataType::Bytes);
    }
    let mut all = (1..=14).filter_map(DataType::from_config);
    all.find_map(|data_type| match descriptor(py, data_type) {
        Ok(known) => (found.is(known) || found.is_equiv_to(known)).then_some(Ok(data_type)),
        Err(error) => Some(Err(error)),
    })
    .unwrap_or_else(|| Err(PyTypeError::new_err(format!("an array of {found} is no tensor of the protocol"))))
}

/// Bytes that an array owns.
struct Kept {
    address: *const u8,
    size: usize,
    _array: Py<PyUntypedArray>,
}

// SAFETY: the array is only kept alive here; its memory is read by one thread at a time, and the model has returned it.
unsafe impl Send for Kept {}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: a contiguous array of that many bytes, which it keeps alive.
        unsafe { std::slice::from_raw_parts(self.address, self.size) }
    }
}

fn array_bytes(array: &Bound<'_, PyUntypedArray>) -> Data {
    let size = array.len() * array.dtype().itemsize();
    if size == 0 {
        return Bytes::new().into();
    }
    // SAFETY: reads the address of a living array.
    let address = unsafe { (*array.as_array_ptr()).fields.data.cast::<u8>().cast_const() };
    // A model that holds on to the array, or to the memory behind it, may write the next answer into it while this one is being sent.
    // SAFETY: reads the base and the references of a living array.
    let exclusive = unsafe {
        (*array.as_array_ptr()).fields.base.is_null() && pyo3::ffi::Py_REFCNT(array.as_ptr()) <= RESULT_REFERENCES
    };
    let kept = Kept { address, size, _array: array.clone().unbind() };
    if size <= COPY_BYTES || !exclusive { BytesMut::from(kept.as_ref()).into() } else { Bytes::from_owner(kept).into() }
}

fn strings_from_array(name: &Name, array: &Bound<'_, PyUntypedArray>) -> PyResult<Data> {
    let flat = array.call_method0("ravel")?.call_method0("tolist")?;
    let elements = flat.cast::<PyList>().map_err(PyErr::from)?;
    let mut bytes = BytesMut::new();
    for element in elements {
        if let Ok(element) = element.cast::<PyBytes>() {
            push_string(&mut bytes, element.as_bytes());
        } else if let Ok(element) = element.cast::<PyString>() {
            push_string(&mut bytes, element.to_str()?.as_bytes());
        } else {
            return Err(PyValueError::new_err(format!(
                "output `{name}`: expected elements of type bytes or str, got `{}`",
                element.get_type()
            )));
        }
    }
    Ok(bytes.into())
}

fn push_string(bytes: &mut BytesMut, element: &[u8]) {
    bytes.extend_from_slice(&(element.len() as u32).to_le_bytes());
    bytes.extend_from_slice(element);
}
