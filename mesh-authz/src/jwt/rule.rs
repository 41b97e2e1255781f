//! One rule of a RequestAuthentication: whose tokens are taken, where from, and what becomes of them.

use std::time::Duration;

use mesh_core::name::Name;

use super::keys::Jwks;
use crate::claims::SpaceDelimited;

/// How tokens of one issuer are verified, as a RequestAuthentication says it (`spec.jwtRules[]`).
///
/// [`Authenticator::new`](super::Authenticator::new) checks and compiles rules.
/// Source: Istio, `security.istio.io/v1` `JWTRule`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JwtRule {
    /// What the claim `iss` must be, exactly. When it is empty, the claim is not looked at.
    pub issuer: Name,
    /// The claim `aud` must name one of them. When there are none, it is not looked at.
    pub audiences: Vec<Name>,
    /// The keys of the issuer.
    pub keys: KeySource,
    /// Headers that carry tokens. Any place that is given replaces both default places.
    pub from_headers: Vec<HeaderPlace>,
    /// Query parameters that carry tokens.
    pub from_params: Vec<Name>,
    /// Cookies that carry tokens.
    pub from_cookies: Vec<Name>,
    /// The header that the payload of a verified token is given to the application in, as
    /// base64url without padding.
    pub output_payload_to_header: Option<Name>,
    /// Headers that single claims are given to the application in.
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    /// Whether the application gets the token as well. Default: no.
    pub forward_original_token: bool,
    /// Top-level claims that are lists of words; at most 64, beside `scope` and `permission`.
    pub space_delimited: SpaceDelimited,
    /// How long a fetch of keys may take. Default: 5 s.
    pub timeout: Duration,
}

impl JwtRule {
    /// A rule with the defaults: tokens in the header `Authorization` after `Bearer `, or else in
    /// the query parameter `access_token`; any audience; nothing given to the application.
    #[must_use]
    pub fn new(issuer: impl Into<Name>, keys: KeySource) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: Vec::new(),
            keys,
            from_headers: Vec::new(),
            from_params: Vec::new(),
            from_cookies: Vec::new(),
            output_payload_to_header: None,
            output_claim_to_headers: Vec::new(),
            forward_original_token: false,
            space_delimited: SpaceDelimited::default(),
            timeout: Duration::from_secs(5),
        }
    }
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum KeySource {
    /// From the rule itself (`jwks`).
    Inline(Jwks),
    /// From an `http` or `https` URI of at most 2048 bytes (`jwksUri`).
    Remote(Name),
    /// From the URI that the issuer publishes (OpenID Connect Discovery 1.0 section 4).
    Discovery,
}

/// A header that carries tokens.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HeaderPlace {
    /// Name of the header, in any case.
    pub name: Name,
    /// What is before the token, exactly; may be empty.
    pub prefix: Name,
}

impl HeaderPlace {
    /// The header `name`, with `prefix` before the token.
    #[must_use]
    pub fn new(name: impl Into<Name>, prefix: impl Into<Name>) -> Self {
        Self {
            name: name.into(),
            prefix: prefix.into(),
        }
    }
}

/// A header that a claim is given to the application in.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ClaimToHeader {
    /// Name of the header: letters, digits, `-` and `_`.
    pub header: Name,
    /// The claim; names of nested ones are separated by dots.
    pub claim: Name,
}

impl ClaimToHeader {
    /// The claim `claim`, in the header `header`.
    #[must_use]
    pub fn new(header: impl Into<Name>, claim: impl Into<Name>) -> Self {
        Self {
            header: header.into(),
            claim: claim.into(),
        }
    }
}
