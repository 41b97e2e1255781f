//! The upstreams of a mesh, kept as the mesh and its configuration change.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use mesh_core::lb::{Cluster, HostSpec};
use mesh_core::limits::CircuitBreaker;
use mesh_core::model::Workload;
use mesh_core::random::ThreadRandom;
use mesh_core::resolve::ResolveConfig;
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::watch::{self, Publisher};
use parking_lot::Mutex;

use super::config::UpstreamConfig;
use super::endpoint::Endpoint;
use super::hosts::{Arranged, View};
use crate::target::ServiceTarget;
use crate::upstream::{Upstream, Upstreams};

type All = HashMap<ServiceTarget, Arc<Upstream<Endpoint>>>;

/// Ports of workloads that are remembered, as clients may ask for any; with more of them all are forgotten at once.
const MOST_WORKLOADS: usize = 1024;

/// The services of a mesh as upstreams, by a [`MeshSnapshot`] and an [`UpstreamConfig`].
///
/// An upstream is made when it is first asked for. [`update`](Self::update) changes those there are: what has been
/// seen of hosts that stay, and what is in flight, stays. Lookups take no lock. One value serves all workers, so that
/// limits and ejections hold for the whole process.
///
/// Hosts are the endpoints that a node proxy would choose from: healthy ones, unless the service wants all;
/// with their localities or the service's routing preferences as priorities
/// ([`LocalityPreference`](crate::upstream::LocalityPreference)), seen from the proxy's own place. Endpoints of other
/// networks are reached by their network's gateway; those that have none are left out. A workload that is addressed itself ([`ServiceTarget::of_workload`]) is an upstream of one
/// host, whether it is ready or not.
///
/// ```
/// use std::sync::Arc;
/// use mesh_core::model::{Workload, WorkloadSpec};
/// use mesh_core::store::MeshStore;
/// use mesh_l7::mesh::MeshUpstreams;
/// use mesh_l7::target::ServiceTarget;
/// use mesh_l7::upstream::Upstreams;
///
/// let store = MeshStore::new();
/// let own = Arc::new(Workload::new(WorkloadSpec::default()));
/// let upstreams = MeshUpstreams::new(store.snapshot(), Arc::new(()), own);
/// let nobody = ServiceTarget { namespace: "shop".into(), hostname: "web".into(), port: 80, subset: None };
/// assert!(upstreams.upstream(&nobody).is_none());
/// ```
pub struct MeshUpstreams {
    all: Publisher<All>,
    /// Held while upstreams are made or changed.
    writer: Mutex<View>,
}

impl MeshUpstreams {
    /// The upstreams of a mesh as it is now, seen from the place of the proxy's own workload.
    #[must_use]
    pub fn new(
        snapshot: Arc<MeshSnapshot>,
        config: Arc<dyn UpstreamConfig>,
        place: Arc<Workload>,
    ) -> Self {
        Self {
            all: watch::channel(All::new()).0,
            writer: Mutex::new(View {
                snapshot,
                config,
                place,
                resolve: ResolveConfig::default(),
            }),
        }
    }

    /// The same with other settings of how endpoints are reached; default [`ResolveConfig::default`].
    #[must_use]
    pub fn with_resolve_config(mut self, resolve: ResolveConfig) -> Self {
        self.writer.get_mut().resolve = resolve;
        self
    }

    /// Takes over a mesh, its configuration and the proxy's place as they are now.
    pub fn update(
        &self,
        snapshot: Arc<MeshSnapshot>,
        config: Arc<dyn UpstreamConfig>,
        place: Arc<Workload>,
    ) {
        let mut view = self.writer.lock();
        (view.snapshot, view.config, view.place) = (snapshot, config, place);
        let now = Instant::now();
        let before = self.all.load();
        let after: All = before
            .iter()
            .filter_map(|(target, old)| {
                let arranged = view.of(target)?;
                Some((target.clone(), renewed(old, arranged, &view, now)))
            })
            .collect();
        let same = |(target, old): (&ServiceTarget, &Arc<_>)| {
            after.get(target).is_some_and(|new| Arc::ptr_eq(old, new))
        };
        if !before.iter().all(same) {
            self.all.publish(after);
        }
    }

    /// Does what is due for all upstreams ([`Cluster::maintain`]); when it wants to be called again, if
    /// nothing changes.
    pub fn maintain(&self, now: Instant) -> Option<Instant> {
        let all = self.all.load();
        let due = all.values().filter_map(|upstream| {
            let cluster = &upstream.cluster;
            cluster.maintain(now, &mut ThreadRandom)
        });
        due.min()
    }

    /// The upstreams that were asked for so far, for dumps.
    #[must_use]
    pub fn known(&self) -> Vec<Arc<Upstream<Endpoint>>> {
        self.all.load().values().cloned().collect()
    }

    fn make(&self, target: &ServiceTarget) -> Option<Arc<Upstream<Endpoint>>> {
        let view = self.writer.lock();
        let before = self.all.load();
        if let Some(made) = before.get(target) {
            return Some(made.clone());
        }
        let Arranged { hosts, settings } = view.of(target)?;
        let balancing = settings.balancing.clone();
        let now = Instant::now();
        let upstream = Arc::new(Upstream {
            target: target.clone(),
            protocol: view.config.protocol(target).upstream(),
            cluster: Arc::new(Cluster::new(balancing, hosts, now, &mut ThreadRandom)),
            breaker: CircuitBreaker::new(settings.breaker.clone()),
            settings,
        });
        let mut after = All::clone(&before);
        let of_workload = |(known, _): &(&ServiceTarget, _)| !known.is_service();
        if !target.is_service() && after.iter().filter(of_workload).count() >= MOST_WORKLOADS {
            after.retain(|known, _| known.is_service());
        }
        after.insert(target.clone(), upstream.clone());
        self.all.publish(after);
        Some(upstream)
    }
}

/// An upstream with what is new; itself where nothing is.
fn renewed(
    old: &Arc<Upstream<Endpoint>>,
    Arranged { hosts, settings }: Arranged,
    view: &View,
    now: Instant,
) -> Arc<Upstream<Endpoint>> {
    let protocol = view.config.protocol(&old.target).upstream();
    let before = old.cluster.hosts();
    let mut known: Vec<&HostSpec<Endpoint>> =
        before.hosts().iter().map(|host| host.spec()).collect();
    known.sort_by(|one, other| one.key.cmp(&other.key));
    if !known.into_iter().eq(&hosts) {
        old.cluster.update(hosts, now);
    }
    if settings == old.settings && protocol == old.protocol {
        return old.clone();
    }
    if settings.balancing != old.settings.balancing {
        old.cluster.set_balancing(settings.balancing.clone(), now);
    }
    Arc::new(Upstream {
        target: old.target.clone(),
        protocol,
        cluster: old.cluster.clone(),
        breaker: old.breaker.with_settings(settings.breaker.clone()),
        settings,
    })
}

impl Upstreams<Endpoint> for MeshUpstreams {
    fn upstream(&self, target: &ServiceTarget) -> Option<Arc<Upstream<Endpoint>>> {
        let known = self.all.load().get(target).cloned();
        known.or_else(|| self.make(target))
    }
}

impl fmt::Debug for MeshUpstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshUpstreams")
            .field("known", &self.all.load().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
