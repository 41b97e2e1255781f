//! Resolution that asks the control plane for what it does not know yet (`XDS_ON_DEMAND`).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_core::model::{GatewayDestination, Workload};
use mesh_core::resolve::{
    HostnameTarget, InboundError, InboundRequest, InboundRoute, IpFamily, OutboundRequest,
    OutboundRoute, PassthroughRoute, ResolveError,
};
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::watch::Watch;
use mesh_hbone::proxy::{MeshResolver, NoLocalWorkload, Resolver};
use mesh_xds::ads::Demand;

use crate::config::Settings;

/// References that are followed from one destination: to its waypoint, and from there to a gateway.
const FETCHES: usize = 4;

/// Resolves by the mesh, after fetching what a decision needs.
///
/// A decision waits for the answer of the control plane, for 5 s at most. Without a [`Demand`]
/// nothing is fetched: the whole mesh is known.
#[derive(Clone, Debug)]
pub(super) struct OnDemandResolver {
    resolver: MeshResolver,
    mesh: Watch<MeshSnapshot>,
    demand: Option<Demand>,
    settings: Arc<Settings>,
}

impl OnDemandResolver {
    pub(super) fn new(
        resolver: MeshResolver,
        mesh: Watch<MeshSnapshot>,
        demand: Option<Demand>,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            resolver,
            mesh,
            demand,
            settings,
        }
    }

    /// Fetches a resource by its name or alias; what comes of it shows in the mesh.
    async fn fetch(&self, name: String) {
        if let Some(demand) = &self.demand {
            let answer = demand.resource(name.as_str()).await;
            tracing::debug!(name, ?answer, "fetched");
        }
    }

    /// Fetches what is at an address, unless it is known.
    async fn fetch_address(&self, network: &str, ip: IpAddr) {
        if self.demand.is_some() && !is_known(&self.mesh.load(), network, ip) {
            self.fetch(format!("{network}/{ip}")).await;
        }
    }

    async fn fetch_reference(&self, reference: &GatewayDestination) {
        match reference {
            GatewayDestination::Address(address) => self.fetch(address.to_string()).await,
            GatewayDestination::Hostname(name) => self.fetch(name.to_string()).await,
            _ => {}
        }
    }
}

fn is_known(mesh: &MeshSnapshot, network: &str, ip: IpAddr) -> bool {
    mesh.workload_at(network, ip).is_some()
        || !mesh.services_at(network, ip).is_empty()
        || mesh.cidr_services_at(network, ip).next().is_some()
}

impl Resolver for OnDemandResolver {
    async fn local(&self) -> Result<Arc<Workload>, NoLocalWorkload> {
        let own = &self.settings.workload;
        let node = self.settings.node.as_deref();
        let is_known = || {
            let mesh = self.mesh.load();
            mesh.local_workload(&own.namespace, &own.name, &own.service_account, node)
                .is_some()
        };
        if self.demand.is_some() && !is_known() {
            let cluster = &self.settings.cluster_id;
            // The control plane's uid of a pod.
            self.fetch(format!("{cluster}//Pod/{}/{}", own.namespace, own.name))
                .await;
        }
        self.resolver.local().await
    }

    async fn outbound(
        &self,
        local: &Workload,
        request: &OutboundRequest,
    ) -> Result<OutboundRoute, ResolveError> {
        self.fetch_address(local.network(), request.destination.ip())
            .await;
        let mut fetches = 0;
        loop {
            let route = self.resolver.outbound(local, request).await;
            let missing = match &route {
                Err(ResolveError::UnknownWaypoint { waypoint, .. }) => waypoint,
                Err(ResolveError::UnknownNetworkGateway { gateway, .. }) => gateway,
                _ => return route,
            };
            if self.demand.is_none() || fetches >= FETCHES {
                return route;
            }
            fetches += 1;
            self.fetch_reference(missing).await;
        }
    }

    async fn hostname(
        &self,
        local: &Workload,
        name: &str,
        port: u16,
        prefer: IpFamily,
    ) -> HostnameTarget {
        let found = self.resolver.hostname(local, name, port, prefer).await;
        if found != HostnameTarget::Unknown || self.demand.is_none() {
            return found;
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        // `<service>.<namespace>.svc.<domain>` names its namespace, others are of the own.
        let mut labels = name.split('.').skip(1);
        let namespace = labels.next().filter(|_| labels.next() == Some("svc"));
        let own: &str = local.namespace().as_ref();
        self.fetch(format!("{}/{name}", namespace.unwrap_or(own)))
            .await;
        self.resolver.hostname(local, &name, port, prefer).await
    }

    async fn inbound(
        &self,
        local: &Workload,
        request: &InboundRequest<'_>,
    ) -> Result<InboundRoute, InboundError> {
        self.resolver.inbound(local, request).await
    }

    async fn passthrough(
        &self,
        local: &Workload,
        peer: SocketAddr,
        destination: SocketAddr,
    ) -> Result<PassthroughRoute, ResolveError> {
        self.resolver.passthrough(local, peer, destination).await
    }
}
