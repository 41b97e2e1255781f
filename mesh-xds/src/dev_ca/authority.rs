//! The authority and what it issues.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mesh_core::credential::{Credential, TrustBundle};
use mesh_core::identity::SpiffeId;
use rcgen::{Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_cert::der::Decode;

use super::DevCaError;
use crate::{signing, svid};

/// The directory's name below the user's runtime or cache directory.
const DIRECTORY: &str = "mesh-dev-ca";

/// The authority's name. Files of authorities with another name are not accepted.
const NAME: &str = "mesh development CA";

/// A certificate authority for development.
///
/// Its key is ECDSA P-256; it is valid for ten years. See the module's warning.
pub struct DevCa {
    issuer: Issuer<'static, KeyPair>,
    trust: Arc<TrustBundle>,
    pub(super) not_after: SystemTime,
}

impl DevCa {
    /// An authority of its own that no other process shares, for tests.
    ///
    /// # Errors
    /// [`DevCaError::Issue`] when the cryptography fails.
    pub fn in_memory() -> Result<Self, DevCaError> {
        let (key, certificate) = generate(SystemTime::now())?;
        Self::from_parts(key, certificate.der().clone())
    }

    /// Where the processes of one user agree to find their authority: `$MESH_DEV_CA_DIR`, else
    /// `mesh-dev-ca` below `$XDG_RUNTIME_DIR`, `$XDG_CACHE_HOME` or `$HOME/.cache`.
    ///
    /// `variable` reads an environment variable. Empty and relative values are passed over;
    /// `None` = there is no such directory.
    #[must_use]
    pub fn default_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        let path = |name| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        path("MESH_DEV_CA_DIR").or_else(|| {
            path("XDG_RUNTIME_DIR")
                .or_else(|| path("XDG_CACHE_HOME"))
                .or_else(|| path("HOME").map(|home| home.join(".cache")))
                .map(|parent| parent.join(DIRECTORY))
        })
    }

    /// The authority's own certificate, which peers must trust.
    #[must_use]
    pub fn trust(&self) -> &Arc<TrustBundle> {
        &self.trust
    }

    /// A new key and certificate for an identity, valid from five minutes before `now` until
    /// `lifetime` after it, but not longer than the authority.
    ///
    /// The certificate has an empty subject and one critical URI name, and is for both sides of a
    /// TLS connection.
    ///
    /// # Errors
    /// [`DevCaError::Issue`] when the cryptography fails.
    pub fn issue(
        &self,
        id: &SpiffeId,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Credential, DevCaError> {
        let not_after = now.checked_add(lifetime).unwrap_or(self.not_after);
        let params = signing::workload(id, now, not_after.min(self.not_after));
        let params = params.map_err(DevCaError::Issue)?;
        let key = svid::new_key().map_err(DevCaError::Issue)?;
        let leaf = params
            .signed_by(&key, &self.issuer)
            .map_err(DevCaError::Issue)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Credential::from_der(vec![leaf.into()], key.into(), self.trust.clone())
            .map_err(DevCaError::Credential)
    }

    /// The authority of a key and its certificate.
    pub(super) fn from_parts(
        key: KeyPair,
        certificate: CertificateDer<'static>,
    ) -> Result<Self, DevCaError> {
        let parsed =
            x509_cert::Certificate::from_der(&certificate).map_err(|_| DevCaError::Mismatch)?;
        let mine = signing::authority(NAME, UNIX_EPOCH)
            .self_signed(&key)
            .map_err(DevCaError::Issue)?;
        let mine =
            x509_cert::Certificate::from_der(mine.der()).map_err(|_| DevCaError::Mismatch)?;
        let (parsed, mine) = (parsed.tbs_certificate(), mine.tbs_certificate());
        if parsed.subject() != mine.subject()
            || parsed.subject_public_key_info() != mine.subject_public_key_info()
        {
            return Err(DevCaError::Mismatch);
        }
        Ok(Self {
            not_after: parsed.validity().not_after.to_system_time(),
            trust: Arc::new(TrustBundle::from_der([certificate]).map_err(DevCaError::Credential)?),
            issuer: Issuer::new(signing::authority(NAME, UNIX_EPOCH), key),
        })
    }
}

impl fmt::Debug for DevCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevCa")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

pub(super) fn generate(now: SystemTime) -> Result<(KeyPair, rcgen::Certificate), DevCaError> {
    let key = svid::new_key().map_err(DevCaError::Issue)?;
    let certificate = signing::authority(NAME, now)
        .self_signed(&key)
        .map_err(DevCaError::Issue)?;
    Ok((key, certificate))
}

pub(super) fn read_key(key: &PrivateKeyDer<'_>) -> Result<KeyPair, rcgen::Error> {
    KeyPair::from_der_and_sign_algo(key, &PKCS_ECDSA_P256_SHA256)
}
