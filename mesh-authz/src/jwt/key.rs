//! One key of a key set (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).

use std::fmt;

use serde_json::{Map, Value};

use super::algorithm::{Algorithm, KeyType};
use super::base64;
use super::crypto;
use super::material::Material;

/// Least and most bits of an RSA modulus.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Members that only private keys have.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// A key that verifies signatures. `Debug` shows which key it is, not the key.
#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    material: Material,
    /// Whether the key set gave away a private part of it.
    pub(super) is_private: bool,
}

/// Why a key of a key set is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// The key is no JSON object.
    #[error("is not an object")]
    NotObject,
    /// A member is missing or no string.
    #[error("[{0}] is missing or not a string")]
    Member(&'static str),
    /// A member is no base64url without padding.
    #[error("[{0}] is not base64url")]
    Base64(&'static str),
    /// `kty` or `crv` names nothing that is supported.
    #[error("[{0}] is not supported")]
    Unsupported(&'static str),
    /// `use` is not `sig`, or `key_ops` does not list `verify`.
    #[error("[{0}] does not permit verifying signatures")]
    Use(&'static str),
    /// `alg` is unknown, or for keys of another type.
    #[error("[alg] does not fit the key")]
    Algorithm,
    /// The modulus has fewer than 2048 or more than 8192 bits, or modulus or exponent are even.
    #[error("RSA key is not of 2048 to 8192 bits, or not odd")]
    Rsa,
    /// The coordinates have the wrong length, or are no point of the curve.
    #[error("[x] and [y] are no point of the curve")]
    Point,
    /// The key of Ed25519 does not have 32 bytes.
    #[error("[x] does not have 32 bytes")]
    Edwards,
    /// The secret is empty.
    #[error("[k] is empty")]
    Secret,
}

impl Key {
    pub(super) fn parse(value: &Value) -> Result<Self, KeyProblem> {
        let members = value.as_object().ok_or(KeyProblem::NotObject)?;
        check_use(members)?;
        let material = match text(members, "kty")? {
            "RSA" => rsa(members)?,
            "EC" => point(members)?,
            "OKP" => edwards(members)?,
            "oct" => secret(members)?,
            _ => return Err(KeyProblem::Unsupported("kty")),
        };
        if !crypto::is_usable(&material) {
            return Err(KeyProblem::Point);
        }
        let algorithm = match members.get("alg") {
            None => None,
            Some(Value::String(name)) => Some(fitting(name, &material)?),
            Some(_) => return Err(KeyProblem::Member("alg")),
        };
        let id = match members.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(KeyProblem::Member("kid")),
        };
        Ok(Self {
            id,
            algorithm,
            is_private: PRIVATE.iter().any(|&name| members.contains_key(name)),
            material,
        })
    }

    /// Whether a token of this algorithm and key identifier may be by this key. A key without an
    /// identifier, or a token without one, may be any; a key without an algorithm is used with
    /// every algorithm of its type.
    pub(super) fn fits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        self.material.key_type() == algorithm.key_type()
            && self.algorithm.is_none_or(|only| only == algorithm)
            && (self.id.is_none() || id.is_none() || self.id.as_deref() == id)
    }

    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        crypto::verify(algorithm, &self.material, message, signature)
    }

    pub(super) fn key_type(&self) -> KeyType {
        self.material.key_type()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("key_type", &self.key_type())
            .finish_non_exhaustive()
    }
}

/// The algorithm of the member `alg`, when it is for keys like this one.
fn fitting(name: &str, material: &Material) -> Result<Algorithm, KeyProblem> {
    Algorithm::from_name(name)
        .filter(|algorithm| algorithm.key_type() == material.key_type())
        .ok_or(KeyProblem::Algorithm)
}

fn check_use(members: &Map<String, Value>) -> Result<(), KeyProblem> {
    if members.get("use").is_some_and(|usage| usage != "sig") {
        return Err(KeyProblem::Use("use"));
    }
    let verifies = |operations: &Value| {
        let list = operations.as_array();
        list.is_some_and(|list| list.iter().any(|operation| operation == "verify"))
    };
    match members.get("key_ops") {
        Some(operations) if !verifies(operations) => Err(KeyProblem::Use("key_ops")),
        _ => Ok(()),
    }
}

fn text<'k>(members: &'k Map<String, Value>, name: &'static str) -> Result<&'k str, KeyProblem> {
    let member = members.get(name).and_then(Value::as_str);
    member.ok_or(KeyProblem::Member(name))
}

fn bytes(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyProblem> {
    base64::decode(text(members, name)?.as_bytes()).ok_or(KeyProblem::Base64(name))
}

fn rsa(members: &Map<String, Value>) -> Result<Material, KeyProblem> {
    let number = |name| {
        let bytes = bytes(members, name)?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        Ok(bytes.into_iter().skip(zeros).collect::<Vec<u8>>())
    };
    let (modulus, exponent) = (number("n")?, number("e")?);
    let zeros = modulus
        .first()
        .map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - zeros;
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    let is_one = exponent == [1];
    if !RSA_BITS.contains(&bits) || !odd(&modulus) || !odd(&exponent) || is_one {
        return Err(KeyProblem::Rsa);
    }
    Ok(Material::Rsa { modulus, exponent })
}

fn point(members: &Map<String, Value>) -> Result<Material, KeyProblem> {
    let (curve, length) = match text(members, "crv")? {
        "P-256" => (KeyType::P256, 32),
        "P-384" => (KeyType::P384, 48),
        "P-521" => (KeyType::P521, 66),
        _ => return Err(KeyProblem::Unsupported("crv")),
    };
    let (x, y) = (bytes(members, "x")?, bytes(members, "y")?);
    if x.len() != length || y.len() != length {
        return Err(KeyProblem::Point);
    }
    // SEC 1 section 2.3.3: 4 marks a point with both coordinates.
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    Ok(Material::Point(curve, point))
}

fn edwards(members: &Map<String, Value>) -> Result<Material, KeyProblem> {
    if text(members, "crv")? != "Ed25519" {
        return Err(KeyProblem::Unsupported("crv"));
    }
    let key = bytes(members, "x")?;
    if key.len() != 32 {
        return Err(KeyProblem::Edwards);
    }
    Ok(Material::Edwards(key))
}

fn secret(members: &Map<String, Value>) -> Result<Material, KeyProblem> {
    let secret = bytes(members, "k")?;
    if secret.is_empty() {
        return Err(KeyProblem::Secret);
    }
    Ok(Material::Secret(secret))
}
