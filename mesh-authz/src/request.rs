//! What is known of a request when it is decided.

use std::fmt;

use http::HeaderMap;
use mesh_core::target::Target;

use crate::claims::VerifiedClaims;

/// A request on a connection, as policies see it.
///
/// What is not there is absent for every condition on it: no value fits, and so no excluded value
/// does either.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Request<'a> {
    /// Method, as it was sent.
    pub method: &'a str,
    /// Path and query, normalised; `None` for a CONNECT.
    pub target: Option<&'a Target<'a>>,
    /// Authority with its port, as it is forwarded.
    pub host: &'a str,
    /// Header lines.
    pub headers: &'a HeaderMap,
    /// Claims of its verified token; `None` without one.
    pub claims: Option<&'a VerifiedClaims>,
    /// What earlier parts of the proxy have noted.
    pub metadata: &'a dyn Metadata,
}

impl<'a> Request<'a> {
    /// A request without target, token and metadata.
    #[must_use]
    pub fn new(method: &'a str, host: &'a str, headers: &'a HeaderMap) -> Self {
        Self {
            method,
            target: None,
            host,
            headers,
            claims: None,
            metadata: &NoMetadata,
        }
    }

    /// With the target, the one that is forwarded.
    #[must_use]
    pub fn with_target(self, target: &'a Target<'a>) -> Self {
        let target = Some(target);
        Self { target, ..self }
    }

    /// With the claims of its token.
    #[must_use]
    pub fn with_claims(self, claims: &'a VerifiedClaims) -> Self {
        let claims = Some(claims);
        Self { claims, ..self }
    }

    /// With what earlier parts of the proxy have noted.
    #[must_use]
    pub fn with_metadata(self, metadata: &'a dyn Metadata) -> Self {
        Self { metadata, ..self }
    }
}

/// What parts of a proxy have noted about a request, by who noted it and under which key.
pub trait Metadata: fmt::Debug + Sync {
    /// Whether the value under a key is a text that fits.
    fn text(&self, filter: &str, key: &str, fits: &dyn Fn(&str) -> bool) -> bool;

    /// Whether the value under a key is a list with a text that fits.
    fn element(&self, filter: &str, key: &str, fits: &dyn Fn(&str) -> bool) -> bool;
}

/// Nothing is noted.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct NoMetadata;

impl Metadata for NoMetadata {
    fn text(&self, _: &str, _: &str, _: &dyn Fn(&str) -> bool) -> bool {
        false
    }

    fn element(&self, _: &str, _: &str, _: &dyn Fn(&str) -> bool) -> bool {
        false
    }
}
