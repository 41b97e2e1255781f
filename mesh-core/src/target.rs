//! The target of an HTTP request, normalised once: the same bytes are authorized, routed and
//! forwarded.
//!
//! - [`Target`]: path and query, with the rules that `meshConfig.pathNormalization` chooses
//!   ([`PathNormalization`], [`TargetRules`]).
//! - [`RequestForm`]: which of the four forms of HTTP a request target has, and the authority in it.
//! - [`Host`]: a host and port in the form that they are compared in.

mod bad;
mod form;
mod host;
mod normalized;
mod output;
mod path;
mod rules;
#[cfg(test)]
mod tests;

pub use bad::BadTarget;
pub use form::{RequestForm, Scheme};
pub use host::{BadHost, Host};
pub use normalized::Target;
pub use rules::{EscapedSlashes, Fragment, PathNormalization, PathParameters, TargetRules};
