//! A small JSON document, for bodies that are read once in a while: loading, unloading, the index.

use crate::error::{Error, Result};
use crate::frontend::json::reader::{Kind, Number, Reader};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, in the order written.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Parses a whole text.
    ///
    /// # Errors
    /// `INVALID_ARG` with what is wrong and where.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(text);
        let value = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// Reads the next value.
    ///
    /// # Errors
    /// `INVALID_ARG` with what is wrong and where.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(match reader.peek()? {
            Kind::Null => {
                reader.skip()?;
                Self::Null
            }
            Kind::Bool => Self::Bool(reader.bool()?),
            Kind::Number => Self::Number(reader.number()?),
            Kind::String => Self::Text(utf8(&reader.string()?)?),
            Kind::Array => {
                let mut elements = Vec::new();
                reader.array(|reader| {
                    elements.push(Self::read(reader)?);
                    Ok(())
                })?;
                Self::Array(elements)
            }
            Kind::Object => {
                let mut members = Vec::new();
                reader.object(|reader, key| {
                    let key = utf8(key)?;
                    members.push((key, Self::read(reader)?));
                    Ok(())
                })?;
                Self::Object(members)
            }
        })
    }

    /// The text that it is.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The member of that name; the first, where a name is given twice.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

/// A text, which has to be one: it will be written back in an answer.
pub(super) fn utf8(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec())
        .map_err(|error| Error::invalid(format!("a JSON string is not valid UTF-8: {}", error.utf8_error())))
}
