//! The cryptography behind signatures: `aws-lc-rs`, else `ring`.

#[cfg(feature = "aws-lc-rs")]
use aws_lc_rs as provider;
#[cfg(not(feature = "aws-lc-rs"))]
use ring as provider;

use provider::hmac;
use provider::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};

use super::algorithm::{Algorithm, KeyType};
use super::material::Material;

/// Whether `signature` of `message` is by `key`. False as well for a key of another type than
/// the algorithm is bound to.
pub(super) fn verify(
    algorithm: Algorithm,
    key: &Material,
    message: &[u8],
    signature: &[u8],
) -> bool {
    if key.key_type() != algorithm.key_type() {
        return false;
    }
    match key {
        Material::Rsa { modulus, exponent } => rsa(algorithm).is_some_and(|parameters| {
            RsaPublicKeyComponents {
                n: modulus,
                e: exponent,
            }
            .verify(parameters, message, signature)
            .is_ok()
        }),
        Material::Point(curve, point) => ecdsa(*curve).is_some_and(|parameters| {
            UnparsedPublicKey::new(parameters, point)
                .verify(message, signature)
                .is_ok()
        }),
        Material::Edwards(key) => UnparsedPublicKey::new(&signature::ED25519, key)
            .verify(message, signature)
            .is_ok(),
        // RFC 7518 section 3.2: a secret is at least as long as the hash.
        Material::Secret(secret) => hash(algorithm).is_some_and(|(hash, shortest)| {
            let key = hmac::Key::new(hash, secret);
            secret.len() >= shortest && hmac::verify(&key, message, signature).is_ok()
        }),
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn ecdsa(curve: KeyType) -> Option<&'static signature::EcdsaVerificationAlgorithm> {
    Some(match curve {
        KeyType::P256 => &signature::ECDSA_P256_SHA256_FIXED,
        KeyType::P384 => &signature::ECDSA_P384_SHA384_FIXED,
        #[cfg(feature = "aws-lc-rs")]
        KeyType::P521 => &signature::ECDSA_P521_SHA512_FIXED,
        _ => return None,
    })
}

fn hash(algorithm: Algorithm) -> Option<(hmac::Algorithm, usize)> {
    Some(match algorithm {
        Algorithm::Hs256 => (hmac::HMAC_SHA256, 32),
        Algorithm::Hs384 => (hmac::HMAC_SHA384, 48),
        Algorithm::Hs512 => (hmac::HMAC_SHA512, 64),
        _ => return None,
    })
}

/// Whether a key can verify anything: a point is on its curve.
pub(super) fn is_usable(key: &Material) -> bool {
    match key {
        Material::Point(curve, point) => is_on_curve(*curve, point),
        Material::Rsa { .. } | Material::Edwards(_) | Material::Secret(_) => true,
    }
}

#[cfg(feature = "aws-lc-rs")]
fn is_on_curve(curve: KeyType, point: &[u8]) -> bool {
    ecdsa(curve)
        .is_some_and(|parameters| signature::ParsedPublicKey::new(parameters, point).is_ok())
}

/// A key agreement with the point, which fails for points beside the curve.
#[cfg(not(feature = "aws-lc-rs"))]
fn is_on_curve(curve: KeyType, point: &[u8]) -> bool {
    use provider::agreement::{self, EphemeralPrivateKey};
    let algorithm = match curve {
        KeyType::P256 => &agreement::ECDH_P256,
        KeyType::P384 => &agreement::ECDH_P384,
        _ => return false,
    };
    let random = provider::rand::SystemRandom::new();
    let peer = agreement::UnparsedPublicKey::new(algorithm, point);
    EphemeralPrivateKey::generate(algorithm, &random)
        .is_ok_and(|own| agreement::agree_ephemeral(own, &peer, |_| ()).is_ok())
}
