//! What certificates look like that we sign ourselves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mesh_core::identity::SpiffeId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};

use crate::svid;

/// How far certificates are back-dated, for peers whose clocks are behind.
pub(crate) const SKEW: Duration = Duration::from_secs(300);

const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The end of the year 9999, the last that a certificate can name. Source: RFC 5280 4.1.2.5.
const LAST_SECOND: u64 = 253_402_300_799;

/// An authority that issues leaves only, valid for ten years.
pub(crate) fn authority(name: &str, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date(now.checked_sub(SKEW).unwrap_or(now));
    params.not_after = date(now.checked_add(CA_LIFETIME).unwrap_or(now));
    params
}

/// A workload's certificate: an empty subject, one critical URI name, for both sides of a TLS
/// connection, valid from five minutes before `now`.
pub(crate) fn workload(
    id: &SpiffeId,
    now: SystemTime,
    not_after: SystemTime,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = svid::names(id)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date(now.checked_sub(SKEW).unwrap_or(now));
    params.not_after = date(not_after);
    Ok(params)
}

/// A time as rcgen wants it, whole seconds from 1970 to 9999.
fn date<T: std::ops::Add<Duration, Output = T> + From<SystemTime>>(time: SystemTime) -> T {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    T::from(UNIX_EPOCH) + Duration::from_secs(seconds.min(LAST_SECOND))
}
