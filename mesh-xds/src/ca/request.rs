//! A key and the request to sign it.

use std::fmt;

use mesh_core::identity::SpiffeId;
use rcgen::PublicKeyData;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::CaError;
use crate::svid;

/// A fresh key with the request to certify it for an identity.
///
/// The key is ECDSA P-256 and signs the request with SHA-256; the request has an empty subject and
/// one critical URI name, the identity. Source: Istio. `Debug` shows no key.
///
/// [`credential`](Self::credential) turns the authority's answer into a credential.
///
/// # Example
/// ```
/// use mesh_xds::ca::SigningRequest;
///
/// let id = "spiffe://cluster.local/ns/default/sa/web".parse().unwrap();
/// let request = SigningRequest::new(&id)?;
/// assert!(request.pem().starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
/// # Ok::<(), mesh_xds::ca::CaError>(())
/// ```
pub struct SigningRequest {
    pub(super) id: SpiffeId,
    pub(super) key: PrivateKeyDer<'static>,
    /// The `SubjectPublicKeyInfo` of the key.
    pub(super) public_key: Vec<u8>,
    pem: String,
}

impl SigningRequest {
    /// A new key, and the request for `id`.
    ///
    /// # Errors
    /// [`CaError::Request`] when the cryptography fails.
    pub fn new(id: &SpiffeId) -> Result<Self, CaError> {
        let key = svid::new_key().map_err(CaError::Request)?;
        let params = svid::names(id).map_err(CaError::Request)?;
        let request = params.serialize_request(&key).map_err(CaError::Request)?;
        Ok(Self {
            id: id.clone(),
            public_key: key.subject_public_key_info(),
            pem: request.pem().map_err(CaError::Request)?,
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// The request (PKCS #10) in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

impl fmt::Debug for SigningRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningRequest")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
