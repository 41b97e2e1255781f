//! Resolution by snapshots of the mesh.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::balance::Picked;
use mesh_core::model::Workload;
use mesh_core::name::Name;
use mesh_core::resolve::{
    self, HostnameTarget, InboundError, InboundRequest, InboundRoute, IpFamily, OutboundRequest,
    OutboundRoute, PassthroughRoute, ResolveConfig, ResolveError,
};
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::watch::Watch;
use parking_lot::RwLock;

use super::{NoLocalWorkload, Resolver};
use mesh_core::random::ThreadRandom;

/// Which workload a proxy serves.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LocalWorkload {
    /// The one with this unique id.
    Uid(Name),
    /// The one with this address.
    Address {
        /// The network.
        network: Name,
        /// The address.
        ip: IpAddr,
    },
    /// A pod, by what it knows about itself.
    Pod {
        /// Its namespace.
        namespace: Name,
        /// Its name.
        name: Name,
        /// Its service account.
        service_account: Name,
        /// Its node; `None` = whichever.
        node: Option<Name>,
    },
}

impl fmt::Display for LocalWorkload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => uid.fmt(f),
            Self::Address { network, ip } => write!(f, "{network}/{ip}"),
            Self::Pod {
                namespace, name, ..
            } => write!(f, "{namespace}/{name}"),
        }
    }
}

/// Resolves against the newest snapshot of the mesh, on behalf of one local workload.
///
/// Clones share everything.
///
/// # Example
/// ```
/// use mesh_core::resolve::ResolveConfig;
/// use mesh_core::store::MeshStore;
/// use mesh_hbone::proxy::{LocalWorkload, MeshResolver};
///
/// let store = MeshStore::new();
/// let local = LocalWorkload::Uid("Kubernetes//Pod/default/web-1".into());
/// let resolver = MeshResolver::new(store.watch(), ResolveConfig::new(), local);
/// ```
#[derive(Clone)]
pub struct MeshResolver {
    snapshots: Watch<MeshSnapshot>,
    shared: Arc<Shared>,
    wait: Duration,
}

struct Shared {
    config: ResolveConfig,
    local: LocalWorkload,
    /// The unique id of the local workload when it was last found: finding it by anything else may
    /// take long.
    uid: RwLock<Name>,
}

impl MeshResolver {
    /// The time to wait for the local workload: 5 s.
    pub const DEFAULT_WAIT: Duration = Duration::from_secs(5);

    /// A resolver on behalf of `local`.
    #[must_use]
    pub fn new(
        snapshots: Watch<MeshSnapshot>,
        config: ResolveConfig,
        local: LocalWorkload,
    ) -> Self {
        Self {
            snapshots,
            shared: Arc::new(Shared {
                config,
                local,
                uid: RwLock::default(),
            }),
            wait: Self::DEFAULT_WAIT,
        }
    }

    /// The same with another time to wait for the local workload.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Waits for a snapshot that has the local workload.
    async fn appears(&self) -> Option<Arc<Workload>> {
        let mut snapshots = self.snapshots.clone();
        loop {
            let snapshot = snapshots.changed().await.ok()?;
            if let Some(found) = self.shared.find(&snapshot) {
                return Some(found);
            }
        }
    }
}

impl Shared {
    fn find(&self, snapshot: &MeshSnapshot) -> Option<Arc<Workload>> {
        let known = snapshot.workload(&self.uid.read());
        if let Some(known) = known.filter(|workload| self.is_local(workload)) {
            return Some(known.clone());
        }
        let found = match &self.local {
            LocalWorkload::Uid(uid) => snapshot.workload(uid),
            LocalWorkload::Address { network, ip } => snapshot.workload_at(network, *ip),
            LocalWorkload::Pod {
                namespace,
                name,
                service_account,
                node,
            } => {
                let node = node.as_ref().map(Name::as_str);
                snapshot.local_workload(namespace, name, service_account, node)
            }
        }?;
        *self.uid.write() = found.uid().into();
        Some(found.clone())
    }

    fn is_local(&self, workload: &Workload) -> bool {
        match &self.local {
            LocalWorkload::Uid(uid) => workload.uid() == uid.as_str(),
            // Several workloads may claim an address, and which of them has it may change.
            LocalWorkload::Address { .. } => false,
            LocalWorkload::Pod {
                namespace,
                name,
                service_account,
                node,
            } => {
                *workload.namespace() == **namespace
                    && *workload.name() == **name
                    && *workload.service_account() == **service_account
                    && node.as_ref().is_none_or(|node| *workload.node() == **node)
            }
        }
    }
}

impl Resolver for MeshResolver {
    async fn local(&self) -> Result<Arc<Workload>, NoLocalWorkload> {
        if let Some(found) = self.shared.find(&self.snapshots.load()) {
            return Ok(found);
        }
        let appeared = tokio::time::timeout(self.wait, self.appears()).await;
        appeared
            .ok()
            .flatten()
            .ok_or_else(|| NoLocalWorkload::new(self.shared.local.to_string()))
    }

    async fn outbound(
        &self,
        local: &Workload,
        request: &OutboundRequest,
    ) -> Result<OutboundRoute, ResolveError> {
        let config = &self.shared.config;
        resolve::outbound(
            &self.snapshots.load(),
            config,
            local,
            request,
            &mut ThreadRandom,
        )
    }

    async fn outbound_to(
        &self,
        local: &Workload,
        request: &OutboundRequest,
        chosen: Picked<'_>,
    ) -> Result<OutboundRoute, ResolveError> {
        let (snapshot, config) = (self.snapshots.load(), &self.shared.config);
        let random = &mut ThreadRandom;
        resolve::outbound_to(&snapshot, config, local, request, chosen, random)
    }

    async fn hostname(
        &self,
        local: &Workload,
        name: &str,
        port: u16,
        prefer: IpFamily,
    ) -> HostnameTarget {
        let config = &self.shared.config;
        resolve::outbound_hostname(&self.snapshots.load(), config, local, name, port, prefer)
    }

    async fn inbound(
        &self,
        local: &Workload,
        request: &InboundRequest<'_>,
    ) -> Result<InboundRoute, InboundError> {
        resolve::inbound(&self.snapshots.load(), &self.shared.config, local, request)
    }

    async fn passthrough(
        &self,
        local: &Workload,
        peer: SocketAddr,
        destination: SocketAddr,
    ) -> Result<PassthroughRoute, ResolveError> {
        let config = &self.shared.config;
        resolve::passthrough(&self.snapshots.load(), config, local, peer, destination)
    }
}

impl fmt::Debug for MeshResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshResolver")
            .field("local", &self.shared.local)
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}
