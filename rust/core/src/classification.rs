//! The classification extension: the largest values of an output, each with its place and its label.

use std::cmp::Ordering;
use std::fmt::Display;

use bytes::{BufMut, BytesMut};

use crate::error::{Error, Result};
use crate::tensor::{DataType, Tensor};

/// Elements of one row that are looked through at most.
const MAX_ELEMENTS: usize = 1_000_000;

/// Turns an output into the `count` largest elements of each row, as texts `<value>:<place>[:<label>]`, the largest first. Equal values
/// stand in the order of their places, and what is no number behind all numbers.
///
/// # Errors
/// `INVALID_ARG` for a type whose elements have no rank, and for too many of them.
pub fn classify(output: &Tensor, count: usize, batched: bool, labels: &[String]) -> Result<Tensor> {
    let rows = if batched { output.shape.first().map_or(0, |&rows| rows.max(0) as usize) } else { 1 };
    let rank = ranking(output.data_type)?;
    let size = output.data.len().checked_div(rows).unwrap_or(0);
    let elements = size / output.data_type.size().unwrap_or(1);
    if elements > MAX_ELEMENTS {
        return Err(Error::invalid("classification output tensor too large"));
    }
    let count = count.min(elements);
    let mut classes = Classes { bytes: BytesMut::with_capacity(rows * count * 24), text: String::new(), labels, count };
    if count > 0 {
        output.data.as_slice().chunks_exact(size).for_each(|row| rank(row, &mut classes));
    }
    let batch = batched.then_some(rows as i64);
    Ok(Tensor {
        name: output.name.clone(),
        data_type: DataType::Bytes,
        shape: batch.into_iter().chain([count as i64]).collect(),
        data: classes.bytes.into(),
    })
}

/// What is written for all rows.
struct Classes<'a> {
    bytes: BytesMut,
    text: String,
    labels: &'a [String],
    count: usize,
}

fn ranking(data_type: DataType) -> Result<fn(&[u8], &mut Classes<'_>)> {
    Ok(match data_type {
        DataType::Uint8 => |row, classes| rank(row, classes, u8::from_le_bytes),
        DataType::Uint16 => |row, classes| rank(row, classes, u16::from_le_bytes),
        DataType::Uint32 => |row, classes| rank(row, classes, u32::from_le_bytes),
        DataType::Uint64 => |row, classes| rank(row, classes, u64::from_le_bytes),
        DataType::Int8 => |row, classes| rank(row, classes, i8::from_le_bytes),
        DataType::Int16 => |row, classes| rank(row, classes, i16::from_le_bytes),
        DataType::Int32 => |row, classes| rank(row, classes, i32::from_le_bytes),
        DataType::Int64 => |row, classes| rank(row, classes, i64::from_le_bytes),
        DataType::Fp32 => |row, classes| rank(row, classes, f32::from_le_bytes),
        DataType::Fp64 => |row, classes| rank(row, classes, f64::from_le_bytes),
        DataType::Bool | DataType::Fp16 | DataType::Bf16 | DataType::Bytes => {
            return Err(Error::invalid(format!(
                "class result not available for output due to unsupported type '{}'",
                data_type.name()
            )));
        }
    })
}

fn rank<T: Copy + PartialOrd + Display, const N: usize>(row: &[u8], classes: &mut Classes<'_>, read: fn([u8; N]) -> T) {
    let (elements, _) = row.as_chunks::<N>();
    let value = |place: u32| read(elements[place as usize]);
    let order = |&a: &u32, &b: &u32| descending(&value(a), &value(b)).then(a.cmp(&b));
    let mut places: Vec<u32> = (0..elements.len() as u32).collect();
    if classes.count < places.len() {
        places.select_nth_unstable_by(classes.count, order);
        places.truncate(classes.count);
    }
    places.sort_unstable_by(order);
    for place in places {
        classes.write(value(place), place as usize);
    }
}

impl Classes<'_> {
    /// Values read as C++ writes them: six decimals where there are any.
    fn write(&mut self, value: impl Display, place: usize) {
        use std::fmt::Write;
        self.text.clear();
        // Writing to a string cannot fail; whole numbers ignore the decimals.
        let _ = match self.labels.get(place).filter(|label| !label.is_empty()) {
            Some(label) => write!(self.text, "{value:.6}:{place}:{label}"),
            None => write!(self.text, "{value:.6}:{place}"),
        };
        if self.text.starts_with("NaN") {
            self.text.replace_range(..3, "nan");
        }
        self.bytes.put_u32_le(self.text.len() as u32);
        self.bytes.put_slice(self.text.as_bytes());
    }
}

fn descending<T: PartialOrd>(a: &T, b: &T) -> Ordering {
    let is_number = |value: &T| value.partial_cmp(value).is_some();
    b.partial_cmp(a).unwrap_or_else(|| is_number(b).cmp(&is_number(a)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Data, Name, byte_strings};

    fn tensor(data_type: DataType, shape: &[i64], bytes: &[u8]) -> Tensor {
        Tensor { name: Name::from("y"), data_type, shape: shape.to_vec(), data: Data::from(BytesMut::from(bytes)) }
    }

    fn fp32(shape: &[i64], values: &[f32]) -> Tensor {
        tensor(DataType::Fp32, shape, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    fn texts(classes: &Tensor) -> Vec<String> {
        byte_strings(classes.data.as_slice()).map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }

    #[test]
    fn each_row_has_its_largest_values_with_places_and_labels() {
        let labels = ["cat", "", "dog"].map(str::to_owned);

        let classes = classify(&fp32(&[2, 3], &[0.5, 1.0, 0.25, -1.0, -2.0, 7.0]), 2, true, &labels).expect("classes");

        assert_eq!((classes.data_type, &classes.shape[..]), (DataType::Bytes, &[2, 2][..]));
        assert_eq!(texts(&classes), ["1.000000:1", "0.500000:0:cat", "7.000000:2:dog", "-1.000000:0:cat"]);
    }

    #[test]
    fn without_a_batch_dimension_all_elements_are_one_row() {
        let classes = classify(&fp32(&[2, 2], &[1.0, 4.0, 3.0, 2.0]), 9, false, &[]).expect("classes");

        assert_eq!(classes.shape, [4]);
        assert_eq!(texts(&classes), ["4.000000:1", "3.000000:2", "2.000000:3", "1.000000:0"]);
    }

    #[test]
    fn equal_values_keep_their_order_and_what_is_no_number_comes_last() {
        let classes = classify(&fp32(&[1, 5], &[f32::NAN, 1.0, 1.0, f32::INFINITY, f32::NAN]), 5, true, &[]);

        assert_eq!(texts(&classes.expect("classes")), ["inf:3", "1.000000:1", "1.000000:2", "nan:0", "nan:4"]);
    }

    #[test]
    fn values_are_written_as_their_type_is() {
        for (data_type, bytes, expected) in [
            (DataType::Uint8, &[255][..], "255:0"),
            (DataType::Int8, &[255], "-1:0"),
            (DataType::Uint16, &[255, 255], "65535:0"),
            (DataType::Int16, &[255, 255], "-1:0"),
            (DataType::Uint32, &[255; 4], "4294967295:0"),
            (DataType::Int32, &[255; 4], "-1:0"),
            (DataType::Uint64, &[255; 8], "18446744073709551615:0"),
            (DataType::Int64, &[255; 8], "-1:0"),
            (DataType::Fp32, &0.1_f32.to_le_bytes(), "0.100000:0"),
            (DataType::Fp64, &1e20_f64.to_le_bytes(), "100000000000000000000.000000:0"),
        ] {
            let classes = classify(&tensor(data_type, &[1, 1], bytes), 1, true, &[]).expect("classes");
            assert_eq!(texts(&classes), [expected], "{data_type:?}");
        }
    }

    #[test]
    fn a_row_without_elements_has_no_classes() {
        for shape in [[0, 3], [2, 0]] {
            let classes = classify(&fp32(&shape, &[]), 2, true, &[]).expect("classes");
            assert_eq!((&classes.shape[..], classes.data.len()), (&[shape[0], 0][..], 0));
        }
    }

    #[test]
    fn what_has_no_rank_is_refused() {
        for data_type in [DataType::Bool, DataType::Fp16, DataType::Bf16, DataType::Bytes] {
            let error = classify(&tensor(data_type, &[1, 0], &[]), 1, true, &[]).expect_err("a fault");
            let expected =
                format!("class result not available for output due to unsupported type '{}'", data_type.name());
            assert_eq!(error, Error::invalid(expected));
        }
        let error = classify(&tensor(DataType::Uint8, &[1, 1_000_001], &vec![0; 1_000_001]), 1, true, &[]);
        assert_eq!(error.expect_err("a fault").message, "classification output tensor too large");
    }
}
