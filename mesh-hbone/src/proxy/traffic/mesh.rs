//! A traffic policy by settings for services of the mesh.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_core::lb::RequestHash;
use mesh_core::limits::TokenBucket;
use mesh_core::model::{NamespacedHostname, Service};
use mesh_core::name::Name;
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::watch::{self, Publisher, Watch};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::admitted::Admitted;
use super::policy::{Admission, Refusal, ServiceConnection, TrafficPolicy};
use super::settings::{HashBy, ServiceSettings, TrafficSettings};
use super::upstream::{Upstream, count};

/// A traffic policy by settings for services of the mesh, in the newest snapshot of it.
///
/// One value serves all workers of a process: limits, counts of connections and what was seen of endpoints hold for the
/// process, not for a worker. Services without settings cost a look at a table; nothing runs in the background.
///
/// Endpoints are looked up when a connection needs them and something has changed. Endpoints of other networks take
/// part, and are reached through their gateway.
///
/// # Example
/// ```
/// use mesh_core::lb::{Algorithm, OutlierDetection};
/// use mesh_core::model::NamespacedHostname;
/// use mesh_core::store::MeshStore;
/// use mesh_hbone::proxy::{MeshTraffic, ServiceSettings};
///
/// let store = MeshStore::new();
/// let traffic = MeshTraffic::new(store.watch());
///
/// let mut web = ServiceSettings::new(NamespacedHostname::new("shop", "web.shop.svc.cluster.local"));
/// web.settings.balancing.algorithm = Algorithm::LeastRequest { choices: 2 };
/// web.settings.balancing.outlier = Some(OutlierDetection::default());
/// web.settings.max_connections = 100;
/// traffic.replace(vec![web]);
/// ```
pub struct MeshTraffic {
    snapshots: Watch<MeshSnapshot>,
    services: Publisher<Services>,
    /// Held while the settings are replaced.
    writer: Mutex<()>,
}

/// Services by host name; those of one name are of different namespaces.
type Services = HashMap<Name, Vec<Arc<ServiceTraffic>>>;

/// A service with settings.
#[derive(Debug)]
struct ServiceTraffic {
    settings: ServiceSettings,
    bucket: Option<Arc<TokenBucket>>,
    /// The ports that were connected to.
    ports: RwLock<HashMap<u16, Arc<Upstream>>>,
}

/// What has been counted of connections to a port of a service since it has settings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrafficCounts {
    /// The service.
    pub service: NamespacedHostname,
    /// The port.
    pub port: u16,
    /// Connections that there are, those that are being made among them.
    pub connections: u32,
    /// Connections that were refused because there were as many as there may be.
    pub overflows: u64,
    /// Connections that were refused because there were too many new ones.
    pub rate_limited: u64,
    /// Attempts to connect to an endpoint that failed.
    pub failures: u64,
    /// Attempts after the first one of a connection.
    pub retries: u64,
    /// Times that an endpoint was taken out.
    pub ejections: u64,
    /// Endpoints that are known.
    pub endpoints: usize,
    /// Of these, those that are out now.
    pub ejected: usize,
}

impl MeshTraffic {
    /// A policy without settings.
    #[must_use]
    pub fn new(snapshots: Watch<MeshSnapshot>) -> Self {
        Self {
            snapshots,
            services: watch::channel(Services::new()).0,
            writer: Mutex::new(()),
        }
    }

    /// Replaces all settings; of several for one service the last count. It takes effect for the next connection.
    ///
    /// What is counted stays for services that have settings before and after, as does what was seen of their
    /// endpoints, and how full the bucket of a connection rate is unless the rate has changed. Connections that
    /// there are go on.
    pub fn replace(&self, settings: Vec<ServiceSettings>) {
        let _writer = self.writer.lock();
        let before = self.services.load();
        let now = Instant::now().into_std();
        let mut after = Services::new();
        for settings in settings {
            let key = &settings.service;
            let (namespace, hostname) = (key.namespace.clone(), key.hostname.clone());
            let old = find(&before, &namespace, &hostname);
            let new = Arc::new(ServiceTraffic::renewed(settings, old, now));
            let of_name = after.entry(hostname).or_default();
            of_name.retain(|one| one.settings.service.namespace != namespace);
            of_name.push(new);
        }
        self.services.publish(after);
    }

    /// What applies to a service; `None` when nothing is set.
    #[must_use]
    pub fn settings(&self, namespace: &str, hostname: &str) -> Option<ServiceSettings> {
        let services = self.services.load();
        let found = find(&services, namespace, hostname);
        found.map(|service| service.settings.clone())
    }

    /// What has been counted, of ports that were connected to since they have settings; in no order.
    #[must_use]
    pub fn counts(&self) -> Vec<TrafficCounts> {
        let services = self.services.load();
        let services = services.values().flatten();
        services.flat_map(|service| service.counts()).collect()
    }
}

fn find<'a>(
    services: &'a Services,
    namespace: &str,
    hostname: &str,
) -> Option<&'a Arc<ServiceTraffic>> {
    let of_name = services.get(hostname)?;
    let mut of_name = of_name.iter();
    of_name.find(|one| one.settings.service.namespace == namespace)
}

impl ServiceTraffic {
    fn renewed(
        settings: ServiceSettings,
        old: Option<&Arc<Self>>,
        now: std::time::Instant,
    ) -> Self {
        let rate = settings.connection_rate;
        let kept = old.and_then(|old| old.bucket.clone());
        let kept = kept.filter(|bucket| Some(*bucket.settings()) == rate);
        let bucket = kept.or_else(|| Some(Arc::new(TokenBucket::new(rate?, now))));
        let ports = old.map(|old| old.ports.read().clone()).unwrap_or_default();
        for (port, upstream) in &ports {
            upstream.apply(settings.port(*port), now);
        }
        Self {
            settings,
            bucket,
            ports: RwLock::new(ports),
        }
    }

    fn upstream(&self, port: u16) -> Arc<Upstream> {
        if let Some(known) = self.ports.read().get(&port) {
            return known.clone();
        }
        let new = || Arc::new(Upstream::new(self.settings.port(port).clone()));
        self.ports.write().entry(port).or_insert_with(new).clone()
    }

    fn counts(&self) -> Vec<TrafficCounts> {
        let now = Instant::now().into_std();
        let ports = self.ports.read();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = ports.iter().map(|(port, upstream)| {
            let (endpoints, ejected) = upstream.hosts(now);
            TrafficCounts {
                service: self.settings.service.clone(),
                port: *port,
                connections: upstream.connections.in_use(),
                overflows: upstream.connections.refused(),
                rate_limited: read(&upstream.rate_limited),
                failures: read(&upstream.failures),
                retries: read(&upstream.retries),
                ejections: read(&upstream.ejections),
                endpoints,
                ejected,
            }
        });
        counts.collect()
    }
}

impl TrafficPolicy for MeshTraffic {
    fn admit(&self, to: &ServiceConnection<'_>) -> Result<Option<Box<dyn Admission>>, Refusal> {
        let services = self.services.load();
        let key: &Service = to.service;
        let key = key.spec();
        let Some(service) = find(&services, &key.namespace, &key.hostname) else {
            return Ok(None);
        };
        let upstream = service.upstream(to.port);
        let now = Instant::now().into_std();
        if service
            .bucket
            .as_ref()
            .is_some_and(|bucket| !bucket.take(now))
        {
            count(&upstream.rate_limited);
            return Err(Refusal::RateLimited);
        }
        let permit = upstream.connections.acquire().ok_or(Refusal::Overflow)?;
        let snapshot = self.snapshots.load();
        let known = upstream.cluster(to, snapshot.endpoints(to.service), now);
        let hash = hash(&known.0, to.source);
        let admitted = Admitted::new(upstream, known, hash, permit);
        Ok(Some(Box::new(admitted)))
    }
}

fn hash(settings: &TrafficSettings, source: IpAddr) -> Option<u64> {
    match settings.hash_by {
        HashBy::Nothing => None,
        HashBy::SourceAddress => {
            let mut hash = RequestHash::default();
            hash.add_address(source);
            hash.value()
        }
    }
}

impl fmt::Debug for MeshTraffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshTraffic")
            .field("services", &self.services.load().len())
            .finish_non_exhaustive()
    }
}
