//! Why there is no TLS configuration, and why a peer was not accepted.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::CertificateError as Certificate;

use crate::identity::{ExpectedPeers, SpiffeId, TrustDomain};
use crate::outcome::Outcome;

/// Why a TLS configuration could not be made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The crate was built without cryptography.
    #[error("no cryptography provider: the features aws-lc-rs and ring are both off")]
    NoProvider,
    /// The cryptography provider lacks what HBONE needs.
    #[error("the cryptography provider has no AES-GCM cipher suite of TLS 1.3")]
    NoCipherSuite,
    /// The private key cannot be used, or does not belong to the certificate.
    #[error("the private key of {id} cannot be used with its certificate")]
    Key {
        /// The identity of the credential.
        id: SpiffeId,
        /// What is wrong.
        #[source]
        source: rustls::Error,
    },
    /// rustls does not accept the provider.
    #[error("the cryptography provider does not fit TLS 1.3")]
    Configuration(#[source] rustls::Error),
}

impl TlsError {
    /// The class of the failure, for labels.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NoProvider | Self::NoCipherSuite | Self::Configuration(_) => Outcome::TlsFailure,
            Self::Key { .. } => Outcome::IdentityFailure,
        }
    }
}

/// Why a peer's certificate was not accepted in the handshake.
///
/// [`find`](Self::find) takes it out of what rustls or an IO layer above it reports. The peer is
/// told less: an alert, named for each variant.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The certificate or one of its extensions cannot be parsed. Alert `bad_certificate`.
    #[error("the peer's certificate cannot be parsed")]
    Malformed,
    /// The certificate or an intermediate is past its lifetime. Alert `certificate_expired`.
    #[error("the peer's certificate has expired")]
    Expired,
    /// The certificate or an intermediate is not valid yet. Alert `certificate_expired`.
    #[error("the peer's certificate is not valid yet")]
    NotYetValid,
    /// No path leads to a trusted root. Alert `unknown_ca`.
    #[error("the peer's certificate does not lead to a trusted root")]
    UnknownIssuer,
    /// A signature is wrong or of an unknown kind. Alert `decrypt_error`.
    #[error("a signature of the peer's certificate chain is not valid")]
    BadSignature,
    /// The certificate is not for this side of a connection. Alert `unsupported_certificate`.
    #[error("the peer's certificate is not meant for its side of a TLS connection")]
    WrongUsage,
    /// The certificate or an intermediate is revoked. Alert `certificate_revoked`.
    #[error("the peer's certificate is revoked")]
    Revoked,
    /// The certificate names no workload. Alert `certificate_unknown`.
    #[error("the peer's certificate has no SPIFFE ID of a workload")]
    NoIdentity,
    /// The certificate names two workloads. Alert `certificate_unknown`.
    #[error("the peer's certificate has two SPIFFE IDs of workloads, {first} and {other}")]
    SeveralIdentities {
        /// The first.
        first: SpiffeId,
        /// Another one.
        other: SpiffeId,
    },
    /// The peer is of another trust domain. Alert `certificate_unknown`.
    #[error("the peer {presented} is not of the trust domain {expected}")]
    TrustDomain {
        /// Its identity.
        presented: SpiffeId,
        /// The own trust domain.
        expected: TrustDomain,
    },
    /// The peer is not one of those that the connection is for. Alert `certificate_unknown`.
    #[error("the peer {presented} is not the one expected")]
    UnexpectedIdentity {
        /// Its identity.
        presented: SpiffeId,
        /// The identities that it could have had.
        expected: ExpectedPeers,
    },
    /// The chain is not acceptable for another reason. Alert `certificate_unknown`.
    #[error("the peer's certificate chain is not acceptable")]
    Chain(#[source] Arc<dyn Error + Send + Sync>),
}

impl PeerError {
    /// Looks for the refusal of a peer's certificate in an error and its causes.
    ///
    /// Finds it in a [`rustls::Error`] and in an [`io::Error`] that wraps one.
    #[must_use]
    pub fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        // Bounded: a chain of causes could be a loop.
        for _ in 0..16 {
            let error = next?;
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found.clone());
            }
            if let Some(rustls::Error::InvalidCertificate(error)) = error.downcast_ref() {
                return Some(Self::from_rustls(error));
            }
            // The source of an `io::Error` skips the error that it wraps.
            let wrapped = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            next = match wrapped {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        None
    }

    /// Whether a certificate is on a revocation list.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        matches!(self, Self::Revoked)
    }

    /// The class of the failure, for labels.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Revoked => Outcome::CertificateRevoked,
            Self::Malformed
            | Self::Expired
            | Self::NotYetValid
            | Self::UnknownIssuer
            | Self::BadSignature
            | Self::WrongUsage
            | Self::NoIdentity
            | Self::SeveralIdentities { .. }
            | Self::TrustDomain { .. }
            | Self::UnexpectedIdentity { .. }
            | Self::Chain(_) => Outcome::TlsFailure,
        }
    }

    fn from_rustls(error: &Certificate) -> Self {
        match error {
            Certificate::BadEncoding => Self::Malformed,
            Certificate::Expired => Self::Expired,
            Certificate::NotValidYet => Self::NotYetValid,
            Certificate::UnknownIssuer => Self::UnknownIssuer,
            Certificate::BadSignature => Self::BadSignature,
            Certificate::InvalidPurpose => Self::WrongUsage,
            Certificate::Revoked => Self::Revoked,
            Certificate::Other(other) => other
                .0
                .downcast_ref::<Self>()
                .cloned()
                .unwrap_or_else(|| Self::Chain(other.0.clone())),
            error => Self::Chain(Arc::new(rustls::Error::from(error.clone()))),
        }
    }
}

impl From<webpki::Error> for PeerError {
    fn from(error: webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::BadDer | E::BadDerTime | E::TrailingData(_) | E::MalformedExtensions => {
                Self::Malformed
            }
            E::CertExpired { .. } | E::InvalidCertValidity => Self::Expired,
            E::CertNotValidYet { .. } => Self::NotYetValid,
            E::UnknownIssuer => Self::UnknownIssuer,
            E::CertRevoked => Self::Revoked,
            E::InvalidSignatureForPublicKey
            | E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Self::BadSignature,
            E::RequiredEkuNotFoundContext(_) => Self::WrongUsage,
            other => Self::Chain(Arc::new(other)),
        }
    }
}

impl From<PeerError> for rustls::Error {
    /// The error that makes rustls send the alert of the variant.
    fn from(error: PeerError) -> Self {
        let certificate = match error {
            PeerError::Malformed => Certificate::BadEncoding,
            PeerError::Expired => Certificate::Expired,
            PeerError::NotYetValid => Certificate::NotValidYet,
            PeerError::UnknownIssuer => Certificate::UnknownIssuer,
            PeerError::BadSignature => Certificate::BadSignature,
            PeerError::WrongUsage => Certificate::InvalidPurpose,
            PeerError::Revoked => Certificate::Revoked,
            error => Certificate::Other(rustls::OtherError(Arc::new(error))),
        };
        Self::InvalidCertificate(certificate)
    }
}
