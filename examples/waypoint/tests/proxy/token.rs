//! Tokens and keys for them: RFC 7515 and RFC 7517, with ES256.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

/// A key that signs tokens.
pub(crate) struct Issuer(EcdsaKeyPair);

impl Issuer {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// The JSON Web Key Set.
    pub(crate) fn keys(&self) -> String {
        // An uncompressed point: 4, x, y.
        let point = self.0.public_key().as_ref();
        let (x, y) = (base64(&point[1..33]), base64(&point[33..]));
        format!(
            r#"{{"keys":[{{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k","x":"{x}","y":"{y}"}}]}}"#
        )
    }

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &str) -> String {
        let header = base64(br#"{"alg":"ES256","kid":"k","typ":"JWT"}"#);
        let text = format!("{header}.{}", base64(claims.as_bytes()));
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", base64(signature.as_ref()))
    }
}

/// base64url without padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for at in 0..=chunk.len() {
            text.push(char::from(LETTERS[(word >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}
