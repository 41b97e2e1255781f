//! A small mesh to resolve in, and routes as text.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use mesh_core::identity::ExpectedPeers;
use mesh_core::model::{
    ApplicationProtocol, ApplicationTunnel, GatewayAddress, GatewayDestination, LoadBalancing,
    LoadBalancingMode, NamespacedHostname, NetworkAddress, NetworkCidr, ServiceSpec,
    TunnelProtocol, WeightedWaypoint, Workload, WorkloadSpec,
};
use mesh_core::resolve::{
    Hop, HopAddress, OutboundRequest, OutboundRoute, ResolveConfig, ResolveError, TunnelAuthority,
    outbound,
};
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::store::MeshStore;

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A pod of namespace `default` with HBONE, whose service account has its name.
pub(crate) fn pod(name: &str, ips: &[&str]) -> WorkloadSpec {
    WorkloadSpec {
        uid: format!("cluster1//Pod/default/{name}").into(),
        name: name.into(),
        namespace: "default".into(),
        trust_domain: "cluster.local".into(),
        service_account: name.into(),
        ips: ips.iter().map(|text| ip(text)).collect(),
        tunnel_protocol: TunnelProtocol::Hbone,
        node: "node1".into(),
        ..WorkloadSpec::default()
    }
}

/// The same without HBONE.
pub(crate) fn tcp_pod(name: &str, ips: &[&str]) -> WorkloadSpec {
    WorkloadSpec {
        tunnel_protocol: TunnelProtocol::None,
        ..pod(name, ips)
    }
}

/// A service of namespace `default` named `<name>.default`, port 80 to 8080 and 15008 to 15008.
pub(crate) fn service(name: &str, vips: &[&str]) -> ServiceSpec {
    ServiceSpec {
        name: name.into(),
        namespace: "default".into(),
        hostname: format!("{name}.default").into(),
        vips: vips
            .iter()
            .map(|vip| NetworkAddress::new("", ip(vip)))
            .collect(),
        ports: [(80, 8080), (15008, 15008)].into_iter().collect(),
        ..ServiceSpec::default()
    }
}

/// Changes to a workload, for tables that read as sentences.
pub(crate) trait WorkloadSpecExt: Sized {
    /// An endpoint of a service of namespace `default`, with its own ports.
    fn of(self, service: &str, ports: &[(u16, u16)]) -> Self;
    fn network(self, network: &str) -> Self;
    fn namespace(self, namespace: &str) -> Self;
    fn waypoint(self, waypoint: GatewayAddress) -> Self;
    fn gateway(self, gateway: GatewayAddress) -> Self;
    fn tunnel(self, protocol: ApplicationProtocol, port: u16) -> Self;
    fn with(self, change: impl FnOnce(&mut WorkloadSpec)) -> Self;
}

impl WorkloadSpecExt for WorkloadSpec {
    fn of(mut self, service: &str, ports: &[(u16, u16)]) -> Self {
        let key = NamespacedHostname::new("default", format!("{service}.default"));
        self.services.push((key, ports.iter().copied().collect()));
        self
    }
    fn network(mut self, network: &str) -> Self {
        self.network = network.into();
        self
    }
    fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = namespace.into();
        self
    }
    fn waypoint(mut self, waypoint: GatewayAddress) -> Self {
        self.waypoint = Some(waypoint);
        self
    }
    fn gateway(mut self, gateway: GatewayAddress) -> Self {
        self.network_gateway = Some(gateway);
        self
    }
    fn tunnel(mut self, protocol: ApplicationProtocol, port: u16) -> Self {
        self.application_tunnel = Some(ApplicationTunnel {
            protocol,
            port: NonZeroU16::new(port),
        });
        self
    }
    fn with(mut self, change: impl FnOnce(&mut WorkloadSpec)) -> Self {
        change(&mut self);
        self
    }
}

/// Changes to a service.
pub(crate) trait ServiceSpecExt: Sized {
    fn waypoint(self, waypoint: GatewayAddress) -> Self;
    fn weighted(self, waypoints: &[(GatewayAddress, u32)]) -> Self;
    fn passthrough(self) -> Self;
    fn sans(self, accounts: &[&str]) -> Self;
    fn ports(self, ports: &[(u16, u16)]) -> Self;
    fn cidr(self, network: &str, cidr: &str) -> Self;
    fn namespace(self, namespace: &str) -> Self;
    fn with(self, change: impl FnOnce(&mut ServiceSpec)) -> Self;
}

impl ServiceSpecExt for ServiceSpec {
    fn waypoint(mut self, waypoint: GatewayAddress) -> Self {
        self.waypoint = Some(waypoint);
        self
    }
    fn weighted(mut self, waypoints: &[(GatewayAddress, u32)]) -> Self {
        let weighted = |(waypoint, weight): &(GatewayAddress, u32)| WeightedWaypoint {
            waypoint: waypoint.clone(),
            weight: *weight,
        };
        self.weighted_waypoints = waypoints.iter().map(weighted).collect();
        self
    }
    fn passthrough(mut self) -> Self {
        self.load_balancing = Some(LoadBalancing {
            mode: LoadBalancingMode::Passthrough,
            ..LoadBalancing::default()
        });
        self
    }
    fn sans(mut self, accounts: &[&str]) -> Self {
        let id = |sa: &&str| format!("spiffe://cluster.local/ns/default/sa/{sa}").parse();
        self.subject_alt_names = accounts.iter().map(|sa| id(sa).unwrap()).collect();
        self
    }
    fn ports(mut self, ports: &[(u16, u16)]) -> Self {
        self.ports = ports.iter().copied().collect();
        self
    }
    fn cidr(mut self, network: &str, cidr: &str) -> Self {
        let cidr = cidr.parse().unwrap();
        self.cidr_vips.push(NetworkCidr {
            network: network.into(),
            cidr,
        });
        self
    }
    fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = namespace.into();
        self
    }
    fn with(mut self, change: impl FnOnce(&mut ServiceSpec)) -> Self {
        change(&mut self);
        self
    }
}

/// A reference by address on the default network, port 15008.
pub(crate) fn by_ip(text: &str) -> GatewayAddress {
    by_ip_on("", text, 15008)
}

pub(crate) fn by_ip_on(network: &str, text: &str, port: u16) -> GatewayAddress {
    GatewayAddress {
        destination: GatewayDestination::Address(NetworkAddress::new(network, ip(text))),
        hbone_mtls_port: port,
    }
}

/// A reference by host name of namespace `default`, port 15008.
pub(crate) fn by_name(hostname: &str) -> GatewayAddress {
    by_name_at(hostname, 15008)
}

pub(crate) fn by_name_at(hostname: &str, port: u16) -> GatewayAddress {
    let name = NamespacedHostname::new("default", hostname);
    GatewayAddress {
        destination: GatewayDestination::Hostname(name),
        hbone_mtls_port: port,
    }
}

pub(crate) fn snapshot(
    workloads: Vec<WorkloadSpec>,
    services: Vec<ServiceSpec>,
) -> Arc<MeshSnapshot> {
    let store = MeshStore::new();
    store.replace_all(workloads, services);
    store.snapshot()
}

/// A mesh and the workload in it that dials: `client`, 10.1.0.1 and fd00::1.
pub(crate) struct Mesh {
    pub(crate) snapshot: Arc<MeshSnapshot>,
    pub(crate) config: ResolveConfig,
    source: String,
}

pub(crate) fn client() -> WorkloadSpec {
    pod("client", &["10.1.0.1", "fd00::1"])
}

impl Mesh {
    pub(crate) fn new(mut workloads: Vec<WorkloadSpec>, services: Vec<ServiceSpec>) -> Self {
        workloads.push(client());
        Self {
            snapshot: snapshot(workloads, services),
            config: ResolveConfig::new(),
            source: client().uid.to_string(),
        }
    }

    /// The same mesh, dialled from another workload of it.
    pub(crate) fn from(self, name: &str) -> Self {
        let source = format!("cluster1//Pod/default/{name}");
        Self { source, ..self }
    }

    /// The workload that dials.
    pub(crate) fn source(&self) -> &Arc<Workload> {
        self.snapshot.workload(&self.source).unwrap()
    }

    /// Resolves with the first of all random choices, or the last for `u64::MAX`.
    pub(crate) fn resolve(&self, to: &str, random: u64) -> Result<OutboundRoute, ResolveError> {
        let source = self.source();
        let request = OutboundRequest::new(source.ips()[0], addr(to));
        outbound(&self.snapshot, &self.config, source, &request, &mut || {
            random
        })
    }

    /// The hop as text.
    pub(crate) fn hop(&self, to: &str) -> String {
        show(self.resolve(to, 0))
    }
}

/// `protocol address [for authority] [as identities]`, or the error.
pub(crate) fn show(route: Result<OutboundRoute, ResolveError>) -> String {
    match route.map(|route| route.hop) {
        Err(error) => format!("error: {error}"),
        Ok(Hop::Passthrough { to }) => format!("passthrough {to}"),
        Ok(Hop::Tcp { to }) => format!("tcp {}", show_address(&to)),
        Ok(Hop::Hbone {
            to,
            authority,
            expected,
        }) => {
            let authority = match authority {
                TunnelAuthority::Is(authority) => authority.to_string(),
                TunnelAuthority::OfDialledIp(port) => format!("*:{port}"),
            };
            format!(
                "hbone {} for {authority} as {}",
                show_address(&to),
                show_peers(&expected)
            )
        }
        Ok(Hop::DoubleHbone {
            gateway,
            gateway_expected,
            authority,
            expected,
        }) => format!(
            "double {} as {} for {authority} as {}",
            show_address(&gateway),
            show_peers(&gateway_expected),
            show_peers(&expected),
        ),
    }
}

fn show_address(address: &HopAddress) -> String {
    match address {
        HopAddress::Ip(address) => address.to_string(),
        HopAddress::Hostname { name, port, prefer } => format!("{name}:{port} ({prefer:?})"),
    }
}

/// Service accounts.
fn show_peers(peers: &ExpectedPeers) -> String {
    let accounts: Vec<_> = peers
        .iter()
        .map(|id| id.service_account().as_str())
        .collect();
    accounts.join("+")
}
