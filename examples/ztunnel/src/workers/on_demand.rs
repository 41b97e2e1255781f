//! Resolution that asks the control plane for what it does not know yet (`XDS_ON_DEMAND`).

mod absent;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::authority::AuthorityHost;
use mesh_core::balance::Picked;
use mesh_core::model::{GatewayDestination, Workload};
use mesh_core::resolve::{
    HostnameTarget, InboundError, InboundRequest, InboundRoute, IpFamily, OutboundRequest,
    OutboundRoute, PassthroughRoute, ResolveError,
};
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::watch::Watch;
use mesh_hbone::proxy::{MeshResolver, NoLocalWorkload, Resolver};
use mesh_xds::ads::Demand;
use mesh_xds::delta::Answer;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::config::Settings;
use absent::Absent;

/// References that are followed from one destination: to its waypoint, and from there to a gateway.
const FETCHES: usize = 4;
/// The longest that one decision waits for the control plane, whatever it needs of it.
const TIME: Duration = Duration::from_secs(5);

/// Resolves by the mesh, after fetching what a decision needs.
///
/// A decision waits for the control plane for 5 s at most, and not at all for what is known. It is
/// made only when the control plane has said what there is, or that there is nothing: without an
/// answer, or with one that was rejected, the connection fails, since what is in the mesh must not
/// be taken for what is not.
/// Without a [`Demand`] nothing is fetched: the whole mesh is known.
#[derive(Clone, Debug)]
pub(super) struct OnDemandResolver {
    resolver: MeshResolver,
    mesh: Watch<MeshSnapshot>,
    demand: Option<Demand>,
    absent: Arc<Mutex<Absent>>,
    settings: Arc<Settings>,
}

/// Whether the control plane has a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fetched {
    /// It shows in the mesh.
    Found,
    NotFound,
}

/// Nothing is known, neither that there is something nor that there is nothing.
#[derive(Debug)]
enum Unknown {
    /// The control plane did not say in time, or nobody asks it any more.
    Unanswered(String),
    /// There is something, and what the control plane says about it was rejected.
    Rejected(String),
}

impl From<Unknown> for ResolveError {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Unanswered(reference) => Self::Unanswered {
                reference: reference.into(),
            },
            Unknown::Rejected(reference) => Self::Rejected {
                reference: reference.into(),
            },
        }
    }
}

impl From<Unknown> for HostnameTarget {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Unanswered(_) => Self::Unanswered,
            Unknown::Rejected(_) => Self::Rejected,
        }
    }
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
            absent: Arc::default(),
            settings,
        }
    }

    /// Asks for a resource by its name or alias.
    async fn ask(&self, name: String, until: Instant) -> Result<Fetched, Unknown> {
        let Some(demand) = &self.demand else {
            return Ok(Fetched::NotFound);
        };
        let answer = timeout_at(until, demand.resource(name.as_str())).await;
        tracing::debug!(name, ?answer, "fetched");
        match answer {
            Ok(Ok(Answer::Found)) => Ok(Fetched::Found),
            Ok(Ok(Answer::NotFound)) => Ok(Fetched::NotFound),
            Ok(Ok(Answer::Rejected)) => Err(Unknown::Rejected(name)),
            _ => Err(Unknown::Unanswered(name)),
        }
    }

    /// The same, which remembers for a while what there is not.
    async fn fetch(&self, name: String, until: Instant) -> Result<Fetched, Unknown> {
        if self.absent.lock().has(&name, Instant::now()) {
            return Ok(Fetched::NotFound);
        }
        let fetched = self.ask(name.clone(), until).await?;
        if fetched == Fetched::NotFound {
            self.absent.lock().add(name, Instant::now());
        }
        Ok(fetched)
    }

    /// Fetches what is at an address, unless it is known.
    async fn fetch_address(
        &self,
        network: &str,
        ip: IpAddr,
        until: Instant,
    ) -> Result<(), Unknown> {
        if !is_known(&self.mesh.load(), network, ip) {
            self.fetch(format!("{network}/{ip}"), until).await?;
        }
        Ok(())
    }

    /// Fetches what a destination refers to; nothing new comes of what is known already.
    async fn fetch_reference(
        &self,
        reference: &GatewayDestination,
        until: Instant,
    ) -> Result<Fetched, Unknown> {
        let mesh = self.mesh.load();
        let (is_known, name) = match reference {
            GatewayDestination::Address(at) => {
                (is_known(&mesh, &at.network, at.ip), at.to_string())
            }
            GatewayDestination::Hostname(name) => {
                let service = mesh.service(&name.namespace, &name.hostname);
                let known = service.is_some() || mesh.workload_by_hostname(name).is_some();
                (known, name.to_string())
            }
            _ => return Ok(Fetched::NotFound),
        };
        if is_known {
            return Ok(Fetched::NotFound);
        }
        self.fetch(name, until).await
    }
}

/// Whether the very address is known. A range around it says nothing about what is at it.
fn is_known(mesh: &MeshSnapshot, network: &str, ip: IpAddr) -> bool {
    mesh.workload_at(network, ip).is_some() || !mesh.services_at(network, ip).is_empty()
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
            let uid = format!("{cluster}//Pod/{}/{}", own.namespace, own.name);
            // Whatever comes of it: nothing is decided for a workload that is not known.
            let _ = self.ask(uid, Instant::now() + TIME).await;
        }
        self.resolver.local().await
    }

    async fn outbound(
        &self,
        local: &Workload,
        request: &OutboundRequest,
    ) -> Result<OutboundRoute, ResolveError> {
        if self.demand.is_none() {
            return self.resolver.outbound(local, request).await;
        }
        let until = Instant::now() + TIME;
        self.fetch_address(local.network(), request.destination.ip(), until)
            .await?;
        let mut fetches = 0;
        loop {
            let route = self.resolver.outbound(local, request).await;
            let missing = match &route {
                Err(ResolveError::UnknownWaypoint { waypoint, .. }) => waypoint,
                Err(ResolveError::UnknownNetworkGateway { gateway, .. }) => gateway,
                _ => return route,
            };
            if fetches >= FETCHES {
                return route;
            }
            fetches += 1;
            if self.fetch_reference(missing, until).await? == Fetched::NotFound {
                return route;
            }
        }
    }

    /// What it refers to has been fetched by then, as [`outbound`](Self::outbound) comes first; only a gateway of another
    /// network that the first choice did not need may be missing.
    async fn outbound_to(
        &self,
        local: &Workload,
        request: &OutboundRequest,
        chosen: Picked<'_>,
    ) -> Result<OutboundRoute, ResolveError> {
        let route = self.resolver.outbound_to(local, request, chosen).await;
        let Err(ResolveError::UnknownNetworkGateway { gateway, .. }) = &route else {
            return route;
        };
        let until = Instant::now() + TIME;
        match self.fetch_reference(gateway, until).await? {
            Fetched::Found => self.resolver.outbound_to(local, request, chosen).await,
            Fetched::NotFound => route,
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
        let key = format!("{}/{name}", namespace.unwrap_or(own));
        if let Err(unknown) = self.fetch(key, Instant::now() + TIME).await {
            return unknown.into();
        }
        self.resolver.hostname(local, &name, port, prefer).await
    }

    async fn inbound(
        &self,
        local: &Workload,
        request: &InboundRequest<'_>,
    ) -> Result<InboundRoute, InboundError> {
        let route = self.resolver.inbound(local, request).await;
        let Err(InboundError::UnknownService { .. }) = &route else {
            return route;
        };
        let AuthorityHost::Name(name) = request.authority.host() else {
            return route;
        };
        // Only what the workload itself belongs to: peers cannot make this proxy ask for anything.
        let own = local.services().map(|(key, _)| key);
        let Some(own) = own.into_iter().find(|key| key.hostname == *name) else {
            return route;
        };
        match self.fetch(own.to_string(), Instant::now() + TIME).await {
            Ok(Fetched::Found) => self.resolver.inbound(local, request).await,
            _ => route,
        }
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
