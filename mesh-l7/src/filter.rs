//! What happens to requests and responses on their way: pure functions over heads.
//!
//! | type | |
//! |---|---|
//! | [`HeaderEdits`] | headers set, added and removed |
//! | [`Redirect`] | an answer with another location |
//! | [`Rewrite`] | another path or host before forwarding |
//! | [`Cors`] | requests from pages of other origins |
//! | [`Fault`] | delays and errors on purpose |
//! | [`Mirror`] | copies for others |
//!
//! Chance is an argument, as everywhere.

mod cors;
mod fault;
mod headers;
mod mirror;
mod path;
mod percent;
mod redirect;
mod rewrite;

pub use cors::{Cors, CorsAnswer, Credentials, Origins, Unmatched};
pub use fault::{Abort, Delay, Fault, Faults};
pub use headers::HeaderEdits;
pub use mirror::{Mirror, shadow_host};
pub use path::{InvalidTarget, PathChange};
pub use percent::Percent;
pub use redirect::{Redirect, RedirectPort};
pub use rewrite::Rewrite;
