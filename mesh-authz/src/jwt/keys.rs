//! A set of keys (RFC 7517 section 5).

use serde_json::Value;

use super::algorithm::KeyType;
use super::error::JwtError;
use super::json;
use super::key::{Key, KeyProblem};
use super::token::Token;

/// The largest text of a key set, in bytes: 1 MiB.
pub const LARGEST_JWKS: usize = 1024 * 1024;
/// The most keys of a set.
pub const MOST_KEYS: usize = 128;

/// Keys of one issuer.
///
/// A key that cannot be used is left out and [told about](Jwks::skipped), as RFC 7517 section 5
/// wants it: a new type of key must not make the others useless. A set without any usable key is a
/// set all the same; no token verifies with it.
#[derive(Clone, Debug, Default)]
pub struct Jwks {
    keys: Vec<Key>,
    skipped: Vec<SkippedKey>,
}

/// A key of a set that is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SkippedKey {
    /// The place of the key in the set, from 0.
    pub index: usize,
    /// Why it is not used.
    pub problem: KeyProblem,
}

/// Why a text is no key set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidJwks {
    /// More than [`LARGEST_JWKS`].
    #[error("Jwks is larger than {LARGEST_JWKS} bytes")]
    TooLarge,
    /// No JSON object, or nested more than 32 deep.
    #[error("Jwks is an invalid JSON")]
    Json,
    /// The member `keys` is missing.
    #[error("Jwks does not have [keys] field")]
    NoKeys,
    /// The member `keys` is no list.
    #[error("[keys] in Jwks is not an array")]
    KeysNotList,
    /// More than [`MOST_KEYS`].
    #[error("Jwks has more than {MOST_KEYS} keys")]
    TooManyKeys,
}

impl Jwks {
    /// Reads a key set.
    ///
    /// # Errors
    /// [`InvalidJwks`] when the text as a whole is no key set.
    ///
    /// ```
    /// use mesh_authz::jwt::{InvalidJwks, Jwks};
    ///
    /// assert!(Jwks::parse(b"{\"keys\": []}")?.is_empty());
    /// assert_eq!(Jwks::parse(b"{}").unwrap_err(), InvalidJwks::NoKeys);
    /// # Ok::<(), InvalidJwks>(())
    /// ```
    pub fn parse(text: &[u8]) -> Result<Self, InvalidJwks> {
        if text.len() > LARGEST_JWKS {
            return Err(InvalidJwks::TooLarge);
        }
        let set = json::object(text).ok_or(InvalidJwks::Json)?;
        let keys = match set.get("keys") {
            None => return Err(InvalidJwks::NoKeys),
            Some(Value::Array(keys)) => keys,
            Some(_) => return Err(InvalidJwks::KeysNotList),
        };
        if keys.len() > MOST_KEYS {
            return Err(InvalidJwks::TooManyKeys);
        }
        let mut jwks = Self::default();
        for (index, key) in keys.iter().enumerate() {
            match Key::parse(key) {
                Ok(key) => jwks.keys.push(key),
                Err(problem) => jwks.skipped.push(SkippedKey { index, problem }),
            }
        }
        Ok(jwks)
    }

    /// How many keys can be used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that are not used.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Whether the text gave away a secret: a private key, or a key that also signs.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        let secret = |key: &Key| key.is_private || key.key_type() == KeyType::Symmetric;
        self.keys.iter().any(secret)
    }

    /// Whether some key that fits signed the token.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<(), JwtError> {
        let id = token.key_id.as_deref();
        let mut error = JwtError::NoMatchingKey;
        for key in self.keys.iter().filter(|key| key.fits(token.algorithm, id)) {
            if key.verifies(token.algorithm, token.signed, &token.signature) {
                return Ok(());
            }
            error = JwtError::BadSignature;
        }
        Err(error)
    }
}
