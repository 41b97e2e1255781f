//! What can go wrong on the way to a control plane.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use mesh_core::tls::TlsError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a control plane cannot be reached or spoken to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The address is not one of a control plane.
    #[error("the control plane address {address:?} cannot be used: {reason}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The alternative host name is neither a DNS name nor an IP address.
    #[error("the alternative host name {name:?} is neither a DNS name nor an IP address")]
    AlternativeName {
        /// The name.
        name: String,
    },
    /// An extra header, or the cluster, cannot be sent.
    #[error("the header {name:?} for the control plane cannot be sent: {reason}")]
    Header {
        /// The header's name.
        name: String,
        /// What is wrong with it. Never the value, which may be a secret.
        reason: &'static str,
    },
    /// There is no cryptography for TLS.
    #[error("there is no cryptography for TLS to the control plane")]
    Cryptography(#[source] TlsError),
    /// The roots cannot be read.
    #[error("the roots for the control plane from {origin} cannot be used")]
    Roots {
        /// Where they were looked for.
        origin: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The token file cannot be read.
    #[error("the token file {path} for the control plane cannot be read")]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The token is not one.
    #[error("the token for the control plane from {origin} cannot be sent: {reason}")]
    Token {
        /// Where it comes from.
        origin: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nothing accepts at the address.
    #[error("the control plane {address} cannot be reached")]
    Unreachable {
        /// The address.
        address: String,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The TLS handshake failed: most often a certificate that the roots or the name do not fit.
    #[error("the TLS handshake with the control plane {address} failed")]
    Handshake {
        /// The address.
        address: String,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// HTTP/2 could not be agreed on.
    #[error("no HTTP/2 connection to the control plane {address}")]
    Http2 {
        /// The address.
        address: String,
        /// What went wrong.
        #[source]
        source: hyper::Error,
    },
    /// Connecting took too long.
    #[error("the control plane {address} was not connected within {timeout:?}")]
    ConnectTimeout {
        /// The address.
        address: String,
        /// How long connecting may take.
        timeout: Duration,
    },
}

impl ControlError {
    pub(super) fn configuration(source: rustls::Error) -> Self {
        Self::Cryptography(TlsError::Configuration(source))
    }
}
