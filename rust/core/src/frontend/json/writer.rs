//! Writes compact JSON into a growing buffer.

use std::fmt::Display;
use std::io::Write as _;

use bytes::{BufMut, BytesMut};

/// Writes a string with its quotes.
pub fn string(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    let mut plain = 0;
    for (place, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.put_slice(&text.as_bytes()[plain..place]);
        plain = place + 1;
        match byte {
            b'"' => out.put_slice(b"\\\""),
            b'\\' => out.put_slice(b"\\\\"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            8 => out.put_slice(b"\\b"),
            12 => out.put_slice(b"\\f"),
            _ => display(out, format_args!("\\u{byte:04X}")),
        }
    }
    out.put_slice(&text.as_bytes()[plain..]);
    out.put_u8(b'"');
}

/// Writes an integer.
pub fn integer(out: &mut BytesMut, value: impl itoa::Integer) {
    out.put_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes a double so that reading it gives the same double; what is no number is written as the protocol's literals.
pub fn double(out: &mut BytesMut, value: f64) {
    if value.is_finite() {
        out.put_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        let word: &[u8] = if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        };
        out.put_slice(word);
    }
}

/// Writes what is already JSON.
pub fn display(out: &mut BytesMut, text: impl Display) {
    // Writing to memory does not fail.
    let _ = write!(out.writer(), "{text}");
}

/// Writes a list of things with commas between.
pub fn list<T>(out: &mut BytesMut, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut BytesMut, T)) {
    out.put_u8(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        write(out, item);
    }
    out.put_u8(b']');
}

/// The body of an error.
pub fn error(message: &str) -> BytesMut {
    let mut out = BytesMut::with_capacity(message.len() + 16);
    out.put_slice(b"{\"error\":");
    string(&mut out, message);
    out.put_u8(b'}');
    out
}
