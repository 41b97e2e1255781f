//! Services.

use super::{
    GatewayAddress, NamespacedHostname, NetworkAddress, NetworkCidr, PortMap, WeightedWaypoint,
};
use crate::identity::SpiffeId;
use crate::name::Name;

/// Who may see a service.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Visibility {
    /// Everyone.
    #[default]
    Public,
    /// Clients of the service's own namespace.
    Namespace,
}

/// Which IP families a service is to be reached by.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum IpFamilies {
    /// Whatever the endpoints have.
    #[default]
    Automatic,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Dual,
}

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LoadBalancingMode {
    /// All endpoints equal.
    #[default]
    Standard,
    /// Only endpoints that match every routing preference.
    Strict,
    /// The endpoints that match the most leading routing preferences.
    Failover,
    /// No choice: the connection goes to its original destination.
    Passthrough,
}

/// A property that source and endpoint may share.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RoutingScope {
    /// Locality region.
    Region,
    /// Locality zone.
    Zone,
    /// Locality subzone.
    Subzone,
    /// Node.
    Node,
    /// Cluster.
    Cluster,
    /// Network.
    Network,
}

/// Whether unhealthy endpoints take part.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum HealthPolicy {
    /// Only healthy endpoints are chosen.
    #[default]
    OnlyHealthy,
    /// Unhealthy endpoints are chosen like healthy ones.
    AllowAll,
}

/// How connections to a service are spread over its endpoints.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct LoadBalancing {
    /// What to share with the source, most important first.
    pub routing_preferences: Vec<RoutingScope>,
    /// The mode.
    pub mode: LoadBalancingMode,
    /// Whether unhealthy endpoints take part.
    pub health_policy: HealthPolicy,
}

/// A service as a configuration source delivers it. The key is `namespace/hostname`.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct ServiceSpec {
    /// Kubernetes or ServiceEntry name.
    pub name: Name,
    /// Namespace.
    pub namespace: Name,
    /// Fully qualified host name.
    pub hostname: Name,
    /// Virtual IPs.
    pub vips: Vec<NetworkAddress>,
    /// Ranges of virtual IPs.
    pub cidr_vips: Vec<NetworkCidr>,
    /// Service ports and their target ports.
    pub ports: PortMap,
    /// Identities that any endpoint may have, beside its own.
    pub subject_alt_names: Vec<SpiffeId>,
    /// The waypoint that traffic to this service goes through.
    pub waypoint: Option<GatewayAddress>,
    /// Waypoints with shares; when their weights sum to 0, `waypoint` is used.
    pub weighted_waypoints: Vec<WeightedWaypoint>,
    /// How an endpoint is chosen; absent = all healthy endpoints equal.
    pub load_balancing: Option<LoadBalancing>,
    /// IP families.
    pub ip_families: IpFamilies,
    /// Whether this service wins over others with the same address or host name.
    pub canonical: bool,
    /// Who may see it.
    pub visibility: Visibility,
}

/// An immutable service.
#[derive(Debug)]
pub struct Service {
    spec: ServiceSpec,
    /// Place in the order of insertion; kept when the service is replaced.
    order: u64,
}

impl Service {
    /// A service outside a store, as tests need it.
    #[must_use]
    pub fn new(spec: ServiceSpec) -> Self {
        Self::numbered(spec, 0)
    }

    /// A service with its place in the order of insertion.
    pub(crate) fn numbered(spec: ServiceSpec, order: u64) -> Self {
        Self { spec, order }
    }

    pub(crate) fn order(&self) -> u64 {
        self.order
    }

    /// All that is known about the service, with the meaning of each field.
    #[must_use]
    pub fn spec(&self) -> &ServiceSpec {
        &self.spec
    }

    /// The key, `namespace/hostname`.
    #[must_use]
    pub fn key(&self) -> NamespacedHostname {
        NamespacedHostname::new(self.spec.namespace.clone(), self.spec.hostname.clone())
    }

    /// The load balancing mode; [`LoadBalancingMode::Standard`] when none is set.
    #[must_use]
    pub fn mode(&self) -> LoadBalancingMode {
        self.spec
            .load_balancing
            .as_ref()
            .map_or_else(Default::default, |lb| lb.mode)
    }
}
