//! Trusted roots.

use std::fmt;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor};
use webpki::CertRevocationList;

use super::{InvalidCredential, RevocationLists};

/// The roots that a peer's chain may lead to: at least one.
///
/// During a rotation it holds the old and the new root. Parsed once, when it is made.
///
/// Revocation lists are optional. With them, each certificate of a peer's chain is looked up in
/// the list of its issuer; one that no list covers passes, and a list past its next update still
/// counts. Of several lists with the same issuer name the first one is the issuer's. (Source:
/// Istio's `CRL_PATH`.)
pub struct TrustBundle {
    roots: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    revoked: RevocationLists,
}

impl TrustBundle {
    /// A bundle from DER certificates, in order and without repetition.
    ///
    /// # Errors
    /// [`InvalidCredential::NoRoot`] when there is none, [`InvalidCredential::Root`] when one
    /// cannot be parsed.
    pub fn from_der(
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, InvalidCredential> {
        let (mut roots, mut anchors) = (Vec::new(), Vec::new());
        for root in certificates {
            if !roots.contains(&root) {
                let anchor = webpki::anchor_from_trusted_cert(&root)
                    .map_err(|source| InvalidCredential::Root(source.into()))?
                    .to_owned();
                anchors.push(anchor);
                roots.push(root);
            }
        }
        if roots.is_empty() {
            return Err(InvalidCredential::NoRoot);
        }
        Ok(Self {
            roots,
            anchors,
            revoked: RevocationLists::default(),
        })
    }

    /// A bundle from a text with one or more PEM certificates.
    ///
    /// # Errors
    /// As [`from_der`](Self::from_der), and when the PEM is malformed.
    pub fn from_pem(text: &[u8]) -> Result<Self, InvalidCredential> {
        let roots: Vec<_> = CertificateDer::pem_slice_iter(text)
            .collect::<Result<_, _>>()
            .map_err(|source| InvalidCredential::Root(source.into()))?;
        Self::from_der(roots)
    }

    /// The same bundle with these revocation lists in place of the present ones.
    ///
    /// # Errors
    /// [`InvalidCredential::RevocationList`] when one cannot be parsed: a broken list is never
    /// skipped.
    pub fn with_revocation_lists<'a>(
        mut self,
        lists: impl IntoIterator<Item = CertificateRevocationListDer<'a>>,
    ) -> Result<Self, InvalidCredential> {
        self.revoked = RevocationLists::from_der(lists)?;
        Ok(self)
    }

    /// A bundle with the same roots and these revocation lists in place of the present ones.
    #[must_use]
    pub fn revoking(&self, lists: &RevocationLists) -> Self {
        Self {
            roots: self.roots.clone(),
            anchors: self.anchors.clone(),
            revoked: lists.clone(),
        }
    }

    /// The roots.
    #[must_use]
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    pub(crate) fn revoked(&self) -> &[CertRevocationList<'static>] {
        self.revoked.lists()
    }
}

impl fmt::Debug for TrustBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustBundle")
            .field("roots", &self.roots.len())
            .field("revocation_lists", &self.revoked.len())
            .finish()
    }
}
