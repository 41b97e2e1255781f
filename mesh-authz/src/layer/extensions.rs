//! What a request's token proves, as it travels with the request.

use std::sync::Arc;

use http::Extensions;

use crate::claims::VerifiedClaims;

/// Claims in the extensions of a request. Nobody outside of this crate can put them there.
#[derive(Clone)]
struct RequestClaims(Arc<VerifiedClaims>);

/// The claims of the verified token of a request, as `AuthnLayer` left them in its extensions.
///
/// A request that brings such an extension along cannot be: only `AuthnLayer` makes it, and removes
/// what was there before.
#[must_use]
pub fn request_claims(extensions: &Extensions) -> Option<&Arc<VerifiedClaims>> {
    extensions.get::<RequestClaims>().map(|claims| &claims.0)
}

/// Replaces the claims of a request.
#[cfg(feature = "jwt")]
pub(super) fn set_claims(extensions: &mut Extensions, claims: Option<Arc<VerifiedClaims>>) {
    match claims {
        Some(claims) => {
            extensions.insert(RequestClaims(claims));
        }
        None => {
            extensions.remove::<RequestClaims>();
        }
    }
}
