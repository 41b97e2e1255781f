//! How a source of certificates is set up.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::clock::{SystemClock, WallClock};
use mesh_core::random::Random;

use super::client::{Client, Identity};
use super::entries::Entries;
use super::schedule::Schedule;
use super::{CaError, CaSource, CaWorker};
use crate::control::ControlEndpoint;
use crate::renewal;

/// Source: Istio's `SECRET_TTL`.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Lifetimes that can be asked for.
const LIFETIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(365 * 24 * 3600);

/// Istio has none. Authorities that sign by way of another one take some seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Source: Istio.
const CONCURRENCY: usize = 8;

/// Sets up a [`CaSource`] with its [`CaWorker`].
#[must_use]
pub struct CaSourceBuilder {
    endpoint: ControlEndpoint,
    lifetime: Duration,
    request_timeout: Duration,
    concurrency: usize,
    identity: Identity,
    clock: Arc<dyn WallClock>,
    random: Box<dyn Random + Send>,
}

impl CaSource {
    /// A source that asks the authority at `endpoint`.
    pub fn builder(endpoint: ControlEndpoint) -> CaSourceBuilder {
        CaSourceBuilder {
            endpoint,
            lifetime: LIFETIME,
            request_timeout: REQUEST_TIMEOUT,
            concurrency: CONCURRENCY,
            identity: Identity::FromToken,
            clock: Arc::new(SystemClock),
            random: Box::new(renewal::seeded()),
        }
    }
}

impl CaSourceBuilder {
    /// The lifetime that is asked for, 1 minute to 1 year; default 24 hours. The authority may give
    /// less or more.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// How long the authority may take to answer, connecting not included; default 30 s.
    pub fn request_timeout(self, request_timeout: Duration) -> Self {
        Self {
            request_timeout,
            ..self
        }
    }

    /// How many fetches may run at a time, 1 to 1024; default 8.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self {
            concurrency,
            ..self
        }
    }

    /// Names the identity in each request (`ImpersonatedIdentity`), for a proxy that serves many
    /// workloads with one token of its own; default: the authority takes it from the token.
    pub fn impersonate(self) -> Self {
        let identity = Identity::Impersonated;
        Self { identity, ..self }
    }

    /// The clock that certificates are checked by; default: the operating system's.
    pub fn clock(self, clock: Arc<dyn WallClock>) -> Self {
        Self { clock, ..self }
    }

    /// Where the spread of renewals and retries comes from; default: seeded by the operating
    /// system.
    pub fn random(self, random: impl Random + Send + 'static) -> Self {
        Self {
            random: Box::new(random),
            ..self
        }
    }

    /// The source, and the worker that fetches for it.
    ///
    /// # Errors
    /// [`CaError::Lifetime`] and [`CaError::Concurrency`] when these are out of range.
    pub fn build(self) -> Result<(CaSource, CaWorker), CaError> {
        if !LIFETIMES.contains(&self.lifetime) {
            return Err(CaError::Lifetime);
        }
        if !(1..=1024).contains(&self.concurrency) {
            return Err(CaError::Concurrency);
        }
        let entries = Arc::new(Entries::default());
        let client = Client::new(
            self.endpoint,
            self.lifetime,
            self.request_timeout,
            self.identity,
        );
        let schedule = Schedule::new(self.concurrency, self.random);
        let source = CaSource::new(entries.clone(), self.clock.clone());
        let worker = CaWorker::new(entries, Arc::new(client), schedule, self.clock);
        Ok((source, worker))
    }
}

impl std::fmt::Debug for CaSourceBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaSourceBuilder")
            .field("endpoint", &self.endpoint)
            .field("lifetime", &self.lifetime)
            .field("request_timeout", &self.request_timeout)
            .field("concurrency", &self.concurrency)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
