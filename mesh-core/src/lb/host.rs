//! One host of a cluster.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::ewma::PeakEwma;
use super::outlier::Counters;
use crate::name::Name;

/// Whether a host may be chosen, as configuration or a health check says.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "as many as Envoy and Istio know")]
pub enum Health {
    /// It may.
    #[default]
    Healthy,
    /// Only when there are not enough healthy ones.
    Degraded,
    /// It may not.
    Unhealthy,
    /// It is about to go: nothing new, what runs goes on.
    Draining,
}

/// A host as configuration describes it.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct HostSpec<T> {
    /// What it is known by: its state is kept over updates that have the same key. The text
    /// `ip:port` (`[ip]:port` for IPv6) where consistent hashing is to agree with Envoy.
    pub key: Name,
    /// Its share, in relation to the others: 1..; 0 counts as 1.
    pub weight: u32,
    /// Where it is chosen: hosts of the lowest number first, the others when those are not enough.
    pub priority: u32,
    /// The locality that it is in, for localities with weights.
    pub locality: Name,
    /// Whether it may be chosen.
    pub health: Health,
    /// What it leads to.
    pub target: T,
}

impl<T> HostSpec<T> {
    /// A healthy host of weight 1 and the first priority.
    pub fn new(key: impl Into<Name>, target: T) -> Self {
        Self {
            key: key.into(),
            weight: 1,
            priority: 0,
            locality: Name::default(),
            health: Health::Healthy,
            target,
        }
    }
}

/// A host of a cluster: what configuration says of it, and what has been seen of it since it came.
pub struct Host<T> {
    pub(super) spec: HostSpec<T>,
    pub(super) state: Arc<HostState>,
}

/// What is seen of a host; kept as long as updates have its key.
#[derive(Debug, Default)]
pub(super) struct HostState {
    active: AtomicU32,
    pub(super) ewma: PeakEwma,
    pub(super) counters: Counters,
    /// When it became healthy, in milliseconds since the epoch of its cluster.
    pub(super) healthy_since: AtomicU64,
}

/// A request or connection that a host has, until it is dropped.
#[derive(Debug)]
#[must_use = "what is dropped at once is not counted"]
pub struct Active(Arc<HostState>);

impl<T> Host<T> {
    /// What configuration says of it.
    #[must_use]
    pub fn spec(&self) -> &HostSpec<T> {
        &self.spec
    }

    /// What it leads to.
    #[must_use]
    pub fn target(&self) -> &T {
        &self.spec.target
    }

    /// The requests or connections that it has.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.state.active.load(Ordering::Relaxed)
    }

    /// Counts one more request or connection, until the value is dropped.
    pub fn begin(&self) -> Active {
        self.state.active.fetch_add(1, Ordering::Relaxed);
        Active(self.state.clone())
    }

    /// Whether outlier detection has taken it out.
    #[must_use]
    pub fn is_ejected(&self) -> bool {
        self.state.counters.is_ejected()
    }

    /// Whether this is the same host, in this or in another snapshot.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    pub(super) fn weight(&self) -> f64 {
        f64::from(self.spec.weight.max(1))
    }

    /// Its health with what has been seen of it.
    pub(super) fn health(&self) -> Health {
        match self.spec.health {
            Health::Healthy | Health::Degraded if self.is_ejected() => Health::Unhealthy,
            health => health,
        }
    }

    /// How long it has been healthy, `now` milliseconds after the epoch.
    pub(super) fn healthy_for(&self, now: u64) -> Duration {
        let since = self.state.healthy_since.load(Ordering::Relaxed);
        Duration::from_millis(now.saturating_sub(since))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> fmt::Debug for Host<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("key", &self.spec.key)
            .field("health", &self.health())
            .field("active", &self.active())
            .finish_non_exhaustive()
    }
}
