//! What can go wrong with an authority.

use std::time::{Duration, SystemTime};

use mesh_core::credential::{CertificateError, InvalidCredential};
use mesh_core::identity::SpiffeId;

use crate::control::ControlError;

/// Why there is no certificate from an authority.
///
/// Callers of a [`CaSource`](super::CaSource) find it as the source of a [`CertificateError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// The authority cannot be reached, or our token cannot be read.
    #[error("the certificate authority cannot be reached")]
    Control(#[from] ControlError),
    /// The connection failed during the call.
    #[error("the call to the certificate authority {address} failed")]
    Broken {
        /// Its address.
        address: String,
        /// What went wrong.
        #[source]
        source: Box<tonic::Status>,
    },
    /// The authority refused. Istio's says `Unauthenticated` for whatever it does not like.
    #[error("the certificate authority {address} refused: {code:?}: {message}")]
    Refused {
        /// Its address.
        address: String,
        /// The gRPC status.
        code: tonic::Code,
        /// Its words.
        message: String,
    },
    /// The authority did not answer in time.
    #[error("the certificate authority {address} did not answer within {timeout:?}")]
    Timeout {
        /// Its address.
        address: String,
        /// How long it had.
        timeout: Duration,
    },
    /// The key or the request could not be made.
    #[error("the certificate signing request could not be made")]
    Request(#[source] rcgen::Error),
    /// The answer has no element.
    #[error("the answer has no certificate")]
    EmptyChain,
    /// The answer has a leaf only: the last element, behind it, must hold the roots.
    #[error("the answer has a certificate, but no roots behind it")]
    MissingRoots,
    /// An element of the answer holds no certificate that can be parsed.
    #[error("the answer cannot be used")]
    Unusable(#[source] InvalidCredential),
    /// The certificate is for somebody else.
    #[error("the certificate names {delivered}")]
    WrongIdentity {
        /// Whom it names.
        delivered: SpiffeId,
    },
    /// The certificate is for another key.
    #[error("the certificate is not for the key of the request")]
    WrongKey,
    /// The certificate has expired already: ours or the authority's clock is wrong.
    #[error("the certificate expired at {not_after:?}, before it arrived")]
    Expired {
        /// When.
        not_after: SystemTime,
    },
    /// The certificate ends before it begins.
    #[error("the certificate ends before it begins")]
    Validity,
    /// The lifetime to ask for is out of range.
    #[error("the lifetime of certificates is 1 minute to 1 year")]
    Lifetime,
    /// The number of fetches at a time is out of range.
    #[error("the number of fetches at a time is 1 to 1024")]
    Concurrency,
    /// The source serves as many identities as it may.
    #[error("the certificate source serves at most {limit} identities at a time")]
    TooManyIdentities {
        /// How many.
        limit: usize,
    },
    /// The [`CaWorker`](super::CaWorker) has ended or was dropped.
    #[error("the worker of the certificate source has ended")]
    Stopped,
    /// A fetch ended without a result: a defect.
    #[error("the fetch ended without a result")]
    Lost,
}

impl CaError {
    /// The error for those who wait for the certificate of `id`.
    pub(super) fn of(self, id: &SpiffeId) -> CertificateError {
        match self {
            Self::WrongIdentity { delivered } => CertificateError::WrongIdentity {
                id: id.clone(),
                delivered,
            },
            Self::Unusable(source) => CertificateError::Invalid {
                id: id.clone(),
                source: source.into(),
            },
            error => CertificateError::unavailable(id, error),
        }
    }
}
