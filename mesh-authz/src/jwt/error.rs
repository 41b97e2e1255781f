//! Why a token is refused, in the words that its sender gets.

use http::StatusCode;

/// Why a token is refused. The text is the body of the answer.
///
/// Source: the texts of Envoy's JWT authentication filter, which clients of Istio see.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// Not three parts with two dots, an empty part, or several tokens in one place.
    #[error("Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections")]
    BadFormat,
    /// Longer than [`LONGEST_TOKEN`](super::LONGEST_TOKEN).
    #[error("Jwt is too large")]
    TooLarge,
    /// The first part is no base64url without padding.
    #[error("Jwt header is an invalid Base64url encoded")]
    HeaderBase64,
    /// The first part holds no JSON object.
    #[error("Jwt header is an invalid JSON")]
    HeaderJson,
    /// `alg` is missing or no string.
    #[error("Jwt header [alg] field is required and must be a string")]
    AlgorithmMissing,
    /// `alg` is unknown, `none`, or refused here.
    #[error("Jwt header [alg] is not supported")]
    AlgorithmUnsupported,
    /// `kid` is no string.
    #[error("Jwt header [kid] field is not a string")]
    KeyIdNotString,
    /// `crit` names extensions; none is understood here (RFC 7515 section 4.1.11).
    #[error("Jwt header [crit] is not supported")]
    CriticalExtension,
    /// The second part is no base64url without padding.
    #[error("Jwt payload is an invalid Base64url encoded")]
    PayloadBase64,
    /// The second part holds no JSON object.
    #[error("Jwt payload is an invalid JSON")]
    PayloadJson,
    /// `iss` is no string.
    #[error("Jwt payload [iss] field is not a string")]
    IssuerNotString,
    /// `sub` is no string.
    #[error("Jwt payload [sub] field is not a string")]
    SubjectNotString,
    /// `jti` is no string.
    #[error("Jwt payload [jti] field is not a string")]
    TokenIdNotString,
    /// `iat` is no number.
    #[error("Jwt payload [iat] field is not an integer")]
    IssuedAtNotInteger,
    /// `iat` is negative or beyond 64 bits.
    #[error("Jwt payload [iat] field is not a positive 64 bit integer")]
    IssuedAtOutOfRange,
    /// `nbf` is no number.
    #[error("Jwt payload [nbf] field is not an integer")]
    NotBeforeNotInteger,
    /// `nbf` is negative or beyond 64 bits.
    #[error("Jwt payload [nbf] field is not a positive 64 bit integer")]
    NotBeforeOutOfRange,
    /// `exp` is no number.
    #[error("Jwt payload [exp] field is not an integer")]
    ExpiryNotInteger,
    /// `exp` is negative or beyond 64 bits.
    #[error("Jwt payload [exp] field is not a positive 64 bit integer")]
    ExpiryOutOfRange,
    /// There is no `exp`, and the profile wants one.
    #[error("Jwt payload [exp] field is required")]
    ExpiryMissing,
    /// `aud` is neither a string nor a list of strings.
    #[error("Jwt payload [aud] field is not a string or string list")]
    AudienceNotStrings,
    /// The third part is no base64url without padding.
    #[error("Jwt signature is an invalid Base64url encoded")]
    SignatureBase64,
    /// No rule is for this issuer.
    #[error("Jwt issuer is not configured")]
    UnknownIssuer,
    /// `exp` is more than 60 s ago.
    #[error("Jwt is expired")]
    Expired,
    /// `nbf` is more than 60 s ahead.
    #[error("Jwt not yet valid")]
    NotYetValid,
    /// `aud` names none of the audiences of the rule. The only one that is 403.
    #[error("Audiences in Jwt are not allowed")]
    AudienceNotAllowed,
    /// No key has this `kid` and fits this `alg`.
    #[error("Jwks doesn't have key to match kid or alg from Jwt")]
    NoMatchingKey,
    /// The signature is not by any key that fits.
    #[error("Jwt verification fails")]
    BadSignature,
    /// The keys of the issuer have not been obtained, or not for too long.
    #[error("Jwks remote fetch is failed")]
    KeysUnavailable,
    /// Tokens of two identities verify in one request, and the profile wants one identity.
    #[error("Found multiple Jwt tokens")]
    Ambiguous,
}

impl JwtError {
    /// 403 when the token is good but for someone else, 401 otherwise.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::AudienceNotAllowed => StatusCode::FORBIDDEN,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// Details of the response for access logs, such as `jwt_authn_access_denied{Jwt_is_expired}`.
    #[must_use]
    pub fn details(self) -> String {
        let text = self.to_string().replace(' ', "_");
        format!("jwt_authn_access_denied{{{text}}}")
    }

    /// Whether the token says nothing about a rule: it is for another one.
    pub(super) fn is_foreign(self) -> bool {
        self == Self::UnknownIssuer
    }
}
