//! Resolution of connections that leave a local workload.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use super::gateway::{self, Gateway};
use super::lookup::{self, Found, View};
use super::trace::Untraced;
use super::{Hop, OutboundRequest, OutboundRoute, ResolveConfig, ResolveError};
use super::{RouteReason, Step, Trace, TunnelAuthority, attachment, endpoint::endpoint, guards};
use crate::authority::ConnectAuthority;
use crate::balance::{self, PickMode, Picked};
use crate::identity::ExpectedPeers;
use crate::model::{GatewayAddress, LoadBalancingMode, Service, Workload};
use crate::random::Random;
use crate::snapshot::MeshSnapshot;

/// Where a connection goes that leaves the local workload `source`.
///
/// A destination that the mesh does not know is passed through. Chance decides between weighted
/// waypoints and between endpoints.
///
/// ```
/// use mesh_core::model::{TunnelProtocol, WorkloadSpec};
/// use mesh_core::resolve::{Hop, OutboundRequest, ResolveConfig, outbound};
/// use mesh_core::store::MeshStore;
///
/// let pod = |name: &str, ip: &str| WorkloadSpec {
///     uid: name.into(),
///     namespace: "default".into(),
///     trust_domain: "cluster.local".into(),
///     service_account: name.into(),
///     ips: vec![ip.parse().unwrap()],
///     tunnel_protocol: TunnelProtocol::Hbone,
///     ..WorkloadSpec::default()
/// };
/// let store = MeshStore::new();
/// store.replace_all(vec![pod("client", "10.0.0.1"), pod("server", "10.0.0.2")], vec![]);
///
/// let mesh = store.snapshot();
/// let client = mesh.workload("client").unwrap();
/// let request = OutboundRequest::new("10.0.0.1".parse()?, "10.0.0.2:80".parse()?);
/// let route = outbound(&mesh, &ResolveConfig::new(), client, &request, &mut || 0)?;
/// assert!(matches!(route.hop, Hop::Hbone { to, .. } if to.port() == 15008));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ResolveError`] when the destination is known but cannot be reached, or is the proxy itself. The
/// connection is then to be dropped.
pub fn outbound(
    snapshot: &MeshSnapshot,
    config: &ResolveConfig,
    source: &Workload,
    request: &OutboundRequest,
    random: &mut dyn Random,
) -> Result<OutboundRoute, ResolveError> {
    outbound_traced(snapshot, config, source, request, random, &mut Untraced)
}

/// [`outbound`] for those who want to know why: `trace` hears of each step as it is taken.
///
/// The decision is made by the very same code.
///
/// # Errors
/// As [`outbound`].
pub fn outbound_traced<T: Trace>(
    snapshot: &MeshSnapshot,
    config: &ResolveConfig,
    source: &Workload,
    request: &OutboundRequest,
    random: &mut dyn Random,
    trace: &mut T,
) -> Result<OutboundRoute, ResolveError> {
    let resolution = Resolution {
        snapshot,
        config,
        source,
        request,
        chosen: None,
        random,
        trace,
    };
    resolution.run()
}

/// [`outbound`] for those who choose endpoints of services by themselves, as by a traffic policy.
///
/// Where [`outbound`] would choose one of the endpoints of a service ([`RouteReason::ServiceEndpoint`]), `chosen` is
/// taken, which must be an endpoint of that service. Everything else is decided as ever: what leads through
/// a waypoint does so whatever is chosen.
///
/// # Errors
/// As [`outbound`].
pub fn outbound_to(
    snapshot: &MeshSnapshot,
    config: &ResolveConfig,
    source: &Workload,
    request: &OutboundRequest,
    chosen: Picked<'_>,
    random: &mut dyn Random,
) -> Result<OutboundRoute, ResolveError> {
    let resolution = Resolution {
        snapshot,
        config,
        source,
        request,
        chosen: Some(chosen),
        random,
        trace: &mut Untraced,
    };
    resolution.run()
}

/// The next hop to an endpoint of another network, for those who choose endpoints of services by themselves: HBONE to what
/// the network's gateway chooses for the service, inside of HBONE to the gateway. Of several instances of the
/// gateway one is taken by chance.
///
/// `port` is that of the service, which the gateway is asked for by name.
///
/// # Errors
/// [`ResolveError`] when there is no gateway, or nothing says who may be behind it.
pub fn across_networks(
    snapshot: &MeshSnapshot,
    config: &ResolveConfig,
    source: &Workload,
    (service, port): (&Arc<Service>, NonZeroU16),
    endpoint: &Arc<Workload>,
    random: &mut dyn Random,
) -> Result<Hop, ResolveError> {
    let ip = source.ips().first().copied();
    let ip = ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let request = OutboundRequest::new(ip, SocketAddr::new(ip, port.get()));
    let mut resolution = Resolution {
        snapshot,
        config,
        source,
        request: &request,
        chosen: None,
        random,
        trace: &mut Untraced,
    };
    let behind = (endpoint, Some(service));
    let route = resolution.across_networks(service, behind, RouteReason::ServiceEndpoint)?;
    Ok(route.hop)
}

/// What all steps of one decision share.
struct Resolution<'a, 'r, T> {
    snapshot: &'a MeshSnapshot,
    config: &'a ResolveConfig,
    source: &'a Workload,
    request: &'a OutboundRequest,
    /// The endpoint to take where one is to be chosen.
    chosen: Option<Picked<'a>>,
    random: &'r mut dyn Random,
    trace: &'r mut T,
}

impl<'a, T: Trace> Resolution<'a, '_, T> {
    fn run(mut self) -> Result<OutboundRoute, ResolveError> {
        let (source, destination) = (self.source, self.request.destination);
        guards::outbound_destination(self.config, source, destination)?;
        let view = View::Namespace(source.namespace());
        let route = match lookup::at(self.snapshot, source.network(), destination.ip(), view) {
            Some(Found::Service(service)) => self.addressed_service(service),
            Some(Found::Workload(workload)) => self.addressed_workload(workload),
            None => {
                self.trace.step(Step::UnknownDestination);
                Ok(self.passthrough(None, RouteReason::UnknownDestination))
            }
        }?;
        guards::outbound_hop(self.config, source, &route.hop)?;
        Ok(route)
    }

    fn addressed_service(
        &mut self,
        service: &'a Arc<Service>,
    ) -> Result<OutboundRoute, ResolveError> {
        self.trace.step(Step::Service(service));
        if let Some(waypoint) = gateway::pick_waypoint(service.spec(), self.random) {
            let own = attachment::is_waypoint_of(self.snapshot, service, self.source);
            if !self.is_behind(waypoint, own) {
                return self.via_service_waypoint(service, waypoint);
            }
        }
        if service.mode() == LoadBalancingMode::Passthrough {
            return Ok(self.passthrough(Some(service), RouteReason::PassthroughService));
        }
        let port = self.request.destination.port();
        let mode = PickMode::Standard;
        let picked = self.chosen.or_else(|| {
            let endpoints = self.snapshot.endpoints(service);
            balance::pick(service, endpoints, self.source, port, mode, self.random)
        });
        self.trace.step(Step::Endpoint {
            service,
            port,
            mode,
            picked,
        });
        let picked = picked.ok_or_else(|| ResolveError::NoHealthyUpstream {
            service: service.key(),
            port,
        })?;
        if picked.workload.network() != self.source.network() {
            let behind = (picked.workload, Some(service));
            return self.across_networks(service, behind, RouteReason::ServiceEndpoint);
        }
        self.direct(picked.workload, picked.port, Some(service))
    }

    fn addressed_workload(
        &mut self,
        workload: &'a Arc<Workload>,
    ) -> Result<OutboundRoute, ResolveError> {
        self.trace.step(Step::Workload(workload));
        if let Some(waypoint) = workload.waypoint() {
            let own = attachment::leads_to(self.snapshot, waypoint, self.source);
            if !self.is_behind(waypoint, own) {
                return self.via_workload_waypoint(workload, waypoint);
            }
        }
        self.direct(workload, self.request.destination.port(), None)
    }

    /// Whether the source goes to what is behind the waypoint, which it may be.
    fn is_behind(&mut self, reference: &GatewayAddress, is_waypoint: bool) -> bool {
        let is_source = guards::is_behind(self.source, self.request.source_ip, is_waypoint);
        self.trace.step(Step::Waypoint {
            reference,
            is_source,
        });
        is_source
    }

    fn via_service_waypoint(
        &mut self,
        service: &'a Arc<Service>,
        reference: &GatewayAddress,
    ) -> Result<OutboundRoute, ResolveError> {
        let waypoint = self.waypoint(reference, || service.key().to_string())?;
        let reason = RouteReason::ServiceWaypoint;
        if waypoint.workload.network() != self.source.network() {
            let behind = (waypoint.workload, waypoint.service);
            return self.across_networks(service, behind, reason);
        }
        self.through(&waypoint, Some(service), reason)
    }

    fn via_workload_waypoint(
        &mut self,
        workload: &Workload,
        reference: &GatewayAddress,
    ) -> Result<OutboundRoute, ResolveError> {
        let waypoint = self.waypoint(reference, || workload.uid().to_owned())?;
        if waypoint.workload.network() != self.source.network() {
            // A gateway finds what is behind it by the name of a service, and there is none here.
            return Err(ResolveError::RemoteWorkload {
                workload: waypoint.workload.uid().into(),
            });
        }
        self.through(&waypoint, None, RouteReason::WorkloadWaypoint)
    }

    fn waypoint(
        &mut self,
        reference: &GatewayAddress,
        of: impl FnOnce() -> String,
    ) -> Result<Gateway<'a>, ResolveError> {
        let ip = self.request.destination.ip();
        self.gateway(reference, ip, PickMode::Waypoint)
            .ok_or_else(|| ResolveError::UnknownWaypoint {
                waypoint: Box::new(reference.destination.clone()),
                of: of().into(),
            })
    }

    fn gateway(
        &mut self,
        reference: &GatewayAddress,
        original: IpAddr,
        mode: PickMode,
    ) -> Option<Gateway<'a>> {
        let (snapshot, source) = (self.snapshot, self.source);
        let random = &mut *self.random;
        gateway::resolve(
            snapshot, source, reference, original, mode, random, self.trace,
        )
    }

    /// Through a waypoint of the same network: it is asked for the original destination.
    fn through(
        &self,
        waypoint: &Gateway<'_>,
        service: Option<&Arc<Service>>,
        reason: RouteReason,
    ) -> Result<OutboundRoute, ResolveError> {
        let destination = self.request.destination;
        if waypoint.workload.uid() == self.source.uid() {
            return Err(ResolveError::RecursiveCall { destination });
        }
        let authority = ConnectAuthority::try_from(destination)
            .map_err(|_| ResolveError::InvalidDestination { destination })?;
        let hop = Hop::Hbone {
            to: waypoint.address(self.config)?,
            authority: TunnelAuthority::Is(authority),
            expected: waypoint.expected()?,
        };
        Ok(route(hop, service, Some(waypoint.workload), reason))
    }

    /// Through the gateway of another network: it is asked for the service by name.
    fn across_networks(
        &mut self,
        service: &Arc<Service>,
        (upstream, upstream_service): (&Arc<Workload>, Option<&Arc<Service>>),
        reason: RouteReason,
    ) -> Result<OutboundRoute, ResolveError> {
        let destination = self.request.destination;
        let uid = || upstream.uid().into();
        let reference = upstream
            .network_gateway()
            .ok_or_else(|| ResolveError::NoNetworkGateway { workload: uid() })?;
        self.trace.step(Step::NetworkGateway {
            upstream,
            reference,
        });
        let gateway = self
            .gateway(reference, destination.ip(), PickMode::Standard)
            .ok_or_else(|| ResolveError::UnknownNetworkGateway {
                gateway: Box::new(reference.destination.clone()),
                of: uid(),
            })?;
        // The far gateway chooses the endpoint, so it may be any that the service names, and not just
        // the one that stands for the other network here.
        let expected = upstream_service
            .and_then(|s| ExpectedPeers::new(s.spec().subject_alt_names.iter().cloned()))
            .ok_or_else(|| ResolveError::NoRemoteIdentity {
                service: upstream_service.unwrap_or(service).key().to_string().into(),
            })?;
        let port = NonZeroU16::new(destination.port())
            .ok_or(ResolveError::InvalidDestination { destination })?;
        let authority =
            ConnectAuthority::from_name(&service.spec().hostname, port).map_err(|_| {
                ResolveError::InvalidHostname {
                    service: service.key(),
                }
            })?;
        let hop = Hop::DoubleHbone {
            gateway: gateway.address(self.config)?,
            gateway_expected: gateway.expected()?,
            authority,
            expected,
        };
        let mut route = route(hop, Some(service), Some(upstream), reason);
        route.gateway = Some(Arc::clone(gateway.workload));
        Ok(route)
    }

    /// To a workload of the same network.
    fn direct(
        &self,
        workload: &Arc<Workload>,
        port: u16,
        service: Option<&Arc<Service>>,
    ) -> Result<OutboundRoute, ResolveError> {
        let destination = self.request.destination;
        let port = NonZeroU16::new(port).ok_or(ResolveError::InvalidDestination { destination })?;
        let service_ref = service.map(Arc::as_ref);
        let hop = endpoint(self.config, workload, service_ref, destination.ip(), port)?;
        let reason = match service {
            Some(_) => RouteReason::ServiceEndpoint,
            None => RouteReason::Workload,
        };
        Ok(route(hop, service, Some(workload), reason))
    }

    fn passthrough(&self, service: Option<&Arc<Service>>, reason: RouteReason) -> OutboundRoute {
        let to = self.request.destination;
        route(Hop::Passthrough { to }, service, None, reason)
    }
}

fn route(
    hop: Hop,
    service: Option<&Arc<Service>>,
    destination: Option<&Arc<Workload>>,
    reason: RouteReason,
) -> OutboundRoute {
    OutboundRoute {
        hop,
        service: service.cloned(),
        destination: destination.cloned(),
        gateway: None,
        reason,
    }
}
