//! Where credentials come from.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{CertificateError, Credential};
use crate::identity::SpiffeId;
use crate::watch::Watch;

/// Where the data plane gets the credential for an identity that it runs as.
///
/// A source renews credentials by itself, in good time before they expire.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use mesh_core::credential::{CertificateError, CertificateSource, Credential};
/// use mesh_core::identity::SpiffeId;
///
/// /// Serves nobody.
/// #[derive(Debug)]
/// struct Nobody;
///
/// #[async_trait::async_trait]
/// impl CertificateSource for Nobody {
///     async fn credential(&self, id: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
///         Err(CertificateError::UnknownIdentity { id: id.clone() })
///     }
/// }
/// let _source: Arc<dyn CertificateSource> = Arc::new(Nobody);
/// ```
#[async_trait]
pub trait CertificateSource: fmt::Debug + Send + Sync + 'static {
    /// A credential for `id` that is valid now.
    ///
    /// Concurrent calls for one identity must share one fetch, and its error. A call for a cached
    /// credential must not wait for anything.
    ///
    /// # Errors
    /// [`CertificateError`] when the source does not serve the identity, or could not fetch a
    /// credential and has no valid one left.
    ///
    /// # Cancellation
    /// Dropping the future must not fail the other callers that share the fetch.
    async fn credential(&self, id: &SpiffeId) -> Result<Arc<Credential>, CertificateError>;

    /// The credential for `id` with its replacements, to be read without a lock for each
    /// connection and to replace long-lived connections after a renewal.
    ///
    /// A credential whose trust bundle has new revocation lists
    /// ([`Credential::with_trust`]) ends live connections with peers that are on them; without a watch
    /// the lists are for new connections only.
    ///
    /// The watch closes when the source no longer renews this identity. `None` (the default) = it
    /// cannot be watched: call [`credential`](Self::credential) for each connection.
    ///
    /// # Errors
    /// As [`credential`](Self::credential).
    async fn watch(&self, id: &SpiffeId) -> Result<Option<Watch<Credential>>, CertificateError> {
        let _ = id;
        Ok(None)
    }
}

#[async_trait]
impl<S: CertificateSource + ?Sized> CertificateSource for Arc<S> {
    async fn credential(&self, id: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        (**self).credential(id).await
    }

    async fn watch(&self, id: &SpiffeId) -> Result<Option<Watch<Credential>>, CertificateError> {
        (**self).watch(id).await
    }
}
