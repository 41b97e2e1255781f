//! The endpoints of a service's port as they are seen from one place, kept up to date by those who ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mesh_core::balance::{EndpointTarget, hosts};
use mesh_core::endpoints::EndpointSet;
use mesh_core::lb::Balancing;
use mesh_core::model::{Service, Workload};
use mesh_core::random::ThreadRandom;

use super::policy::ServiceConnection;

/// Sweeps that are made up for when nobody has asked for a long time. Each shortens the next ejection by one step, and
/// after ten steps there is nothing left to shorten by default.
const MISSED_SWEEPS: usize = 16;

/// Endpoints as they are chosen from.
pub(super) type Cluster = mesh_core::lb::Cluster<EndpointTarget>;

/// The hosts of one port, seen from one place.
#[derive(Debug)]
pub(super) struct View {
    /// A workload of that place.
    place: Arc<Workload>,
    service: Arc<Service>,
    endpoints: EndpointSet,
    pub(super) cluster: Arc<Cluster>,
    epoch: Instant,
    /// When the cluster wants to be looked after, in nanoseconds since the epoch.
    due: AtomicU64,
}

impl View {
    pub(super) fn new(
        balancing: Balancing,
        to: &ServiceConnection<'_>,
        endpoints: &EndpointSet,
        now: Instant,
    ) -> Self {
        let hosts = hosts(to.service, endpoints, to.local, to.port);
        Self {
            place: to.local.clone(),
            service: to.service.clone(),
            endpoints: endpoints.clone(),
            cluster: Arc::new(Cluster::new(balancing, hosts, now, &mut ThreadRandom)),
            epoch: now,
            due: AtomicU64::new(0),
        }
    }

    /// Whether it is seen from the place of a workload.
    pub(super) fn is_from(&self, local: &Arc<Workload>) -> bool {
        let place = &self.place;
        let is_same = || {
            place.network() == local.network()
                && place.cluster_id() == local.cluster_id()
                && place.node() == local.node()
                && place.locality() == local.locality()
        };
        Arc::ptr_eq(place, local) || is_same()
    }

    /// Whether nothing has changed of the service and its endpoints.
    pub(super) fn is_current(&self, service: &Arc<Service>, endpoints: &EndpointSet) -> bool {
        Arc::ptr_eq(&self.service, service) && self.endpoints.is_same(endpoints)
    }

    /// Takes over the endpoints as they are now. What has been seen of those that stay is kept.
    pub(super) fn update(
        &mut self,
        to: &ServiceConnection<'_>,
        endpoints: &EndpointSet,
        now: Instant,
    ) {
        let hosts = hosts(to.service, endpoints, to.local, to.port);
        self.cluster.update(hosts, now);
        self.service = to.service.clone();
        self.endpoints = endpoints.clone();
        self.wants_care(now);
    }

    pub(super) fn set_balancing(&self, balancing: Balancing, now: Instant) {
        self.cluster.set_balancing(balancing, now);
        self.wants_care(now);
    }

    fn wants_care(&self, now: Instant) {
        self.due.store(self.nanos(now), Ordering::Relaxed);
    }

    /// Does what has become due since the last time, as if it had been done in time: endpoints come back, shares grow.
    pub(super) fn maintain(&self, now: Instant) {
        for missed in 0..=MISSED_SWEEPS {
            let due = self.due.load(Ordering::Relaxed);
            if self.nanos(now) < due {
                return;
            }
            let at = match missed {
                MISSED_SWEEPS => now,
                _ => self.epoch + Duration::from_nanos(due),
            };
            let next = self.cluster.maintain(at, &mut ThreadRandom);
            let next = next.map_or(u64::MAX, |next| self.nanos(next));
            self.due.store(next, Ordering::Relaxed);
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        let passed = at.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}
