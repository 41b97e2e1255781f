//! The committed code is what the generator makes.

use std::path::Path;

use mesh_xds_generate::{CRATE, generate};

#[test]
fn the_committed_code_is_current() {
    for (name, code) in generate().unwrap() {
        let path = Path::new(CRATE).join("src/wire").join(&name);
        let committed = std::fs::read_to_string(&path).unwrap();
        assert!(
            committed == code,
            "{name} is not what its .proto file says: run `cargo run --manifest-path mesh-xds/generate/Cargo.toml`"
        );
    }
}
