//! Sessions that stay with the host that they began at.

use std::time::Duration;

use http::HeaderName;
use mesh_core::name::Name;

/// A client stays with the host that answered its first request, for as long as that host may be used.
///
/// The host's answer carries a token; requests that bring it back go to the host, whichever backend of the rule it is
/// of, unless the backend has no share any more. A token that is unknown, expired, or of a host that is gone or taken out counts as none:
/// the request is balanced like any other, and its answer carries a new token. (Gateway API, `sessionPersistence`.)
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct SessionPersistence {
    /// What carries the token.
    pub carrier: SessionCarrier,
    /// How long a session lasts at most, whole seconds; `None` is for ever.
    pub lifetime: Option<Duration>,
}

/// What carries the token of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the Gateway API has these two")]
pub enum SessionCarrier {
    /// A cookie.
    Cookie {
        /// Its name.
        name: Name,
        /// The path that it is for.
        path: Name,
        /// Whether a browser keeps it when it is closed: it says how long, then.
        permanent: bool,
    },
    /// A header, of requests and of responses. The client copies it.
    Header(HeaderName),
}
