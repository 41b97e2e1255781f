//! The compact form of a token (RFC 7515 section 3.1), taken apart but not verified.

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::base64;
use super::error::JwtError;
use super::json;

/// The longest token, in bytes: 8 KiB.
pub const LONGEST_TOKEN: usize = 8 * 1024;

/// A token that has been parsed. **Nothing of it is verified.**
pub(super) struct Token<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    pub(super) claims: Map<String, Value>,
    pub(super) not_before: Option<u64>,
    pub(super) expiry: Option<u64>,
    /// The payload as it is written in the token.
    pub(super) payload: &'t str,
    /// What the signature is about.
    pub(super) signed: &'t [u8],
    pub(super) signature: Vec<u8>,
}

impl<'t> Token<'t> {
    /// Takes `text` apart. What is wrong first is told, in the order of Envoy's verifier.
    pub(super) fn parse(text: &'t str) -> Result<Self, JwtError> {
        if text.len() > LONGEST_TOKEN {
            return Err(JwtError::TooLarge);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(JwtError::BadFormat)?;
        let (header, payload) = signed.split_once('.').ok_or(JwtError::BadFormat)?;
        if payload.contains('.') || [header, payload, signature].contains(&"") {
            return Err(JwtError::BadFormat);
        }
        let (algorithm, key_id) = read_header(header)?;
        let bytes = base64::decode(payload.as_bytes()).ok_or(JwtError::PayloadBase64)?;
        let claims = json::object(&bytes).ok_or(JwtError::PayloadJson)?;
        let (not_before, expiry) = read_claims(&claims)?;
        Ok(Self {
            algorithm,
            key_id,
            not_before,
            expiry,
            claims,
            payload,
            signed: signed.as_bytes(),
            signature: base64::decode(signature.as_bytes()).ok_or(JwtError::SignatureBase64)?,
        })
    }

    /// The claim `iss`; the empty text when there is none.
    pub(super) fn issuer(&self) -> &str {
        self.claims.get("iss").and_then(Value::as_str).unwrap_or("")
    }

    /// The claim `aud`: one text or several.
    pub(super) fn audiences(&self) -> impl Iterator<Item = &str> {
        let audience = self.claims.get("aud");
        let list = audience.and_then(Value::as_array);
        let several = list.into_iter().flatten().filter_map(Value::as_str);
        audience.and_then(Value::as_str).into_iter().chain(several)
    }
}

/// `alg` and `kid`.
fn read_header(text: &str) -> Result<(Algorithm, Option<String>), JwtError> {
    let bytes = base64::decode(text.as_bytes()).ok_or(JwtError::HeaderBase64)?;
    let header = json::object(&bytes).ok_or(JwtError::HeaderJson)?;
    let name = header.get("alg").and_then(Value::as_str);
    let algorithm = Algorithm::from_name(name.ok_or(JwtError::AlgorithmMissing)?)
        .ok_or(JwtError::AlgorithmUnsupported)?;
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(_) => return Err(JwtError::KeyIdNotString),
    };
    if header.contains_key("crit") {
        return Err(JwtError::CriticalExtension);
    }
    Ok((algorithm, key_id))
}

/// `nbf` and `exp`; the registered claims must have the types that RFC 7519 gives them.
fn read_claims(claims: &Map<String, Value>) -> Result<(Option<u64>, Option<u64>), JwtError> {
    let text = |name: &str, error| match claims.get(name) {
        None | Some(Value::String(_)) => Ok(()),
        Some(_) => Err(error),
    };
    let time = |name: &str, no_number, out_of_range| match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => seconds(number).map(Some).ok_or(out_of_range),
        Some(_) => Err(no_number),
    };
    text("iss", JwtError::IssuerNotString)?;
    text("sub", JwtError::SubjectNotString)?;
    time(
        "iat",
        JwtError::IssuedAtNotInteger,
        JwtError::IssuedAtOutOfRange,
    )?;
    let not_before = time(
        "nbf",
        JwtError::NotBeforeNotInteger,
        JwtError::NotBeforeOutOfRange,
    )?;
    let expiry = time(
        "exp",
        JwtError::ExpiryNotInteger,
        JwtError::ExpiryOutOfRange,
    )?;
    text("jti", JwtError::TokenIdNotString)?;
    match claims.get("aud") {
        None | Some(Value::String(_)) => {}
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {}
        Some(_) => return Err(JwtError::AudienceNotStrings),
    }
    Ok((not_before, expiry))
}

/// Whole seconds of a number of seconds: a fraction is cut off, a negative number is none.
fn seconds(number: &serde_json::Number) -> Option<u64> {
    if let Some(seconds) = number.as_u64() {
        return Some(seconds);
    }
    // 2^64, the first whole number that does not fit.
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    let seconds = number.as_f64()?;
    (0.0..BEYOND).contains(&seconds).then_some(seconds as u64)
}
