//! The fields of a `RequestAuthentication` as they are written.

use serde::{Deserialize, Serialize};

use crate::kube::meta::{Object, default_if_null};
use crate::kube::selector::{Selector, TargetRef};

/// A `RequestAuthentication`.
///
/// Source: Istio's `security.istio.io/v1` `RequestAuthentication`.
pub type RequestAuthentication = Object<RequestAuthenticationSpec>;

/// What a [`RequestAuthentication`] asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct RequestAuthenticationSpec {
    /// Workloads that it applies to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// Object that it applies to; the older form of `target_refs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<TargetRef>,
    /// Objects that it applies to, at most 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_refs: Vec<TargetRef>,
    /// Issuers of tokens, at most 4096.
    #[serde(
        deserialize_with = "default_if_null",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub jwt_rules: Vec<JwtRule>,
}

/// An issuer of tokens, and where its tokens are in a request.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct JwtRule {
    /// The claim `iss`. May be empty where keys are given; it is not compared then.
    pub issuer: String,
    /// Values of the claim `aud`, of which a token must have one. Empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// Where the keys are, with `http` or `https`; at most 2048 bytes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jwks_uri: String,
    /// The keys themselves, a JSON Web Key Set.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jwks: String,
    /// Headers with a token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_headers: Vec<JwtHeader>,
    /// Query parameters with a token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_params: Vec<String>,
    /// Cookies with a token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_cookies: Vec<String>,
    /// Header that the verified payload is written to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output_payload_to_header: String,
    /// Whether the token is left in the request.
    pub forward_original_token: bool,
    /// Headers that single claims are written to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    /// How long fetching the keys may take, such as `5s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Claims that are lists of words, beside `scope` and `permission`; at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub space_delimited_claims: Vec<String>,
}

/// A header with a token.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct JwtHeader {
    /// Name.
    pub name: String,
    /// What comes before the token, with its spaces, such as `Bearer `.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// A header that a claim is written to.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct ClaimToHeader {
    /// Name of the header.
    pub header: String,
    /// Name of the claim, with a `.` before the name of one inside of it.
    pub claim: String,
}
