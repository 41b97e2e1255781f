//! The shape of a local file, field by field.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use mesh_core::identity::{SpiffeId, TrustDomain};
use mesh_core::model::{GatewayDestination, NamespacedHostname, NetworkAddress};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::policy::Policy;
use super::value::{OptionalPort, PolicyKey, Port, Text};

/// Service ports and target ports; a target of 0 is a named port.
pub(super) type Ports = BTreeMap<Port, OptionalPort>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) workloads: Vec<Spanned<Workload>>,
    #[serde(default)]
    pub(super) services: Vec<Spanned<Service>>,
    #[serde(default)]
    pub(super) policies: Vec<Spanned<Policy>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Workload {
    pub(super) workload_ips: Vec<Text<IpAddr>>,
    pub(super) namespace: String,
    pub(super) services: BTreeMap<Text<NamespacedHostname>, Ports>,
    #[serde(default)]
    pub(super) uid: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default, deserialize_with = "trust_domain")]
    pub(super) trust_domain: Option<TrustDomain>,
    #[serde(default)]
    pub(super) service_account: String,
    #[serde(default)]
    pub(super) network: String,
    #[serde(default)]
    pub(super) workload_name: String,
    #[serde(default)]
    pub(super) workload_type: WorkloadType,
    #[serde(default)]
    pub(super) canonical_name: String,
    #[serde(default)]
    pub(super) canonical_revision: String,
    #[serde(default)]
    pub(super) hostname: String,
    #[serde(default)]
    pub(super) node: String,
    #[serde(default)]
    pub(super) cluster_id: String,
    #[serde(default)]
    pub(super) protocol: Protocol,
    #[serde(default)]
    pub(super) network_mode: NetworkMode,
    #[serde(default)]
    pub(super) native_tunnel: bool,
    pub(super) application_tunnel: Option<ApplicationTunnel>,
    pub(super) waypoint: Option<Gateway>,
    pub(super) network_gateway: Option<Gateway>,
    #[serde(default)]
    pub(super) authorization_policies: Vec<Text<PolicyKey>>,
    #[serde(default)]
    pub(super) status: Status,
    pub(super) locality: Option<Locality>,
    #[serde(default = "one")]
    pub(super) capacity: u32,
}

const fn one() -> u32 {
    1
}

/// An empty text counts as absent.
fn trust_domain<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<TrustDomain>, D::Error> {
    use super::value::FromText;
    let text = String::deserialize(deserializer)?;
    (!text.is_empty())
        .then(|| TrustDomain::from_text(&text).map_err(serde::de::Error::custom))
        .transpose()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) hostname: String,
    pub(super) vips: Vec<Text<NetworkAddress>>,
    #[serde(default)]
    pub(super) cidr_vips: Vec<CidrVip>,
    pub(super) ports: Ports,
    #[serde(default)]
    pub(super) endpoints: BTreeMap<String, Spanned<Endpoint>>,
    #[serde(default)]
    pub(super) subject_alt_names: Vec<Text<SpiffeId>>,
    pub(super) waypoint: Option<Gateway>,
    #[serde(default)]
    pub(super) weighted_waypoints: Vec<WeightedWaypoint>,
    pub(super) load_balancer: Option<LoadBalancer>,
    pub(super) ip_families: Option<IpFamilies>,
    #[serde(default)]
    pub(super) canonical: bool,
    #[serde(default)]
    pub(super) visibility: Visibility,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Endpoint {
    pub(super) workload_uid: String,
    #[serde(default)]
    pub(super) port: Ports,
    pub(super) status: Option<Status>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CidrVip {
    #[serde(default)]
    pub(super) network: String,
    pub(super) cidr: Text<IpNet>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Gateway {
    pub(super) destination: Text<GatewayDestination>,
    pub(super) hbone_mtls_port: Port,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WeightedWaypoint {
    pub(super) destination: Gateway,
    pub(super) weight: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplicationTunnel {
    pub(super) protocol: ApplicationProtocol,
    pub(super) port: Option<OptionalPort>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Locality {
    pub(super) region: String,
    pub(super) zone: String,
    pub(super) subzone: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LoadBalancer {
    pub(super) routing_preferences: Vec<RoutingScope>,
    pub(super) mode: Mode,
    pub(super) health_policy: HealthPolicy,
}

/// An enumeration of the file, its words, and the model's enumeration of the same variants.
macro_rules! words {
    ($($name:ident => $model:ident { $($variant:ident $(= $word:literal)?),+ $(,)? })+) => {$(
        #[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
        pub(super) enum $name {
            #[default]
            $($(#[serde(rename = $word)])? $variant),+
        }

        impl From<$name> for mesh_core::model::$model {
            fn from(word: $name) -> Self {
                match word { $($name::$variant => Self::$variant),+ }
            }
        }
    )+};
}

words! {
    Protocol => TunnelProtocol { None = "TCP", Hbone = "HBONE" }
    NetworkMode => NetworkMode { Standard, HostNetwork }
    ApplicationProtocol => ApplicationProtocol { None = "NONE", Proxy = "PROXY" }
    Status => WorkloadStatus { Healthy, Unhealthy }
    RoutingScope => RoutingScope { Region, Zone, Subzone, Node, Cluster, Network }
    Mode => LoadBalancingMode { Standard, Strict, Failover, Passthrough }
    HealthPolicy => HealthPolicy { OnlyHealthy, AllowAll }
    IpFamilies => IpFamilies { Dual, V4 = "IPv4", V6 = "IPv6" }
    Visibility => Visibility { Public, Namespace }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum WorkloadType {
    #[default]
    #[serde(alias = "", alias = "Deployment")]
    Deployment,
    #[serde(alias = "CronJob")]
    CronJob,
    #[serde(alias = "Pod")]
    Pod,
    #[serde(alias = "Job")]
    Job,
}

impl From<WorkloadType> for mesh_core::model::WorkloadType {
    fn from(word: WorkloadType) -> Self {
        match word {
            WorkloadType::Deployment => Self::Deployment,
            WorkloadType::CronJob => Self::CronJob,
            WorkloadType::Pod => Self::Pod,
            WorkloadType::Job => Self::Job,
        }
    }
}
