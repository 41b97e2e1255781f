//! From an authority's answer to a credential.

use std::sync::Arc;
use std::time::SystemTime;

use mesh_core::credential::{Credential, InvalidCredential, TrustBundle};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_cert::der::{Decode, Encode};

use super::{CaError, SigningRequest};

impl SigningRequest {
    /// The credential that an answer to this request gives.
    ///
    /// `chain` is `cert_chain` of the answer, PEM texts: the leaf, intermediates, and last the
    /// roots, of which there may be several.
    ///
    /// # Errors
    /// [`CaError`] when something is missing or cannot be parsed, when the leaf is for another
    /// identity or key, or has expired at `now`.
    pub fn credential(
        &self,
        chain: &[impl AsRef<str>],
        now: SystemTime,
    ) -> Result<Credential, CaError> {
        let [leaf, intermediates @ .., roots] = chain else {
            return Err(if chain.is_empty() {
                CaError::EmptyChain
            } else {
                CaError::MissingRoots
            });
        };
        let mut certificates = certificates(leaf.as_ref())?;
        for element in intermediates {
            certificates.extend(self::certificates(element.as_ref())?);
        }
        let roots = TrustBundle::from_pem(roots.as_ref().as_bytes()).map_err(CaError::Unusable)?;
        let key = self.key.clone_key();
        let credential =
            Credential::from_der(certificates, key, Arc::new(roots)).map_err(CaError::Unusable)?;
        if *credential.id() != self.id {
            let delivered = credential.id().clone();
            return Err(CaError::WrongIdentity { delivered });
        }
        if credential.not_after() <= credential.not_before() {
            return Err(CaError::Validity);
        }
        if credential.not_after() <= now {
            let not_after = credential.not_after();
            return Err(CaError::Expired { not_after });
        }
        self.check_key(credential.chain())?;
        Ok(credential)
    }

    fn check_key(&self, chain: &[CertificateDer<'static>]) -> Result<(), CaError> {
        let leaf = chain.first().ok_or(CaError::EmptyChain)?;
        let unusable = |error: x509_cert::der::Error| {
            CaError::Unusable(InvalidCredential::Certificate(error.into()))
        };
        let leaf = x509_cert::Certificate::from_der(leaf).map_err(unusable)?;
        let public_key = leaf.tbs_certificate().subject_public_key_info();
        if public_key.to_der().map_err(unusable)? != self.public_key {
            return Err(CaError::WrongKey);
        }
        Ok(())
    }
}

/// The certificates of one element: at least one.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| CaError::Unusable(InvalidCredential::Certificate(error.into())))?;
    if certificates.is_empty() {
        return Err(CaError::Unusable(InvalidCredential::NoCertificate));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;
