//! Requests and rules of the tests.

use std::time::{Duration, SystemTime};

use http::request::Parts;
use mesh_authz::jwt::{
    Authenticated, Authenticator, Jwks, JwksStore, JwtError, JwtRule, KeySource, Profile,
};
use serde_json::{Value, json};

use crate::signer::{RSA, Signer, jwks};

/// The time of the tests, in seconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn now() -> SystemTime {
    at(NOW)
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A payload with an issuer, a subject and an hour to live.
pub(crate) fn payload(issuer: &str) -> Value {
    json!({"iss": issuer, "sub": "someone", "exp": NOW + 3600})
}

/// The payload with further members; `null` removes one.
pub(crate) fn payload_with(issuer: &str, members: &Value) -> Value {
    let mut payload = payload(issuer);
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            payload.as_object_mut().unwrap().remove(name);
        } else {
            payload[name] = value.clone();
        }
    }
    payload
}

/// A rule for tokens of an issuer, with one key.
pub(crate) fn rule(issuer: &str, signer: &Signer) -> JwtRule {
    JwtRule::new(
        issuer,
        KeySource::Inline(set(std::slice::from_ref(&signer.jwk))),
    )
}

pub(crate) fn set(keys: &[Value]) -> Jwks {
    Jwks::parse(jwks(keys).as_bytes()).unwrap()
}

pub(crate) fn authenticator(rules: Vec<JwtRule>, profile: Profile) -> Authenticator {
    Authenticator::new(rules, &JwksStore::new(), profile).unwrap()
}

/// A GET of `target` with these header lines.
pub(crate) fn request(target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut builder = http::Request::builder().uri(target);
    for &(name, value) in headers {
        builder = builder.header(name, value);
    }
    builder.body(()).unwrap().into_parts().0
}

pub(crate) fn bearer(token: &str) -> Parts {
    request("/", &[("authorization", &format!("Bearer {token}"))])
}

/// What a token in `Authorization` gives with one rule for issuer `a`, with the RSA key.
pub(crate) fn check(token: &str, profile: Profile) -> Result<Authenticated, JwtError> {
    authenticator(vec![rule("a", &RSA)], profile).check(&mut bearer(token), now())
}

/// The subject that a request proves, or the error.
pub(crate) fn subject(result: Result<Authenticated, JwtError>) -> Result<Option<String>, JwtError> {
    result.map(|it| {
        it.claims
            .and_then(|claims| claims.subject().map(str::to_owned))
    })
}
