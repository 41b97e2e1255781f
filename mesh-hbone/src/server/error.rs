//! Why a server's connection ended.

use std::io;
use std::net::SocketAddr;

use mesh_core::credential::CertificateError;
use mesh_core::outcome::Outcome;
use mesh_core::tls::{PeerError, TlsError};

use crate::http2::Http2Error;

/// Why an HBONE connection ended, on the server's side, other than by anyone's wish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no certificate to serve with.
    #[error("no certificate to serve {peer} with")]
    Certificate {
        /// The peer.
        peer: SocketAddr,
        /// Why.
        #[source]
        source: Box<CertificateError>,
    },
    /// The own certificate cannot be served with.
    #[error("the certificate to serve {peer} with is not usable")]
    Configuration {
        /// The peer.
        peer: SocketAddr,
        /// Why.
        #[source]
        source: Box<TlsError>,
    },
    /// The TLS handshake failed.
    #[error("TLS handshake with {peer} failed")]
    Handshake {
        /// The peer.
        peer: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The peer did not finish the TLS handshake, or did not begin HTTP/2, in time.
    #[error("{peer} did not finish the handshake in time")]
    HandshakeTimeout {
        /// The peer.
        peer: SocketAddr,
    },
    /// The handshake gave way to younger ones.
    #[error("the handshake of {peer} gave way: too many are under way")]
    HandshakeShed {
        /// The peer.
        peer: SocketAddr,
    },
    /// The peer's certificate has no SPIFFE ID.
    #[error("the certificate of {peer} has no SPIFFE ID")]
    NoIdentity {
        /// The peer.
        peer: SocketAddr,
    },
    /// HTTP/2 ended with an error.
    #[error("HTTP/2 with {peer} failed")]
    Http2 {
        /// The peer.
        peer: SocketAddr,
        /// Why.
        #[source]
        source: Http2Error,
    },
    /// The socket failed.
    #[error("the connection with {peer} failed")]
    Io {
        /// The peer.
        peer: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The peer gave no sign of life.
    #[error("{peer} gave no sign of life")]
    Silent {
        /// The peer.
        peer: SocketAddr,
    },
    /// A new revocation list has the peer's certificate, or one above it.
    #[error("peer certificate revoked: {peer}")]
    Revoked {
        /// The peer.
        peer: SocketAddr,
    },
    /// The deadline of a drain cut the connection.
    #[error("the connection with {peer} was cut by the deadline of a drain")]
    Drained {
        /// The peer.
        peer: SocketAddr,
    },
    /// An answer could not be sent: the peer has gone.
    #[error("the peer has gone before the answer")]
    Gone {
        /// What it looked like.
        #[source]
        source: Http2Error,
    },
}

impl Error {
    /// The class of the failure.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Certificate { source, .. } => source.outcome(),
            Self::Configuration { .. } => Outcome::IdentityFailure,
            Self::Handshake { source, .. } => {
                PeerError::find(source).map_or(Outcome::TlsFailure, |error| error.outcome())
            }
            Self::HandshakeTimeout { .. }
            | Self::HandshakeShed { .. }
            | Self::NoIdentity { .. } => Outcome::TlsFailure,
            Self::Http2 { .. } => Outcome::Http2Failure,
            Self::Io { .. } | Self::Gone { .. } => Outcome::Reset,
            Self::Silent { .. } => Outcome::CopyFailure,
            Self::Revoked { .. } => Outcome::CertificateRevoked,
            Self::Drained { .. } => Outcome::Drained,
        }
    }
}
