//! Compiles the `.proto` files with protox, a compiler in Rust, so that no `protoc` has to be installed.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", folder.display());
    let files = protox::compile(["grpc_service.proto", "health.proto", "isolated.proto"], [&folder])?;
    prost_build::Config::new()
        // Tensor bytes stay slices of the message they arrived in.
        .bytes([".inference.ModelInferRequest.raw_input_contents", ".windlass.isolated"])
        // Of two faults the same one is always told, and parameters reach a model in one order.
        .btree_map(["."])
        .compile_fds(files)?;
    Ok(())
}
