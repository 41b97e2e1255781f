//! One upstream at one moment, and where it is looked up.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use mesh_core::lb::{Cluster, HostSpec};
use mesh_core::limits::CircuitBreaker;
use mesh_core::random::ThreadRandom;

use super::settings::{ClusterSettings, Protocol};
use crate::target::ServiceTarget;

/// One upstream at one moment: its settings are as they were when it was looked up; hosts, what has been
/// seen of them, and what is in flight are shared with other moments.
///
/// `E` is what a client needs to reach a host.
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever configures upstreams makes them"
)]
pub struct Upstream<E> {
    /// What it is called.
    pub target: ServiceTarget,
    /// How it is used.
    pub settings: ClusterSettings,
    /// What its hosts speak.
    pub protocol: Protocol,
    /// Its hosts.
    pub cluster: Arc<Cluster<E>>,
    /// What is too much.
    pub breaker: CircuitBreaker,
}

impl<E> Upstream<E> {
    /// An upstream of these hosts that nothing has been seen of yet.
    #[must_use]
    pub fn new(
        target: ServiceTarget,
        settings: ClusterSettings,
        protocol: Protocol,
        hosts: Vec<HostSpec<E>>,
        now: Instant,
    ) -> Self {
        let balancing = settings.balancing.clone();
        Self {
            target,
            cluster: Arc::new(Cluster::new(balancing, hosts, now, &mut ThreadRandom)),
            breaker: CircuitBreaker::new(settings.breaker.clone()),
            settings,
            protocol,
        }
    }
}

/// Where upstreams are looked up.
pub trait Upstreams<E>: Send + Sync {
    /// The upstream of a target as it is now; `None` when there is none.
    fn upstream(&self, target: &ServiceTarget) -> Option<Arc<Upstream<E>>>;
}

impl<E, U: Upstreams<E> + ?Sized> Upstreams<E> for Arc<U> {
    fn upstream(&self, target: &ServiceTarget) -> Option<Arc<Upstream<E>>> {
        (**self).upstream(target)
    }
}

impl<E> fmt::Debug for Upstream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("target", &self.target)
            .field("settings", &self.settings)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
