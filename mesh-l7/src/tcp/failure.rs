//! Why there is no connection to any host.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use mesh_core::lb::Host;
use mesh_core::outcome::Outcome;

use crate::record::Flags;

/// Why a client's connection reached no host.
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data, which other ways to a host make as well"
)]
pub struct NotConnected<E> {
    /// Why.
    pub reason: Reason,
    /// The host that was tried last.
    pub host: Option<Arc<Host<E>>>,
    /// How many connections were tried.
    pub attempts: u32,
}

/// Why the last attempt, or the look for a host, came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The upstream has as many connections as it may have.
    #[error("too many connections")]
    Overflow,
    /// The upstream has no host that may be chosen.
    #[error("no healthy upstream")]
    NoHost,
    /// The host could not be connected to.
    #[error("no connection")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
    /// The host could not be connected to in time.
    #[error("no connection in time")]
    Timeout,
}

impl Reason {
    /// What an access log says: Envoy's `RESPONSE_FLAGS` of a TCP proxy.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        match self {
            Self::Overflow => Flags::OVERFLOW,
            Self::NoHost => Flags::NO_HOST,
            Self::Connect(_) | Self::Timeout => Flags::UPSTREAM_CONNECT,
        }
    }

    /// The class of the end.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Overflow => Outcome::Overflow,
            Self::NoHost => Outcome::NoEndpoint,
            Self::Connect(_) => Outcome::ConnectFailure,
            Self::Timeout => Outcome::ConnectTimeout,
        }
    }
}

impl<E> fmt::Debug for NotConnected<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotConnected")
            .field("reason", &self.reason)
            .field("host", &self.host)
            .field("attempts", &self.attempts)
            .finish()
    }
}

impl<E> fmt::Display for NotConnected<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(
                f,
                "no host reached in {} attempts, the last one {}",
                self.attempts,
                host.spec().key
            ),
            None => f.write_str("no host to connect to"),
        }
    }
}

impl<E> Error for NotConnected<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.reason)
    }
}
