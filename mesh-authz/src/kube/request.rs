//! `RequestAuthentication`: its fields as they are written, and what they say.

mod duration;
mod keys;
mod object;
mod policy;
mod rule;
#[cfg(feature = "jwt")]
mod verify;

pub use object::{
    ClaimToHeader, JwtHeader, JwtRule, RequestAuthentication, RequestAuthenticationSpec,
};
pub use policy::TokenPolicy;
pub use rule::{KeySource, TokenRule};
