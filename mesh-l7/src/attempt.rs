//! One try to have a request answered by one host.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::Request;
use mesh_core::lb::Host;

use crate::body::Body;
use crate::route::NoResponse;
use crate::upstream::Upstream;

/// A request, and the host that it goes to: what a router asks a client for. The client is a tower
/// service from this to an `http::Response<Body>` or an [`AttemptError`].
#[expect(clippy::exhaustive_structs, reason = "what a router gives to a client")]
pub struct Attempt<E> {
    /// What the host belongs to, with its settings and limits.
    pub upstream: Arc<Upstream<E>>,
    /// The host.
    pub host: Arc<Host<E>>,
    /// The request.
    pub request: Request<Body>,
}

impl<E> fmt::Debug for Attempt<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("host", &self.host.spec().key)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// Why no head of a response came of an attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// There is no connection, and none could be made.
    #[error("no connection")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
    /// None could be made in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The upstream has as many connections, or requests waiting for one, as it may have.
    #[error("too many connections or waiting requests")]
    Overflow,
    /// The upstream has not begun with the request: GOAWAY, or a stream refused.
    #[error("refused by the upstream before it began")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// The connection ended before the head of the request was written.
    #[error("the connection ended before the request was sent")]
    BeforeRequest(#[source] Box<dyn Error + Send + Sync>),
    /// The connection or the stream ended after that.
    #[error("the connection or stream ended")]
    Reset(#[source] Box<dyn Error + Send + Sync>),
    /// The upstream's answer breaks the protocol.
    #[error("not an answer of HTTP")]
    Protocol(#[source] Box<dyn Error + Send + Sync>),
    /// The body of the request ended before its end: the client is gone, or broke the protocol.
    #[error("the request ended early")]
    Request(#[source] Box<dyn Error + Send + Sync>),
}

impl AttemptError {
    /// What conditions of retries call it; `None` when it must not be tried again.
    #[must_use]
    pub const fn no_response(&self) -> Option<NoResponse> {
        match self {
            Self::Connect(_) | Self::ConnectTimeout => Some(NoResponse::Connect),
            Self::Refused(_) => Some(NoResponse::Refused),
            Self::BeforeRequest(_) => Some(NoResponse::BeforeRequest),
            Self::Reset(_) => Some(NoResponse::Reset),
            Self::Overflow | Self::Protocol(_) | Self::Request(_) => None,
        }
    }
}
