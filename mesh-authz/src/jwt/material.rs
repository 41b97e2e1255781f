//! Keys as cryptography takes them.

use super::algorithm::KeyType;

/// A public key, or a shared secret, as bytes.
#[derive(Clone)]
#[cfg_attr(
    not(any(feature = "aws-lc-rs", feature = "ring")),
    expect(dead_code, reason = "only cryptography reads keys")
)]
pub(super) enum Material {
    /// Modulus and exponent, without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// An uncompressed point of the curve.
    Point(KeyType, Vec<u8>),
    /// An Ed25519 public key.
    Edwards(Vec<u8>),
    /// The secret of HMAC.
    Secret(Vec<u8>),
}

impl Material {
    pub(super) fn key_type(&self) -> KeyType {
        match self {
            Self::Rsa { .. } => KeyType::Rsa,
            Self::Point(curve, _) => *curve,
            Self::Edwards(_) => KeyType::Ed25519,
            Self::Secret(_) => KeyType::Symmetric,
        }
    }
}
