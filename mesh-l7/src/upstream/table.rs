//! Upstreams that are known by their targets.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_core::watch::Watch;

use super::model::{Upstream, Upstreams};
use crate::target::ServiceTarget;

/// Upstreams by their targets. A [`Watch`] of one is replaced as a whole.
///
/// ```
/// use std::time::Instant;
/// use mesh_core::lb::HostSpec;
/// use mesh_l7::target::ServiceTarget;
/// use mesh_l7::upstream::{ClusterSettings, Protocol, Upstream, UpstreamTable, Upstreams};
///
/// let web = ServiceTarget { namespace: "shop".into(), hostname: "web".into(), port: 80, subset: None };
/// let hosts = ["10.0.0.1:80", "10.0.0.2:80"].map(|address| HostSpec::new(address, address));
/// let upstream = Upstream::new(web.clone(), ClusterSettings::default(), Protocol::Http1, hosts.into(), Instant::now());
/// let table = UpstreamTable::from_iter([upstream]);
/// assert_eq!(table.upstream(&web).unwrap().cluster.hosts().hosts().len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct UpstreamTable<E>(HashMap<ServiceTarget, Arc<Upstream<E>>>);

impl<E> UpstreamTable<E> {
    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Upstream<E>>> {
        self.0.values()
    }
}

impl<E> Default for UpstreamTable<E> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<E> FromIterator<Arc<Upstream<E>>> for UpstreamTable<E> {
    fn from_iter<I: IntoIterator<Item = Arc<Upstream<E>>>>(upstreams: I) -> Self {
        let named = upstreams.into_iter().map(|one| (one.target.clone(), one));
        Self(named.collect())
    }
}

impl<E> FromIterator<Upstream<E>> for UpstreamTable<E> {
    fn from_iter<I: IntoIterator<Item = Upstream<E>>>(upstreams: I) -> Self {
        upstreams.into_iter().map(Arc::new).collect()
    }
}

impl<E: Send + Sync> Upstreams<E> for UpstreamTable<E> {
    fn upstream(&self, target: &ServiceTarget) -> Option<Arc<Upstream<E>>> {
        self.0.get(target).cloned()
    }
}

impl<E: Send + Sync> Upstreams<E> for Watch<UpstreamTable<E>> {
    fn upstream(&self, target: &ServiceTarget) -> Option<Arc<Upstream<E>>> {
        self.load().upstream(target)
    }
}
