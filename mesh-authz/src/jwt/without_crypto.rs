//! What stands in for cryptography without the features that bring it: it refuses everything.

use super::algorithm::Algorithm;
use super::material::Material;

/// No signature is good.
pub(super) fn verify(_: Algorithm, _: &Material, _: &[u8], _: &[u8]) -> bool {
    false
}

/// No key is usable.
pub(super) fn is_usable(_: &Material) -> bool {
    false
}
