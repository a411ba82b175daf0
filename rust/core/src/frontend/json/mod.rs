//! JSON as the protocol speaks it: requests into tensors and tensors into responses, without a document tree in between.

mod elements;
mod encode;
mod generate;
mod infer;
mod parameter;
mod predict;
pub mod reader;
pub mod value;
pub mod writer;

pub use encode::{Encoded, encode_infer};
pub use generate::{decode_generate, encode_generate};
pub use infer::{decode_infer, decode_raw};
pub use predict::{Predict, decode_predict, encode_predict};
