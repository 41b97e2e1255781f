//! The authority and what it issues.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mesh_core::credential::{Credential, TrustBundle};
use mesh_core::identity::SpiffeId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_cert::der::Decode;

use super::DevCaError;

/// The directory's name below the user's runtime or cache directory.
const DIRECTORY: &str = "mesh-dev-ca";

/// The authority's name. Files of authorities with another name are not accepted.
const NAME: &str = "mesh development CA";

const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How far certificates are back-dated, for peers whose clocks are behind.
const SKEW: Duration = Duration::from_secs(300);

/// The end of the year 9999, the last that a certificate can name. Source: RFC 5280 4.1.2.5.
const LAST_SECOND: u64 = 253_402_300_799;

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
        let mut params = CertificateParams::default();
        // Without a subject, rcgen marks the names critical, as RFC 5280 4.2.1.6 asks.
        params.distinguished_name = DistinguishedName::new();
        let name = id.to_string().try_into().map_err(DevCaError::Issue)?;
        params.subject_alt_names = vec![SanType::URI(name)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let not_after = now.checked_add(lifetime).unwrap_or(self.not_after);
        params.not_before = date(now.checked_sub(SKEW).unwrap_or(now));
        params.not_after = date(not_after.min(self.not_after));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(DevCaError::Issue)?;
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
        let mine = ca_params(UNIX_EPOCH)
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
            issuer: Issuer::new(ca_params(UNIX_EPOCH), key),
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
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(DevCaError::Issue)?;
    let certificate = ca_params(now)
        .self_signed(&key)
        .map_err(DevCaError::Issue)?;
    Ok((key, certificate))
}

pub(super) fn read_key(key: &PrivateKeyDer<'_>) -> Result<KeyPair, rcgen::Error> {
    KeyPair::from_der_and_sign_algo(key, &PKCS_ECDSA_P256_SHA256)
}

fn ca_params(now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date(now.checked_sub(SKEW).unwrap_or(now));
    params.not_after = date(now.checked_add(CA_LIFETIME).unwrap_or(now));
    params
}

/// A time as rcgen wants it, whole seconds from 1970 to 9999.
fn date<T: std::ops::Add<Duration, Output = T> + From<SystemTime>>(time: SystemTime) -> T {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    T::from(UNIX_EPOCH) + Duration::from_secs(seconds.min(LAST_SECOND))
}
