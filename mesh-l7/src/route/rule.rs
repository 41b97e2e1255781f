//! One rule: conditions, and what becomes of a request that meets them.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode};
use mesh_core::name::Name;

use super::backend::Backends;
use super::retry::RetryPolicy;
use super::session::SessionPersistence;
use crate::filter::{Cors, Fault, HeaderEdits, Mirror, Redirect, Rewrite};
use crate::matching::RequestMatch;

/// One rule of a route.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Rule {
    /// Its name, for logs and metrics.
    pub name: Name,
    /// Where it was configured.
    pub origin: Origin,
    /// One must match; without any it matches everything but CONNECT.
    pub matches: Vec<RequestMatch>,
    /// What becomes of the request.
    pub action: Action,
    /// Edits of the request's headers.
    pub request_headers: HeaderEdits,
    /// Edits of the response's headers.
    pub response_headers: HeaderEdits,
    /// Changes of path or host before it is forwarded.
    pub rewrite: Option<Box<Rewrite>>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Further attempts.
    pub retry: Option<RetryPolicy>,
    /// Copies for others.
    pub mirrors: Vec<Mirror>,
    /// Faults that are made on purpose.
    pub fault: Option<Box<Fault>>,
    /// Requests from pages of other origins.
    pub cors: Option<Box<Cors>>,
    /// What hosts are chosen by, where they are chosen by a hash.
    pub hash: Vec<HashInput>,
    /// Clients that stay with a host.
    pub session: Option<Box<SessionPersistence>>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a router must handle every action")]
pub enum Action {
    /// It is forwarded to one of these.
    Forward(Backends),
    /// It is answered with another location.
    Redirect(Box<Redirect>),
    /// It is answered here.
    Respond(DirectResponse),
}

/// An answer that no upstream gives.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct DirectResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// Where a rule was configured: what explanations and metrics name.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Origin {
    /// Kind of the object, such as `HTTPRoute`.
    pub kind: &'static str,
    /// Namespace of the object.
    pub namespace: Name,
    /// Name of the object.
    pub name: Name,
    /// Place of the rule in the object, from 0.
    pub rule: u32,
}

/// Time limits of a request. None by default.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Timeouts {
    /// From the head of the request to the end of the response, all attempts included; 504 after it.
    pub request: Option<Duration>,
    /// Of one attempt.
    pub attempt: Option<Duration>,
    /// Without a byte in either direction.
    pub idle: Option<Duration>,
}

/// What hosts are chosen by, where they are chosen by a hash. Values are combined in their order; an
/// input that is absent adds nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a router must handle every input")]
pub enum HashInput {
    /// A header's value.
    Header(HeaderName),
    /// A cookie's value. With a lifetime the cookie is made when it is absent.
    Cookie(HashCookie),
    /// Address of the client.
    SourceAddress,
    /// A query parameter's value.
    QueryParameter(Name),
}

/// A cookie that keeps a client with its host.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct HashCookie {
    /// Its name.
    pub name: Name,
    /// Its path; none by default.
    pub path: Option<Name>,
    /// How long it is kept; `None` never makes it, zero makes it for the session.
    pub lifetime: Option<Duration>,
}

impl Rule {
    /// A rule that matches everything but CONNECT and does nothing else.
    pub fn new(name: impl Into<Name>, action: Action) -> Self {
        Self {
            name: name.into(),
            origin: Origin::default(),
            matches: Vec::new(),
            action,
            request_headers: HeaderEdits::default(),
            response_headers: HeaderEdits::default(),
            rewrite: None,
            timeouts: Timeouts::default(),
            retry: None,
            mirrors: Vec::new(),
            fault: None,
            cors: None,
            hash: Vec::new(),
            session: None,
        }
    }
}

impl Action {
    /// An answer of a status with an empty body.
    #[must_use]
    pub fn respond(status: StatusCode) -> Self {
        Self::Respond(DirectResponse {
            status,
            body: Bytes::new(),
        })
    }

    /// 404 with an empty body.
    #[must_use]
    pub fn not_found() -> Self {
        Self::respond(StatusCode::NOT_FOUND)
    }
}

/// `kind namespace/name[rule]`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}/{}[{}]",
            self.kind, self.namespace, self.name, self.rule
        )
    }
}
