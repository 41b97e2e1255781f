//! Lists of certificates that are no longer to be trusted.

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use webpki::{CertRevocationList, OwnedCertRevocationList};

use super::InvalidCredential;

/// Certificate revocation lists (RFC 5280), any number of them. Parsed once; clones share them.
#[derive(Clone, Default)]
pub struct RevocationLists(Arc<[CertRevocationList<'static>]>);

impl RevocationLists {
    /// Lists in DER.
    ///
    /// # Errors
    /// [`InvalidCredential::RevocationList`] when one cannot be parsed: a broken list is never
    /// skipped.
    pub fn from_der<'a>(
        lists: impl IntoIterator<Item = CertificateRevocationListDer<'a>>,
    ) -> Result<Self, InvalidCredential> {
        lists
            .into_iter()
            .map(|list| OwnedCertRevocationList::from_der(&list).map(CertRevocationList::Owned))
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(|source| InvalidCredential::RevocationList(source.into()))
    }

    /// The lists of a file: any number in PEM, or one in DER. An empty file has none.
    ///
    /// ```
    /// use mesh_core::credential::RevocationLists;
    ///
    /// assert!(RevocationLists::from_file(b"\n")?.is_empty());
    /// assert!(RevocationLists::from_file(b"revoked: all").is_err());
    /// # Ok::<(), mesh_core::credential::InvalidCredential>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_der`](Self::from_der), when the PEM is malformed, and when it holds other things and no list.
    pub fn from_file(bytes: &[u8]) -> Result<Self, InvalidCredential> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let begin = b"-----BEGIN ";
        if !bytes.windows(begin.len()).any(|window| window == begin) {
            return Self::from_der([CertificateRevocationListDer::from(bytes)]);
        }
        let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(bytes)
            .collect::<Result<_, _>>()
            .map_err(|source| InvalidCredential::RevocationList(source.into()))?;
        if lists.is_empty() {
            let problem = "there is PEM in the file, but no revocation list";
            return Err(InvalidCredential::RevocationList(problem.into()));
        }
        Self::from_der(lists)
    }

    /// How many lists there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no list, so that nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these are the very same lists: clones of each other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn lists(&self) -> &[CertRevocationList<'static>] {
        &self.0
    }
}

impl fmt::Debug for RevocationLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RevocationLists").field(&self.len()).finish()
    }
}
