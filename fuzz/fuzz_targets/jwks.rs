//! Key sets: any bytes are refused, or give keys within the bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_authz::jwt::{Jwks, MOST_KEYS};

fuzz_target!(|text: &[u8]| {
    if let Ok(keys) = Jwks::parse(text) {
        assert!(keys.len() + keys.skipped().len() <= MOST_KEYS);
        assert!(!format!("{keys:?}").is_empty());
    }
});
