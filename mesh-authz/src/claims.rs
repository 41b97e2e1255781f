//! Claims of a verified token, as policies and routes read them.
//!
//! [`VerifiedClaims`] is what is left of a JSON Web Token once it has been verified. Nothing reads
//! claims of a token that has not: the verifier is the only one that makes these values, apart from
//! [`VerifiedClaims::assume_verified`] for tests and replays.
//!
//! ```
//! use mesh_authz::claims::{ClaimPath, VerifiedClaims};
//!
//! let serde_json::Value::Object(map) = serde_json::json!({
//!     "iss": "https://idp.example", "sub": "cart", "scope": "read write",
//!     "org": { "teams": ["shop", 7, "ops"] },
//! }) else { unreachable!() };
//! let claims = VerifiedClaims::assume_verified(map);
//!
//! assert_eq!(claims.issuer(), Some("https://idp.example"));
//! let teams = ClaimPath::from_condition_key("request.auth.claims[org][teams]")?;
//! assert_eq!(claims.strings(teams.names()).collect::<Vec<_>>(), ["shop", "ops"]);
//! let scope = ClaimPath::from_brackets("[scope]")?;
//! assert!(scope.any(&claims, |value| value == "write"));
//! # Ok::<(), mesh_authz::claims::InvalidClaimPath>(())
//! ```

mod path;
#[cfg(test)]
mod tests;
mod values;
mod verified;

pub use path::{ClaimPath, InvalidClaimPath};
pub use values::Strings;
pub use verified::{SpaceDelimited, VerifiedClaims};
