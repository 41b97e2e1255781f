//! Workloads.

use std::net::IpAddr;
use std::num::NonZeroU16;

use super::{GatewayAddress, NamespacedHostname, Network, PortMap};
use crate::identity::{SpiffeId, TrustDomain};
use crate::name::Name;

/// How a workload is reached.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TunnelProtocol {
    /// Plain TCP.
    #[default]
    None,
    /// HBONE on port 15008.
    Hbone,
    /// Istio sidecar mutual TLS, which a node proxy treats as plain TCP.
    LegacyIstioMtls,
}

/// The network namespace that a workload lives in.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NetworkMode {
    /// Its own.
    #[default]
    Standard,
    /// The node's: its addresses say nothing about who it is and are not indexed.
    HostNetwork,
}

/// Whether a workload takes new connections.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WorkloadStatus {
    /// It does.
    #[default]
    Healthy,
    /// It does not, unless the service's health policy allows all.
    Unhealthy,
}

/// The kind of object that owns a workload.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WorkloadType {
    /// Deployment.
    #[default]
    Deployment,
    /// CronJob.
    CronJob,
    /// Pod.
    Pod,
    /// Job.
    Job,
}

impl WorkloadType {
    /// The lower-case word used in baggage: `deployment`, `cronjob`, `pod` or `job`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::CronJob => "cronjob",
            Self::Pod => "pod",
            Self::Job => "job",
        }
    }
}

/// How the node proxy hands connections to a local workload that is itself a proxy.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ApplicationProtocol {
    /// Plain bytes.
    #[default]
    None,
    /// Bytes behind a PROXY protocol version 2 header.
    Proxy,
}

/// A tunnel from the node proxy into a local workload, such as a waypoint.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct ApplicationTunnel {
    /// What is sent before the application bytes.
    pub protocol: ApplicationProtocol,
    /// The port to connect to in place of the requested one.
    pub port: Option<NonZeroU16>,
}

/// Where a workload runs.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct Locality {
    /// Region.
    pub region: Name,
    /// Zone.
    pub zone: Name,
    /// Subzone.
    pub subzone: Name,
}

/// A workload as a configuration source delivers it. The key is `uid`.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct WorkloadSpec {
    /// Unique id, such as `Kubernetes//Pod/default/web-1`.
    pub uid: Name,
    /// Pod name.
    pub name: Name,
    /// Namespace.
    pub namespace: Name,
    /// Trust domain.
    pub trust_domain: Name,
    /// Service account.
    pub service_account: Name,
    /// Network.
    pub network: Network,
    /// IP addresses.
    pub ips: Vec<IpAddr>,
    /// Host name to look up when there are no addresses.
    pub hostname: Name,
    /// How it is reached.
    pub tunnel_protocol: TunnelProtocol,
    /// Its network namespace.
    pub network_mode: NetworkMode,
    /// Whether it speaks HBONE itself.
    pub native_tunnel: bool,
    /// The waypoint for traffic that is addressed to the workload itself.
    pub waypoint: Option<GatewayAddress>,
    /// The gateway of its network.
    pub network_gateway: Option<GatewayAddress>,
    /// Node.
    pub node: Name,
    /// Canonical name, for telemetry.
    pub canonical_name: Name,
    /// Canonical revision, for telemetry.
    pub canonical_revision: Name,
    /// Kind of owner.
    pub workload_type: WorkloadType,
    /// Name of the owner, such as the deployment.
    pub workload_name: Name,
    /// Keys of the policies that select it, `namespace/name`.
    pub authorization_policies: Vec<Name>,
    /// Whether it takes new connections.
    pub status: WorkloadStatus,
    /// Cluster id.
    pub cluster_id: Name,
    /// The services that it is an endpoint of, with its own port mapping for each.
    pub services: Vec<(NamespacedHostname, PortMap)>,
    /// Tunnel into the workload.
    pub application_tunnel: Option<ApplicationTunnel>,
    /// Where it runs.
    pub locality: Locality,
    /// Share of the connections relative to other endpoints; 0 = none. Default 1.
    pub capacity: u32,
}

impl Default for WorkloadSpec {
    fn default() -> Self {
        Self {
            uid: Name::default(),
            name: Name::default(),
            namespace: Name::default(),
            trust_domain: Name::default(),
            service_account: Name::default(),
            network: Network::default(),
            ips: Vec::new(),
            hostname: Name::default(),
            tunnel_protocol: TunnelProtocol::default(),
            network_mode: NetworkMode::default(),
            native_tunnel: false,
            waypoint: None,
            network_gateway: None,
            node: Name::default(),
            canonical_name: Name::default(),
            canonical_revision: Name::default(),
            workload_type: WorkloadType::default(),
            workload_name: Name::default(),
            authorization_policies: Vec::new(),
            status: WorkloadStatus::default(),
            cluster_id: Name::default(),
            services: Vec::new(),
            application_tunnel: None,
            locality: Locality::default(),
            capacity: 1,
        }
    }
}

/// An immutable workload.
#[derive(Debug)]
pub struct Workload {
    spec: WorkloadSpec,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $($(#[$doc])* #[must_use] pub fn $name(&self) -> &Name { &self.spec.$name })*
    };
}

impl Workload {
    /// A workload outside a store, as tests need it.
    #[must_use]
    pub fn new(spec: WorkloadSpec) -> Self {
        Self { spec }
    }

    names! {
        /// Namespace.
        namespace,
        /// Trust domain; may be empty when the source gave none.
        trust_domain,
        /// Service account.
        service_account,
        /// Network.
        network,
        /// Host name to look up when there are no addresses.
        hostname,
        /// Node.
        node,
        /// Canonical name.
        canonical_name,
        /// Canonical revision.
        canonical_revision,
        /// Name of the owner.
        workload_name,
        /// Cluster id.
        cluster_id,
    }

    /// Pod name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Unique id.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.spec.uid
    }

    /// The identity; `None` when its parts do not form a SPIFFE ID.
    #[must_use]
    pub fn identity(&self) -> Option<SpiffeId> {
        let domain: TrustDomain = self.spec.trust_domain.parse().ok()?;
        SpiffeId::new(domain, &self.spec.namespace, &self.spec.service_account).ok()
    }

    /// IP addresses.
    #[must_use]
    pub fn ips(&self) -> &[IpAddr] {
        &self.spec.ips
    }

    /// How it is reached.
    #[must_use]
    pub fn tunnel_protocol(&self) -> TunnelProtocol {
        self.spec.tunnel_protocol
    }

    /// Its network namespace.
    #[must_use]
    pub fn network_mode(&self) -> NetworkMode {
        self.spec.network_mode
    }

    /// Whether it speaks HBONE itself.
    #[must_use]
    pub fn native_tunnel(&self) -> bool {
        self.spec.native_tunnel
    }

    /// The waypoint for traffic that is addressed to the workload itself.
    #[must_use]
    pub fn waypoint(&self) -> Option<&GatewayAddress> {
        self.spec.waypoint.as_ref()
    }

    /// The gateway of its network.
    #[must_use]
    pub fn network_gateway(&self) -> Option<&GatewayAddress> {
        self.spec.network_gateway.as_ref()
    }

    /// Kind of owner.
    #[must_use]
    pub fn workload_type(&self) -> WorkloadType {
        self.spec.workload_type
    }

    /// Keys of the policies that select it.
    #[must_use]
    pub fn authorization_policies(&self) -> &[Name] {
        &self.spec.authorization_policies
    }

    /// Whether it takes new connections.
    #[must_use]
    pub fn status(&self) -> WorkloadStatus {
        self.spec.status
    }

    /// The services that it is an endpoint of, with its own port mapping for each.
    pub fn services(&self) -> impl Iterator<Item = (&NamespacedHostname, &PortMap)> + '_ {
        self.spec
            .services
            .iter()
            .map(|(service, ports)| (service, ports))
    }

    /// Its own port mapping for a service; `None` when it is no endpoint of that service.
    #[must_use]
    pub fn ports_for(&self, service: &NamespacedHostname) -> Option<&PortMap> {
        self.services()
            .find_map(|(key, ports)| (key == service).then_some(ports))
    }

    /// Tunnel into the workload.
    #[must_use]
    pub fn application_tunnel(&self) -> Option<ApplicationTunnel> {
        self.spec.application_tunnel
    }

    /// Where it runs.
    #[must_use]
    pub fn locality(&self) -> &Locality {
        &self.spec.locality
    }

    /// Share of the connections relative to other endpoints; 0 = none.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.spec.capacity
    }
}
