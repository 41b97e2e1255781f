//! Why a layer answers a request itself.

use std::borrow::Cow;

#[cfg(feature = "jwt")]
use crate::jwt::JwtError;

/// Why a layer answers a request itself, where no policy denied it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// Its token did not verify.
    #[cfg(feature = "jwt")]
    Token(JwtError),
    /// An external authorizer denied it.
    External,
    /// An external authorizer did not answer, or there is none of its name.
    ExternalFailed,
}

impl Refusal {
    /// In Envoy's words, as its access logs have them in `RESPONSE_CODE_DETAILS`.
    ///
    /// ```
    /// use mesh_authz::layer::Refusal;
    ///
    /// assert_eq!(Refusal::External.details(), "ext_authz_denied");
    /// # #[cfg(feature = "jwt")] {
    /// use mesh_authz::jwt::JwtError;
    ///
    /// let expired = Refusal::Token(JwtError::Expired);
    /// assert_eq!(expired.details(), "jwt_authn_access_denied{Jwt_is_expired}");
    /// # }
    /// ```
    #[must_use]
    pub fn details(&self) -> Cow<'static, str> {
        match self {
            #[cfg(feature = "jwt")]
            Self::Token(error) => {
                let words = error.to_string().replace(char::is_whitespace, "_");
                format!("jwt_authn_access_denied{{{words}}}").into()
            }
            Self::External => "ext_authz_denied".into(),
            Self::ExternalFailed => "ext_authz_error".into(),
        }
    }
}
