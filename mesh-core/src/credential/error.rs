//! Why there is no credential.

use std::error::Error;
use std::sync::Arc;

use crate::identity::SpiffeId;
use crate::outcome::Outcome;

type BoxError = Box<dyn Error + Send + Sync>;

/// Why certificates, a key or roots do not make a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCredential {
    /// The chain is empty.
    #[error("a credential needs a certificate, the chain is empty")]
    NoCertificate,
    /// A certificate of the chain cannot be parsed.
    #[error("a certificate of the chain cannot be parsed")]
    Certificate(#[source] BoxError),
    /// The leaf names no workload.
    #[error("the leaf certificate has no SPIFFE ID of a workload among its URI names")]
    NoSpiffeId,
    /// The private key cannot be parsed.
    #[error("the private key cannot be parsed")]
    Key(#[source] rustls_pki_types::pem::Error),
    /// There is no root.
    #[error("a trust bundle needs a root certificate, there is none")]
    NoRoot,
    /// A root cannot be parsed.
    #[error("a root certificate cannot be parsed")]
    Root(#[source] BoxError),
    /// A revocation list cannot be parsed.
    #[error("a certificate revocation list cannot be parsed")]
    RevocationList(#[source] BoxError),
}

/// Why a [`CertificateSource`](super::CertificateSource) gave no credential.
///
/// Clones share the cause, so that one failed fetch can answer everyone who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The source does not serve this identity. Asking again does not help.
    #[error("no certificate source serves {id}")]
    UnknownIdentity {
        /// The identity.
        id: SpiffeId,
    },
    /// The issuer could not be reached or refused. Asking later may help.
    #[error("no certificate for {id} could be fetched")]
    Unavailable {
        /// The identity.
        id: SpiffeId,
        /// What went wrong.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The issuer delivered something that is not a credential for this identity.
    #[error("the certificate delivered for {id} is not usable")]
    Invalid {
        /// The identity.
        id: SpiffeId,
        /// What is wrong with it.
        #[source]
        source: Arc<InvalidCredential>,
    },
    /// The certificate delivered names another identity.
    #[error("the certificate delivered for {id} names {delivered}")]
    WrongIdentity {
        /// The identity that was asked for.
        id: SpiffeId,
        /// The one that was delivered.
        delivered: SpiffeId,
    },
}

impl CertificateError {
    /// A fetch that failed.
    pub fn unavailable(id: &SpiffeId, source: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            id: id.clone(),
            source: Arc::from(source.into()),
        }
    }

    /// The class of the failure, for labels.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::UnknownIdentity { .. }
            | Self::Unavailable { .. }
            | Self::Invalid { .. }
            | Self::WrongIdentity { .. } => Outcome::IdentityFailure,
        }
    }
}
