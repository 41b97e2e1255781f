//! The authority as a source of credentials.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use mesh_core::clock::{SystemClock, WallClock};
use mesh_core::credential::{CertificateError, CertificateSource, Credential};
use mesh_core::identity::{SpiffeId, TrustDomain};
use mesh_core::random::Random;
use mesh_core::watch::{self, Publisher, Watch};
use parking_lot::{Mutex, RwLock};

use super::{DevCa, DevCaError};
use crate::renewal::{self, MAX_SLEEP};

/// How many identities one source serves at a time.
const MAX_IDENTITIES: usize = 4096;

const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Lifetimes that can be asked for.
const LIFETIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(365 * 24 * 3600);

/// A [`CertificateSource`] that asks a [`DevCa`].
///
/// A credential is issued once per identity and kept. It is replaced after 40 to 60 per cent of
/// its lifetime, at a random point, so that the identities of a mesh are not renewed all at once:
/// by the next call of [`credential`](CertificateSource::credential), or by [`run`](Self::run).
pub struct DevCaSource {
    ca: DevCa,
    lifetime: Duration,
    trust_domains: Vec<TrustDomain>,
    clock: Arc<dyn WallClock>,
    random: Mutex<Box<dyn Random + Send>>,
    entries: RwLock<HashMap<SpiffeId, Arc<Entry>>>,
}

/// One identity.
struct Entry {
    /// Held while a replacement is issued, so that concurrent callers share it.
    current: Mutex<Current>,
    publisher: Publisher<Credential>,
}

struct Current {
    credential: Arc<Credential>,
    renew_at: SystemTime,
}

/// Sets up a [`DevCaSource`].
#[must_use]
pub struct DevCaSourceBuilder {
    ca: DevCa,
    lifetime: Duration,
    trust_domains: Vec<TrustDomain>,
    clock: Arc<dyn WallClock>,
    random: Box<dyn Random + Send>,
}

impl DevCaSourceBuilder {
    /// How long a certificate is valid: 1 minute to 1 year; default 24 hours.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// The trust domains that are served; identities of others are unknown. Default: all.
    pub fn trust_domains(self, domains: impl IntoIterator<Item = TrustDomain>) -> Self {
        Self {
            trust_domains: domains.into_iter().collect(),
            ..self
        }
    }

    /// The clock that certificates are dated by; default: the operating system's.
    pub fn clock(self, clock: Arc<dyn WallClock>) -> Self {
        Self { clock, ..self }
    }

    /// Where the spread of renewals comes from; default: seeded by the operating system.
    pub fn random(self, random: impl Random + Send + 'static) -> Self {
        Self {
            random: Box::new(random),
            ..self
        }
    }

    /// The source.
    ///
    /// # Errors
    /// [`DevCaError::Lifetime`] when the lifetime is out of range.
    pub fn build(self) -> Result<DevCaSource, DevCaError> {
        if !LIFETIMES.contains(&self.lifetime) {
            return Err(DevCaError::Lifetime);
        }
        Ok(DevCaSource {
            ca: self.ca,
            lifetime: self.lifetime,
            trust_domains: self.trust_domains,
            clock: self.clock,
            random: Mutex::new(self.random),
            entries: RwLock::default(),
        })
    }
}

impl DevCaSource {
    /// A source with the defaults.
    pub fn builder(ca: DevCa) -> DevCaSourceBuilder {
        DevCaSourceBuilder {
            ca,
            lifetime: DEFAULT_LIFETIME,
            trust_domains: Vec::new(),
            clock: Arc::new(SystemClock),
            random: Box::new(renewal::seeded()),
        }
    }

    /// The authority.
    #[must_use]
    pub fn ca(&self) -> &DevCa {
        &self.ca
    }

    /// Replaces the credentials that are due, for ever.
    ///
    /// Without it, those who hold a [`watch`](CertificateSource::watch) learn of a replacement
    /// only after somebody has asked for the credential.
    ///
    /// # Cancellation
    /// Dropping the future ends the renewals; nothing else is lost.
    pub async fn run(&self) {
        loop {
            let next = self.renew_due();
            let wait = next.and_then(|next| next.duration_since(self.clock.now()).ok());
            tokio::time::sleep(wait.unwrap_or(MAX_SLEEP).min(MAX_SLEEP)).await;
        }
    }

    /// Replaces the credentials that are due now, and tells when the next one is.
    fn renew_due(&self) -> Option<SystemTime> {
        let entries: Vec<_> = self.entries.read().values().cloned().collect();
        for entry in &entries {
            // A failure shows when the credential is asked for.
            let _ = self.renewed(entry);
        }
        entries
            .iter()
            .map(|entry| entry.current.lock().renew_at)
            .min()
    }

    fn get(&self, id: &SpiffeId) -> Result<Arc<Entry>, CertificateError> {
        if !self.trust_domains.is_empty() && !self.trust_domains.contains(id.trust_domain()) {
            return Err(CertificateError::UnknownIdentity { id: id.clone() });
        }
        if let Some(entry) = self.entries.read().get(id) {
            return Ok(entry.clone());
        }
        let mut entries = self.entries.write();
        if let Some(entry) = entries.get(id) {
            return Ok(entry.clone());
        }
        let limit = MAX_IDENTITIES;
        if entries.len() >= limit {
            let error = DevCaError::TooManyIdentities { limit };
            return Err(CertificateError::unavailable(id, error));
        }
        // Issued under the lock (a fraction of a millisecond): concurrent callers share it.
        let current = self.issue(id, self.clock.now())?;
        let publisher = watch::channel_shared(current.credential.clone()).0;
        let entry = Arc::new(Entry {
            current: Mutex::new(current),
            publisher,
        });
        entries.insert(id.clone(), entry.clone());
        Ok(entry)
    }

    /// The credential of an identity, replaced when that is due.
    fn renewed(&self, entry: &Entry) -> Result<Arc<Credential>, CertificateError> {
        let now = self.clock.now();
        let mut current = entry.current.lock();
        if now < current.renew_at {
            return Ok(current.credential.clone());
        }
        match self.issue(current.credential.id(), now) {
            Ok(renewed) => *current = renewed,
            Err(_) if current.credential.is_valid_at(now) => return Ok(current.credential.clone()),
            Err(error) => return Err(error),
        }
        let credential = current.credential.clone();
        drop(current);
        // Without the lock: this wakes tasks, which may ask the source at once.
        entry.publisher.publish(credential.clone());
        Ok(credential)
    }

    fn issue(&self, id: &SpiffeId, now: SystemTime) -> Result<Current, CertificateError> {
        let credential = self
            .ca
            .issue(id, now, self.lifetime)
            .map_err(|error| CertificateError::unavailable(id, error))?;
        let renew_at = renewal::renew_at(&credential, now, &mut **self.random.lock());
        Ok(Current {
            credential: Arc::new(credential),
            renew_at,
        })
    }
}

#[async_trait]
impl CertificateSource for DevCaSource {
    async fn credential(&self, id: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        self.renewed(&*self.get(id)?)
    }

    async fn watch(&self, id: &SpiffeId) -> Result<Option<Watch<Credential>>, CertificateError> {
        let entry = self.get(id)?;
        self.renewed(&entry)?;
        Ok(Some(entry.publisher.watch()))
    }
}

impl std::fmt::Debug for DevCaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevCaSource")
            .field("lifetime", &self.lifetime)
            .field("trust_domains", &self.trust_domains)
            .field("identities", &self.entries.read().len())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for DevCaSourceBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevCaSourceBuilder")
            .field("lifetime", &self.lifetime)
            .field("trust_domains", &self.trust_domains)
            .finish_non_exhaustive()
    }
}
