//! JSON as the protocol speaks it: requests into tensors and tensors into responses, without a document tree in between.

mod elements;
mod encode;
mod infer;
mod predict;
pub mod reader;
pub mod value;
pub mod writer;

pub use encode::{Encoded, encode_infer};
pub use infer::{decode_infer, decode_raw};
pub use predict::{Predict, decode_predict, encode_predict};
