//! A pull parser over one JSON text. Syntax faults carry the words and offsets of the parser in the protocol's first server, which clients see.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 100;

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number, or one of the literals for what no number is.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A number, as exactly as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer that is not negative.
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    /// Anything else.
    Double(f64),
}

impl Number {
    /// Its value as a double.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Unsigned(value) => value as f64,
            Self::Signed(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

/// A place in a JSON text. Copying it is cheap: a copy looks ahead.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// At the start of a text.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// The kind of the next value.
    ///
    /// # Errors
    /// `INVALID_ARG` where no value starts; so do all methods where the syntax is not what they read.
    pub fn peek(&mut self) -> Result<Kind> {
        self.skip_space();
        Ok(match self.byte() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            Some(b'-' | b'0'..=b'9' | b'N' | b'I') => Kind::Number,
            None if self.depth == 0 => return Err(self.fault("The document is empty.")),
            _ => return Err(self.fault("Invalid value.")),
        })
    }

    /// Reads an object; `member` reads the value of each key.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &[u8]) -> Result<()>) -> Result<()> {
        self.open()?;
        if self.next_is(b'}') {
            return self.close();
        }
        loop {
            self.skip_space();
            if self.byte() != Some(b'"') {
                return Err(self.fault("Missing a name for object member."));
            }
            let key = self.string()?;
            if !self.next_is(b':') {
                return Err(self.fault("Missing a colon after a name of object member."));
            }
            member(self, &key)?;
            if self.next_is(b'}') {
                return self.close();
            }
            if !self.next_is(b',') {
                return Err(self.fault("Missing a comma or '}' after an object member."));
            }
        }
    }

    /// Reads an array; `element` reads each value.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.open()?;
        if self.next_is(b']') {
            return self.close();
        }
        loop {
            element(self)?;
            if self.next_is(b',') {
                continue;
            }
            if self.next_is(b']') {
                return self.close();
            }
            return Err(self.fault("Missing a comma or ']' after an array element."));
        }
    }

    /// Reads `true` or `false`.
    pub fn bool(&mut self) -> Result<bool> {
        self.skip_space();
        let value = self.byte() == Some(b't');
        self.literal(if value { b"true" } else { b"false" })?;
        Ok(value)
    }

    /// Reads a string. Without escapes it is a part of the text.
    pub fn string(&mut self) -> Result<Cow<'a, [u8]>> {
        self.skip_space();
        self.at += 1;
        let start = self.at;
        loop {
            match self.byte() {
                Some(b'"') => {
                    let part = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Cow::Borrowed(part));
                }
                Some(b'\\') => return self.escaped_string(start).map(Cow::Owned),
                Some(0..=0x1f) => return Err(self.fault("Invalid encoding in string.")),
                Some(_) => self.at += 1,
                None => return Err(self.fault("Missing a closing quotation mark in string.")),
            }
        }
    }

    fn escaped_string(&mut self, start: usize) -> Result<Vec<u8>> {
        let mut string = self.text[start..self.at].to_vec();
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => self.escape(&mut string)?,
                Some(0..=0x1f) => return Err(self.fault("Invalid encoding in string.")),
                Some(byte) => {
                    string.push(byte);
                    self.at += 1;
                }
                None => return Err(self.fault("Missing a closing quotation mark in string.")),
            }
        }
    }

    fn escape(&mut self, string: &mut Vec<u8>) -> Result<()> {
        let start = self.at;
        let plain = match self.text.get(start + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                self.at += 2;
                let letter = self.unicode_escape(start)?;
                string.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.fault("Invalid escape character in string.")),
        };
        string.push(plain);
        self.at += 2;
        Ok(())
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char> {
        let first = self.four_digits(start)?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if self.text.get(self.at..self.at + 2) != Some(b"\\u") {
                return Err(self.fault_at("The surrogate pair in string is invalid.", start));
            }
            self.at += 2;
            let second = self.four_digits(start)?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.fault_at("The surrogate pair in string is invalid.", start));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.fault_at("The surrogate pair in string is invalid.", start))
    }

    fn four_digits(&mut self, start: usize) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        code.ok_or_else(|| self.fault_at("Incorrect hex digit after \\u escape in string.", start))
    }

    /// Reads a number.
    #[inline]
    pub fn number(&mut self) -> Result<Number> {
        self.skip_space();
        let start = self.at;
        let negative = self.byte() == Some(b'-');
        self.at += usize::from(negative);
        if !matches!(self.byte(), Some(b'0'..=b'9')) {
            return self.not_a_number(negative);
        }
        let leading_zero = self.byte() == Some(b'0');
        let (mut mantissa, digits) = self.digits(0);
        if leading_zero && digits > 1 {
            self.at = start + usize::from(negative) + 1;
            return Ok(if negative { Number::Double(-0.0) } else { Number::Unsigned(0) });
        }
        let (mut scale, mut whole, mut digits) = (0_i32, true, digits);
        if self.byte() == Some(b'.') {
            self.at += 1;
            whole = false;
            let (longer, fraction) = self.digits(mantissa);
            if fraction == 0 {
                return Err(self.fault("Miss fraction part in number."));
            }
            (mantissa, scale, digits) = (longer, -(fraction as i32), digits + fraction);
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            whole = false;
            let minus = self.byte() == Some(b'-');
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            let (exponent, exponent_digits) = self.digits(0);
            if exponent_digits == 0 {
                return Err(self.fault("Miss exponent in number."));
            }
            let exponent = if exponent_digits > 5 { 99_999 } else { exponent as i32 };
            scale += if minus { -exponent } else { exponent };
        }
        if whole && digits <= 19 {
            if !negative {
                return Ok(Number::Unsigned(mantissa));
            }
            if mantissa > 0 && mantissa <= 1 << 63 {
                return Ok(Number::Signed((mantissa as i64).wrapping_neg()));
            }
        }
        if let (true, true, Ok(power)) = (digits <= 19, mantissa <= 1 << 53, usize::try_from(scale.abs()))
            && power <= 22
        {
            // Both factors are exact, so the result is the nearest double.
            let value = if scale < 0 { mantissa as f64 / TENS[power] } else { mantissa as f64 * TENS[power] };
            return Ok(Number::Double(if negative { -value } else { value }));
        }
        self.slow_number(start, whole && !negative)
    }

    /// What needs more than 64 bits on the way.
    #[cold]
    fn slow_number(&mut self, start: usize, whole: bool) -> Result<Number> {
        let text = &self.text[start..self.at];
        if whole && let Some(value) = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) {
            return Ok(Number::Unsigned(value));
        }
        match fast_float2::parse::<f64, _>(text) {
            Ok(value) if value.is_finite() => Ok(Number::Double(value)),
            _ => Err(self.fault_at("Number too big to be stored in double.", start)),
        }
    }

    #[cold]
    fn not_a_number(&mut self, negative: bool) -> Result<Number> {
        let sign = if negative { -1.0 } else { 1.0 };
        for (word, value) in [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("Inf", f64::INFINITY)] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(Number::Double(sign * value));
            }
        }
        Err(self.fault("Invalid value."))
    }

    /// Reads digits onto `value`; returns it and how many there were.
    #[inline]
    fn digits(&mut self, mut value: u64) -> (u64, usize) {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        (value, self.at - start)
    }

    /// Passes over a value, checking its syntax.
    pub fn skip(&mut self) -> Result<()> {
        match self.peek()? {
            Kind::Null => self.literal(b"null"),
            Kind::Bool => self.bool().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::String => self.string().map(drop),
            Kind::Array => self.array(Self::skip),
            Kind::Object => self.object(|reader, _| reader.skip()),
        }
    }

    /// Checks that nothing follows the value.
    pub fn finish(&mut self) -> Result<()> {
        self.skip_space();
        if self.at == self.text.len() {
            return Ok(());
        }
        Err(self.fault("The document root must not be followed by other values."))
    }

    /// The text between this place and a later one.
    pub(super) fn until(&self, later: &Self) -> &'a [u8] {
        &self.text[self.at..later.at]
    }

    /// Bytes of the text that are still to be read.
    pub(super) fn remaining(&self) -> usize {
        self.text.len() - self.at
    }

    /// Whether the next character opens an array.
    #[inline]
    pub(super) fn at_array(&mut self) -> bool {
        self.skip_space();
        self.byte() == Some(b'[')
    }

    fn literal(&mut self, word: &[u8]) -> Result<()> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.fault("Invalid value."))
    }

    fn open(&mut self) -> Result<()> {
        self.skip_space();
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::invalid(format!("JSON nesting depth exceeds maximum allowed limit ({MAX_DEPTH})")));
        }
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps)] // the last call of those that do
    fn close(&mut self) -> Result<()> {
        self.depth -= 1;
        Ok(())
    }

    #[inline]
    fn next_is(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    fn fault(&self, what: &str) -> Error {
        self.fault_at(what, self.at)
    }

    #[allow(clippy::unused_self)] // reads as the reader's fault
    fn fault_at(&self, what: &str, offset: usize) -> Error {
        Error::invalid(format!("failed to parse the request JSON buffer: {what} at {offset}"))
    }
}

/// Checks the syntax of a whole text.
pub fn check(text: &[u8]) -> Result<()> {
    let mut reader = Reader::new(text);
    reader.skip()?;
    reader.finish()
}

const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> String {
        check(text.as_bytes()).expect_err(text).message.replace("failed to parse the request JSON buffer: ", "")
    }

    #[test]
    fn faults_are_worded_and_placed_as_clients_know_them() {
        for (text, expected) in [
            ("", "The document is empty. at 0"),
            ("abc", "Invalid value. at 0"),
            ("{", "Missing a name for object member. at 1"),
            ("{\"a\" 1}", "Missing a colon after a name of object member. at 5"),
            ("{\"a\":1 \"b\":2}", "Missing a comma or '}' after an object member. at 7"),
            ("[1 2]", "Missing a comma or ']' after an array element. at 3"),
            ("[1,]", "Invalid value. at 3"),
            ("{} {}", "The document root must not be followed by other values. at 3"),
            ("[1.]", "Miss fraction part in number. at 3"),
            ("[1e]", "Miss exponent in number. at 3"),
            ("[1e999]", "Number too big to be stored in double. at 1"),
            ("[\"a", "Missing a closing quotation mark in string. at 3"),
            ("[\"\\x\"]", "Invalid escape character in string. at 2"),
            ("[\"\\u12g4\"]", "Incorrect hex digit after \\u escape in string. at 2"),
            ("[\"\\ud800\"]", "The surrogate pair in string is invalid. at 2"),
        ] {
            assert_eq!(fault(text), expected, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(check(deep(100).as_bytes()).is_ok());
        assert_eq!(fault(&deep(101)), "JSON nesting depth exceeds maximum allowed limit (100)");
        assert!(check("[".repeat(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn numbers_keep_what_they_are() {
        for (text, expected) in [
            ("0", Number::Unsigned(0)),
            ("18446744073709551615", Number::Unsigned(u64::MAX)),
            ("18446744073709551616", Number::Double(18_446_744_073_709_551_616.0)),
            ("-9223372036854775808", Number::Signed(i64::MIN)),
            ("-1", Number::Signed(-1)),
            ("1.5", Number::Double(1.5)),
            ("1e3", Number::Double(1000.0)),
            ("-Infinity", Number::Double(f64::NEG_INFINITY)),
            ("Inf", Number::Double(f64::INFINITY)),
        ] {
            assert_eq!(Reader::new(text.as_bytes()).number().expect(text), expected, "{text}");
        }
    }

    #[test]
    fn escapes_become_what_they_stand_for() {
        let text = br#""a\n\u00e9\ud83d\ude00\/""#;
        assert_eq!(&*Reader::new(text).string().expect("a string"), "a\n\u{e9}\u{1f600}/".as_bytes());
    }

    proptest! {
        #[test]
        fn every_double_is_read_as_the_standard_library_reads_it(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let text = format!("{value:e}");
            let read = Reader::new(text.as_bytes()).number().expect("a number").as_f64();
            prop_assert_eq!(read.to_bits(), value.to_bits());
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}:,\"\\\\a-fnu0-9.eE+\\- ]{0,60}") {
            let _ = check(text.as_bytes());
        }
    }
}
