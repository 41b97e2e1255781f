//! Why a tunnel could not be had.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;
use mesh_core::credential::CertificateError;
use mesh_core::outcome::Outcome;
use mesh_core::tls::{PeerError, TlsError};

use crate::boxed::BoxError;
use crate::http2::Http2Error;

/// Why a tunnel could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection to the endpoint could be had. Shared by all who waited for the same dial.
    #[error("no HBONE connection")]
    Dial(#[source] Arc<DialError>),
    /// The pool is full and no connection in it is idle.
    #[error("the pool has {limit} connections and none is idle")]
    PoolFull {
        /// The limit.
        limit: usize,
    },
    /// The authority is not one that HTTP can express.
    #[error("{authority:?} is not an authority")]
    InvalidAuthority {
        /// What was asked for.
        authority: Box<str>,
    },
    /// The peer answered with another status than 200.
    #[error("http status: {status}")]
    Refused {
        /// The peer.
        endpoint: SocketAddr,
        /// Its answer.
        status: StatusCode,
    },
    /// The peer did not answer in time.
    #[error("{endpoint} did not answer the CONNECT request in time")]
    AnswerTimeout {
        /// The peer.
        endpoint: SocketAddr,
    },
    /// The connection failed while the request was under way.
    #[error("HTTP/2 with {endpoint} failed")]
    Http2 {
        /// The peer.
        endpoint: SocketAddr,
        /// Why.
        #[source]
        source: Http2Error,
    },
    /// The connection ended with an error. Shared by all whose tunnels it carried.
    #[error("the connection with {endpoint} was lost")]
    Lost {
        /// The peer.
        endpoint: SocketAddr,
        /// Why.
        #[source]
        source: Http2Error,
    },
    /// The peer sent no HTTP/2 frame in time.
    #[error("{endpoint} did not begin HTTP/2 in time")]
    Http2Timeout {
        /// The peer.
        endpoint: SocketAddr,
    },
    /// A new revocation list has the peer's certificate, or one above it.
    #[error("peer certificate revoked: {endpoint}")]
    Revoked {
        /// The peer.
        endpoint: SocketAddr,
    },
    /// The peer gave no sign of life.
    #[error("{endpoint} gave no sign of life")]
    Silent {
        /// The peer.
        endpoint: SocketAddr,
    },
}

impl Error {
    /// The status with which the peer, or the gateway before it, refused the request.
    #[must_use]
    pub fn refused_with(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Dial(error) => match &**error {
                DialError::Gateway { source, .. } => source.refused_with(),
                _ => None,
            },
            _ => None,
        }
    }

    /// The class of the failure.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Dial(error) => error.outcome(),
            Self::PoolFull { .. } | Self::AnswerTimeout { .. } | Self::Silent { .. } => {
                Outcome::ConnectFailure
            }
            Self::Revoked { .. } => Outcome::CertificateRevoked,
            Self::InvalidAuthority { .. } => Outcome::BadRequest,
            Self::Refused { .. } => Outcome::Refused,
            Self::Lost { source, .. } if is_tls(source) => Outcome::TlsFailure,
            Self::Http2 { .. } | Self::Lost { .. } | Self::Http2Timeout { .. } => {
                Outcome::Http2Failure
            }
        }
    }
}

/// Whether TLS failed below HTTP/2: in TLS 1.3 a server may turn a client's certificate away after
/// the client's side of the handshake is done (RFC 8446 §4.4.2.4).
fn is_tls(error: &Http2Error) -> bool {
    // Sockets have no errors of this kind.
    error.io_kind() == Some(io::ErrorKind::InvalidData)
}

impl From<DialError> for Error {
    fn from(error: DialError) -> Self {
        Self::Dial(Arc::new(error))
    }
}

/// Why an endpoint could not be connected to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// There is no certificate for the source identity.
    #[error("no certificate to connect with")]
    Certificate(#[source] CertificateError),
    /// The source's certificate is not usable.
    #[error("the certificate to connect with is not usable")]
    Configuration(#[source] TlsError),
    /// The dialer failed.
    #[error("connecting to {endpoint} failed")]
    Connect {
        /// The endpoint.
        endpoint: SocketAddr,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The tunnel to the gateway that the endpoint is behind could not be had.
    #[error("no tunnel to the gateway before {endpoint}")]
    Gateway {
        /// The endpoint.
        endpoint: SocketAddr,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// The dialer took too long.
    #[error("connecting to {endpoint} timed out; a NetworkPolicy may block its port")]
    ConnectTimeout {
        /// The endpoint.
        endpoint: SocketAddr,
    },
    /// The TLS handshake failed.
    #[error("TLS handshake with {endpoint} failed")]
    Handshake {
        /// The endpoint.
        endpoint: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The TLS handshake took too long.
    #[error("TLS handshake with {endpoint} timed out")]
    HandshakeTimeout {
        /// The endpoint.
        endpoint: SocketAddr,
    },
    /// The peer's certificate has no SPIFFE ID.
    #[error("the certificate of {endpoint} has no SPIFFE ID")]
    NoIdentity {
        /// The endpoint.
        endpoint: SocketAddr,
    },
    /// The task that dialled was stopped, as its runtime is shutting down.
    #[error("dialling {endpoint} was stopped")]
    Stopped {
        /// The endpoint.
        endpoint: SocketAddr,
    },
}

impl DialError {
    /// A dialer that failed; the one through a gateway fails with this client's errors.
    pub(super) fn connect(endpoint: SocketAddr, source: BoxError) -> Self {
        match source.downcast() {
            Ok(source) => Self::Gateway { endpoint, source },
            Err(source) => Self::Connect { endpoint, source },
        }
    }

    /// The class of the failure.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Certificate(error) => error.outcome(),
            Self::Configuration(_) => Outcome::IdentityFailure,
            Self::Connect { .. } | Self::Stopped { .. } => Outcome::ConnectFailure,
            Self::Gateway { source, .. } => source.outcome(),
            Self::ConnectTimeout { .. } => Outcome::ConnectTimeout,
            Self::Handshake { source, .. } => {
                PeerError::find(source).map_or(Outcome::TlsFailure, |error| error.outcome())
            }
            Self::HandshakeTimeout { .. } | Self::NoIdentity { .. } => Outcome::TlsFailure,
        }
    }
}
