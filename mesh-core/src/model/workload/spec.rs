//! A workload as a configuration source delivers it.

use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::model::{GatewayAddress, NamespacedHostname, Network, PortMap};
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
