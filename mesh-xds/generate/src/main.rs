//! Makes the wire code of `mesh-xds` from its `.proto` files, so that building the crate needs
//! neither `protoc` nor this program. Run it after a change: `cargo run --manifest-path mesh-xds/generate/Cargo.toml`.
//! A test fails when the committed code is not what it makes.

use std::error::Error;
use std::path::Path;

use mesh_xds_generate::{CRATE, generate};

fn main() -> Result<(), Box<dyn Error>> {
    let target = Path::new(CRATE).join("src/wire");
    for (name, code) in generate()? {
        std::fs::write(target.join(name), code)?;
    }
    Ok(())
}
