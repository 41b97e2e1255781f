//! Identifiers by chance.

use mesh_core::random::{Random, ThreadRandom};

/// Bytes for an identifier. They are no secret.
pub(crate) fn random() -> [u8; 16] {
    let (high, low) = (ThreadRandom.next(), ThreadRandom.next());
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}
