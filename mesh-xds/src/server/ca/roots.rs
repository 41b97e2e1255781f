//! The authority's keys: the one that signs, and the one before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use mesh_core::identity::SpiffeId;
use rcgen::{Issuer, KeyPair};

use super::request::PublicKey;
use crate::{signing, svid};

pub(super) struct Roots {
    issuer: Issuer<'static, KeyPair>,
    /// PEM. The certificate of the issuer comes first, then the former one.
    certificates: Vec<String>,
}

impl Roots {
    pub(super) fn new(now: SystemTime) -> Result<Self, rcgen::Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Path building goes by names: two roots of one name would be mistaken for each other.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let params = signing::authority(&format!("mesh CA in memory {number}"), now);
        let key = svid::new_key()?;
        let certificates = vec![params.self_signed(&key)?.pem()];
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificates,
        })
    }

    /// A new key that signs from now on. The root of the former one is still trusted.
    pub(super) fn rotated(&self, now: SystemTime) -> Result<Arc<Self>, rcgen::Error> {
        let mut new = Self::new(now)?;
        new.certificates.extend(self.certificates.first().cloned());
        Ok(Arc::new(new))
    }

    /// All roots in one PEM text.
    pub(super) fn bundle(&self) -> String {
        self.certificates.concat()
    }

    /// A certificate in PEM.
    pub(super) fn sign(
        &self,
        id: &SpiffeId,
        key: &PublicKey,
        now: SystemTime,
        not_after: SystemTime,
    ) -> Result<String, rcgen::Error> {
        let params = signing::workload(id, now, not_after)?;
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}
