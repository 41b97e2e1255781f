//! Why a connection failed.

use std::net::SocketAddr;

use mesh_core::authority::InvalidAuthority;
use mesh_core::outcome::Outcome;
use mesh_core::resolve::{InboundError, ResolveError};

use super::{DialError, NoLocalWorkload};
use crate::carrier::ConnectionLost;
use crate::copy::CopyError;
use crate::{client, server, socks5};

/// Why a connection failed. It has been reported to the telemetry already.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The local workload is not known.
    #[error(transparent)]
    NoLocalWorkload(#[from] NoLocalWorkload),
    /// There is no route.
    #[error(transparent)]
    Unroutable(#[from] ResolveError),
    /// The request is refused before policy is asked.
    #[error(transparent)]
    Refused(#[from] InboundError),
    /// The request does not say what to connect to.
    #[error("the request's authority {authority:?} is malformed")]
    Authority {
        /// The authority as it came.
        authority: Box<str>,
        /// Why.
        #[source]
        source: InvalidAuthority,
    },
    /// The local workload has no identity to present.
    #[error("workload {workload} has no valid identity to connect with")]
    NoIdentity {
        /// The unique id of the local workload.
        workload: Box<str>,
    },
    /// A host name could not be looked up.
    #[error("{name} could not be looked up")]
    Lookup {
        /// The name.
        name: Box<str>,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A traffic policy refuses the connection: there are as many as there may be.
    #[error("connection closed due to the limit of connections to {service}")]
    Overflow {
        /// Namespace, host name and port of the service.
        service: Box<str>,
    },
    /// A traffic policy refuses the connection: there were too many new ones.
    #[error("connection closed due to the limit of new connections to {service}")]
    RateLimited {
        /// Namespace, host name and port of the service.
        service: Box<str>,
    },
    /// A traffic policy has no endpoint to choose: all are taken out.
    #[error("{service} has no endpoint that is not taken out")]
    NoHealthyEndpoint {
        /// Namespace, host name and port of the service.
        service: Box<str>,
    },
    /// Connecting took longer than a traffic policy allows.
    #[error("connecting to {address} took longer than {limit:?}")]
    ConnectTimeout {
        /// The next hop.
        address: SocketAddr,
        /// What the policy allows.
        limit: std::time::Duration,
    },
    /// Connecting over plain TCP failed.
    #[error(transparent)]
    Dial(DialError),
    /// Connecting over HBONE failed.
    #[error(transparent)]
    Tunnel(client::Error),
    /// The client went away before it was connected.
    #[error("the client went away before {destination} was connected")]
    ClientGone {
        /// What was being connected to.
        destination: SocketAddr,
    },
    /// The connection of the request was given up before it was answered.
    #[error("the connection with the client was lost")]
    Lost(#[source] ConnectionLost),
    /// Answering the CONNECT request failed.
    #[error(transparent)]
    Answer(server::Error),
    /// The SOCKS handshake failed.
    #[error(transparent)]
    Socks(socks5::AcceptError),
    /// The PROXY header, or the answer to a SOCKS request, could not be sent.
    #[error("the connection broke before the first byte was carried")]
    Prelude(#[source] std::io::Error),
    /// The PROXY header cannot be expressed.
    #[error(transparent)]
    ProxyHeader(crate::proxy_protocol::EncodeError),
    /// Policy refused the connection.
    #[error("connection closed due to policy rejection: {reason}")]
    Denied {
        /// Which policy said so, or that none allows it.
        reason: Box<str>,
    },
    /// Policy changed and cut the connection.
    #[error("connection closed due to policy change: {reason}")]
    Revoked {
        /// Which policy said so, or that none allows it any more.
        reason: Box<str>,
    },
    /// The proxy was shut down, or the connection's task was.
    #[error("connection closed due to connection drain")]
    Drained,
    /// Copying ended early.
    #[error(transparent)]
    Copy(CopyError),
}

impl Error {
    /// The class of the failure.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NoLocalWorkload(_) | Self::Lookup { .. } => Outcome::Unresolved,
            Self::Unroutable(error) => error.outcome(),
            Self::Refused(error) => error.outcome(),
            Self::Authority { .. } => Outcome::BadRequest,
            Self::NoIdentity { .. } => Outcome::IdentityFailure,
            Self::Overflow { .. } => Outcome::Overflow,
            Self::RateLimited { .. } => Outcome::RateLimited,
            Self::NoHealthyEndpoint { .. } => Outcome::NoEndpoint,
            Self::ConnectTimeout { .. } => Outcome::UpstreamTimeout,
            Self::Dial(_) | Self::ProxyHeader(_) | Self::Prelude(_) => Outcome::ConnectFailure,
            Self::Tunnel(error) => error.outcome(),
            Self::ClientGone { .. } => Outcome::Reset,
            Self::Lost(lost) => lost.outcome(),
            Self::Answer(error) => error.outcome(),
            Self::Socks(error) => error.outcome(),
            Self::Denied { .. } => Outcome::PolicyDenied,
            Self::Revoked { .. } => Outcome::PolicyRevoked,
            Self::Drained => Outcome::Drained,
            Self::Copy(error) => error.outcome(),
        }
    }

    /// Whether another endpoint may succeed where this one failed. Never once a byte was carried.
    pub(crate) fn is_worth_another_endpoint(&self) -> bool {
        match self {
            Self::Dial(_) | Self::Lookup { .. } | Self::ConnectTimeout { .. } => true,
            Self::Tunnel(error) => match error.refused_with() {
                Some(status) => status == http::StatusCode::SERVICE_UNAVAILABLE,
                None => !matches!(
                    error.outcome(),
                    Outcome::IdentityFailure | Outcome::BadRequest
                ),
            },
            _ => false,
        }
    }
}
