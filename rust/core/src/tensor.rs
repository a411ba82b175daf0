//! Tensors: a name, a data type, a shape, and bytes that know who owns them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::isolated::segment::Loan;

/// A name shared by everything that speaks of one tensor or model; cloning copies a pointer.
pub type Name = Arc<str>;

/// Sizes of the dimensions, outermost first. In a request all are zero or more; in a specification `-1` is any size.
pub type Shape = Vec<i64>;

/// Element types of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// One byte, 0 or 1.
    Bool,
    /// 8 bits, unsigned.
    Uint8,
    /// 16 bits, unsigned.
    Uint16,
    /// 32 bits, unsigned.
    Uint32,
    /// 64 bits, unsigned.
    Uint64,
    /// 8 bits, signed.
    Int8,
    /// 16 bits, signed.
    Int16,
    /// 32 bits, signed.
    Int32,
    /// 64 bits, signed.
    Int64,
    /// IEEE half precision.
    Fp16,
    /// IEEE single precision.
    Fp32,
    /// IEEE double precision.
    Fp64,
    /// Byte strings, each preceded by its length as a little-endian `u32`.
    Bytes,
    /// The upper half of a single.
    Bf16,
}

impl DataType {
    /// Every type: itself, its name on the wire, its number in the model configuration, bytes an element.
    const TABLE: [(Self, &'static str, i32, Option<usize>); 14] = [
        (Self::Bool, "BOOL", 1, Some(1)),
        (Self::Uint8, "UINT8", 2, Some(1)),
        (Self::Uint16, "UINT16", 3, Some(2)),
        (Self::Uint32, "UINT32", 4, Some(4)),
        (Self::Uint64, "UINT64", 5, Some(8)),
        (Self::Int8, "INT8", 6, Some(1)),
        (Self::Int16, "INT16", 7, Some(2)),
        (Self::Int32, "INT32", 8, Some(4)),
        (Self::Int64, "INT64", 9, Some(8)),
        (Self::Fp16, "FP16", 10, Some(2)),
        (Self::Fp32, "FP32", 11, Some(4)),
        (Self::Fp64, "FP64", 12, Some(8)),
        (Self::Bytes, "BYTES", 13, None),
        (Self::Bf16, "BF16", 14, Some(2)),
    ];

    /// Every type, each at the place that is its number in the enum.
    pub(crate) const ALL: [Self; 14] = {
        let mut all = [Self::Bool; 14];
        let mut index = 0;
        while index < all.len() {
            all[index] = Self::TABLE[index].0;
            index += 1;
        }
        all
    };

    /// Bytes of one element; `None` for byte strings.
    pub fn size(self) -> Option<usize> {
        Self::TABLE[self as usize].3
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        Self::TABLE[self as usize].1
    }

    /// The type of that name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The type of that number in the model configuration (`TYPE_FP32` is 11).
    pub fn from_config(number: i32) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.2 == number).map(|row| row.0)
    }
}

/// The bytes of a tensor: row-major, little-endian, no padding.
#[derive(Debug)]
pub enum Data {
    /// Nobody else sees these bytes: a model may write in place.
    Unique(BytesMut),
    /// Others may hold the same bytes: read only.
    Shared(Bytes),
    /// In memory that is shared with another process, which does not touch them: a model may write in place.
    Lent(Loan),
}

impl Data {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Unique(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Lent(loan) => loan.as_ref(),
        }
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes as memory of one's own; copies only when somebody else holds them too.
    pub fn into_unique(self) -> BytesMut {
        match self {
            Self::Unique(bytes) => bytes,
            Self::Shared(bytes) => bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..])),
            Self::Lent(loan) => BytesMut::from(loan.as_ref()),
        }
    }

    /// The same bytes once more, for another reader; never copies.
    #[must_use]
    pub fn share(&mut self) -> Self {
        let bytes = std::mem::replace(self, Self::Shared(Bytes::new())).into_shared();
        *self = Self::Shared(bytes.clone());
        Self::Shared(bytes)
    }

    /// The bytes as something to hand on; never copies.
    pub fn into_shared(self) -> Bytes {
        match self {
            Self::Unique(bytes) => bytes.freeze(),
            Self::Shared(bytes) => bytes,
            Self::Lent(loan) => Bytes::from_owner(loan),
        }
    }
}

impl From<BytesMut> for Data {
    fn from(bytes: BytesMut) -> Self {
        Self::Unique(bytes)
    }
}

impl From<Bytes> for Data {
    fn from(bytes: Bytes) -> Self {
        Self::Shared(bytes)
    }
}

/// One named array.
#[derive(Debug)]
pub struct Tensor {
    /// The input or output it is the value of.
    pub name: Name,
    /// What its elements are.
    pub data_type: DataType,
    /// How they are arranged.
    pub shape: Shape,
    /// The elements.
    pub data: Data,
}

/// Elements of a shape; `None` when a dimension is negative or the product does not fit 63 bits.
pub fn element_count(shape: &[i64]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_i64, |count, &size| if size < 0 { None } else { count.checked_mul(size) })
        .and_then(|count| usize::try_from(count).ok())
}

/// A shape as error texts write it: `[-1,3,224]`.
pub fn format_shape(shape: &[i64]) -> String {
    let sizes: Vec<String> = shape.iter().map(i64::to_string).collect();
    format!("[{}]", sizes.join(","))
}

/// The elements of a BYTES tensor, in order. Stops at the first length that does not fit what is left.
pub fn byte_strings(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let element = tail.get(..length)?;
        rest = &tail[length..];
        Some(element)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_name_and_its_number() {
        for (index, row) in DataType::TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index, "the table is in the order of the enum");
            assert_eq!(DataType::from_name(row.1), Some(row.0));
            assert_eq!(DataType::from_config(row.2), Some(row.0));
        }
    }

    #[test]
    fn a_count_that_overflows_or_a_negative_size_is_none() {
        assert_eq!(element_count(&[2, 3]), Some(6));
        assert_eq!(element_count(&[]), Some(1));
        assert_eq!(element_count(&[4, 0]), Some(0));
        assert_eq!(element_count(&[2, -1]), None);
        assert_eq!(element_count(&[i64::MAX, 2]), None);
    }

    #[test]
    fn byte_strings_stop_where_a_length_lies() {
        let data = [2, 0, 0, 0, b'h', b'i', 9, 0, 0, 0, b'x'];
        assert_eq!(byte_strings(&data).collect::<Vec<_>>(), [b"hi"]);
    }
}
