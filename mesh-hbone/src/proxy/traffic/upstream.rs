//! One port of a service that has settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mesh_core::endpoints::EndpointSet;
use mesh_core::limits::Limit;
use mesh_core::model::Workload;
use parking_lot::RwLock;

use super::hosts::{Cluster, View};
use super::policy::ServiceConnection;
use super::settings::TrafficSettings;

/// The most places that one port is seen from: there is one for each workload, and in practice for all of a node.
const PLACES: usize = 16;

/// One port of a service, shared by all its connections. Outlives changes of its settings.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) connections: Limit,
    pub(super) rate_limited: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) ejections: AtomicU64,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    settings: Arc<TrafficSettings>,
    views: Vec<View>,
}

impl Upstream {
    pub(super) fn new(settings: TrafficSettings) -> Self {
        Self {
            connections: Limit::new(settings.max_connections),
            rate_limited: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
            state: RwLock::new(State {
                settings: Arc::new(settings),
                views: Vec::new(),
            }),
        }
    }

    /// Takes over other settings. What is counted and what has been seen of endpoints stays.
    pub(super) fn apply(&self, settings: &TrafficSettings, now: Instant) {
        let mut state = self.state.write();
        if *state.settings == *settings {
            return;
        }
        self.connections.set_max(settings.max_connections);
        if state.settings.balancing != settings.balancing {
            for view in &state.views {
                view.set_balancing(settings.balancing.clone(), now);
            }
        }
        state.settings = Arc::new(settings.clone());
    }

    /// The settings and the endpoints as they are now.
    pub(super) fn cluster(
        &self,
        to: &ServiceConnection<'_>,
        endpoints: &EndpointSet,
        now: Instant,
    ) -> (Arc<TrafficSettings>, Arc<Cluster>) {
        let state = self.state.read();
        let settings = state.settings.clone();
        let current = state.view(to.local);
        if let Some(view) = current.filter(|view| view.is_current(to.service, endpoints)) {
            view.maintain(now);
            return (settings, view.cluster.clone());
        }
        drop(state);
        let mut state = self.state.write();
        let cluster = state.renewed(to, endpoints, now);
        (settings, cluster)
    }

    /// The endpoints that are known, and how many of them are taken out at `now`.
    pub(super) fn hosts(&self, now: Instant) -> (usize, usize) {
        let state = self.state.read();
        let counts = state.views.iter().map(|view| {
            view.maintain(now);
            let hosts = view.cluster.hosts();
            let ejected = hosts.hosts().iter().filter(|host| host.is_ejected());
            (hosts.hosts().len(), ejected.count())
        });
        counts.max().unwrap_or((0, 0))
    }
}

impl State {
    fn view(&self, local: &Arc<Workload>) -> Option<&View> {
        self.views.iter().find(|view| view.is_from(local))
    }

    fn renewed(
        &mut self,
        to: &ServiceConnection<'_>,
        endpoints: &EndpointSet,
        now: Instant,
    ) -> Arc<Cluster> {
        let known = self.views.iter().position(|view| view.is_from(to.local));
        let mut view = match known {
            Some(at) => self.views.swap_remove(at),
            None => View::new(self.settings.balancing.clone(), to, endpoints, now),
        };
        if !view.is_current(to.service, endpoints) {
            view.update(to, endpoints, now);
        }
        view.maintain(now);
        if self.views.len() >= PLACES {
            self.views.remove(0);
        }
        let cluster = view.cluster.clone();
        self.views.push(view);
        cluster
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
