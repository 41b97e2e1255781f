//! Keys made for the tests, and tokens signed with them.

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use aws_lc_rs::{hmac, rsa};
use serde_json::{Value, json};

/// A key pair, or a secret, with the JWK of its public part.
pub(crate) struct Signer {
    secret: Secret,
    /// `kty` and what belongs to it; no `kid`, `alg` or `use`.
    pub(crate) jwk: Value,
}

enum Secret {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
    Hmac(Vec<u8>),
}

/// Two RSA keys of 2048 bits.
pub(crate) static RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa(KeySize::Rsa2048));
pub(crate) static OTHER_RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa(KeySize::Rsa2048));
pub(crate) static P256: LazyLock<Signer> = LazyLock::new(|| Signer::ec("P-256"));
pub(crate) static P384: LazyLock<Signer> = LazyLock::new(|| Signer::ec("P-384"));
pub(crate) static P521: LazyLock<Signer> = LazyLock::new(|| Signer::ec("P-521"));
pub(crate) static EDWARDS: LazyLock<Signer> = LazyLock::new(Signer::edwards);
pub(crate) static SECRET: LazyLock<Signer> = LazyLock::new(|| Signer::hmac(vec![7; 64]));

impl Signer {
    fn rsa(size: KeySize) -> Self {
        let pair = rsa::KeyPair::generate(size).unwrap();
        let (n, e) = integers(pair.public_key().as_ref());
        let jwk = json!({"kty": "RSA", "n": base64url(&n), "e": base64url(&e)});
        Self {
            secret: Secret::Rsa(pair),
            jwk,
        }
    }

    fn ec(curve: &str) -> Self {
        let algorithm = match curve {
            "P-256" => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            "P-384" => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            _ => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
        };
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let jwk = json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)});
        Self {
            secret: Secret::Ec(pair),
            jwk,
        }
    }

    fn edwards() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = base64url(pair.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        Self {
            secret: Secret::Edwards(pair),
            jwk,
        }
    }

    pub(crate) fn hmac(secret: Vec<u8>) -> Self {
        let jwk = json!({"kty": "oct", "k": base64url(&secret)});
        Self {
            secret: Secret::Hmac(secret),
            jwk,
        }
    }

    /// The JWK with further members.
    pub(crate) fn jwk_with(&self, members: &Value) -> Value {
        let mut jwk = self.jwk.clone();
        for (name, value) in members.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    }

    /// A token with this algorithm, key identifier and payload.
    pub(crate) fn token(&self, alg: &str, kid: Option<&str>, payload: &Value) -> String {
        let mut header = json!({"alg": alg, "typ": "JWT"});
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        self.sign(&header.to_string(), &payload.to_string())
    }

    /// A token of these texts; the algorithm in the header says how it is signed.
    pub(crate) fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!(
            "{}.{}",
            base64url(header.as_bytes()),
            base64url(payload.as_bytes())
        );
        let alg = serde_json::from_str::<Value>(header).unwrap()["alg"]
            .as_str()
            .unwrap()
            .to_owned();
        format!(
            "{signed}.{}",
            base64url(&self.signature(&alg, signed.as_bytes()))
        )
    }

    fn signature(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.secret {
            Secret::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match alg {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signed = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signed).unwrap();
                signed
            }
            Secret::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Secret::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
            Secret::Hmac(secret) => {
                let algorithm = match alg {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(algorithm, secret), message)
                    .as_ref()
                    .to_vec()
            }
        }
    }

    /// The public key as DER, for attacks that use it as a secret.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        match &self.secret {
            Secret::Rsa(pair) => {
                let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> =
                    pair.public_key().as_der().unwrap();
                der.as_ref().to_vec()
            }
            _ => panic!("only RSA keys are confused with secrets"),
        }
    }
}

/// A key set of these keys.
pub(crate) fn jwks(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

/// URL-safe base64 without padding, bit by bit: independent of the library's.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    bits.chunks(6)
        .map(|chunk| {
            let value = (0..6).fold(0, |value, bit| {
                value << 1 | chunk.get(bit).copied().unwrap_or(0)
            });
            char::from(alphabet[usize::from(value)])
        })
        .collect()
}

/// The two integers of an RSAPublicKey (RFC 8017 appendix A.1.1), without leading zeros.
fn integers(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    fn content(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, start) = match der[1] {
            0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
            0x81 => (usize::from(der[2]), 3),
            short => (usize::from(short), 2),
        };
        der[start..].split_at(length)
    }
    let plain = |bytes: &[u8]| {
        bytes
            .iter()
            .copied()
            .skip_while(|&byte| byte == 0)
            .collect()
    };
    let (sequence, _) = content(der);
    let (n, rest) = content(sequence);
    (plain(n), plain(content(rest).0))
}
