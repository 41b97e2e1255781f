//! The compact, immutable form of a workload.
//!
//! Of what is known about a workload little is its own: unique id, name, addresses, health. The
//! rest it has in common with the others of its deployment ([`Profile`]) or of its node
//! ([`Place`]). A store keeps one of each and lets all workloads point to it.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use super::{
    ApplicationTunnel, Locality, NetworkMode, TunnelProtocol, WorkloadSpec, WorkloadStatus,
    WorkloadType,
};
use crate::identity::SpiffeId;
use crate::model::{
    GatewayAddress, GatewayDestination, NamespacedHostname, Network, PortMap, RoutingScope,
};
use crate::name::Name;

mod accessors;

/// An immutable workload.
pub struct Workload {
    /// Shared with the source of configuration that knows the workload by it.
    uid: Name,
    profile: Arc<Profile>,
    place: Arc<Place>,
    own: Own,
}

const _: () = assert!(size_of::<Workload>() == 56);

/// What fits beside the addresses without making the record longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Small {
    /// Length of the pod name at the end of the unique id; 0 = it is in the profile.
    name_len: u16,
    status: WorkloadStatus,
}

/// What the workloads of one deployment have in common.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Profile {
    /// The pod name where the unique id does not end with it: then the profile is not shared.
    name: Name,
    namespace: Name,
    trust_domain: Name,
    service_account: Name,
    hostname: Name,
    canonical_name: Name,
    canonical_revision: Name,
    workload_name: Name,
    workload_type: WorkloadType,
    tunnel_protocol: TunnelProtocol,
    network_mode: NetworkMode,
    native_tunnel: bool,
    waypoint: Option<GatewayAddress>,
    network_gateway: Option<GatewayAddress>,
    authorization_policies: Box<[Name]>,
    services: Box<[(NamespacedHostname, PortMap)]>,
    application_tunnel: Option<ApplicationTunnel>,
    capacity: u32,
    identity: Identity,
}

/// The identity, which follows from other fields: it takes no part in comparisons, so that a
/// profile is recognised before it is built.
#[derive(Clone, Debug, Default)]
struct Identity(Option<SpiffeId>);

impl PartialEq for Identity {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Where workloads run.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Place {
    network: Network,
    cluster_id: Name,
    node: Name,
    locality: Locality,
}

/// What no other workload shares, beside the unique id. One IP address needs no memory of its own.
#[derive(Debug, Eq, PartialEq)]
enum Own {
    OneIp(IpAddr, Small),
    Ips(Box<[IpAddr]>, Small),
}

impl Own {
    fn new(ips: &[IpAddr], small: Small) -> Self {
        let ips: Vec<_> = ips.iter().map(IpAddr::to_canonical).collect();
        match ips.as_slice() {
            [ip] => Self::OneIp(*ip, small),
            _ => Self::Ips(ips.into(), small),
        }
    }

    fn ips(&self) -> &[IpAddr] {
        match self {
            Self::OneIp(ip, _) => std::slice::from_ref(ip),
            Self::Ips(ips, _) => ips,
        }
    }

    fn small(&self) -> Small {
        let (Self::OneIp(_, small) | Self::Ips(_, small)) = self;
        *small
    }
}

impl Place {
    /// The property that a scope compares.
    pub(crate) fn scope(&self, scope: RoutingScope) -> &Name {
        match scope {
            RoutingScope::Region => &self.locality.region,
            RoutingScope::Zone => &self.locality.zone,
            RoutingScope::Subzone => &self.locality.subzone,
            RoutingScope::Node => &self.node,
            RoutingScope::Cluster => &self.cluster_id,
            RoutingScope::Network => &self.network,
        }
    }

    /// Every name in it, to be replaced by an equal one.
    pub(crate) fn each_name(&mut self, visit: &mut dyn FnMut(&mut Name)) {
        let Locality {
            region,
            zone,
            subzone,
        } = &mut self.locality;
        let own = [&mut self.network, &mut self.cluster_id, &mut self.node];
        own.into_iter().for_each(&mut *visit);
        [region, zone, subzone].into_iter().for_each(visit);
    }
}

impl Profile {
    /// Every name in it, to be replaced by an equal one.
    pub(crate) fn each_name(&mut self, visit: &mut dyn FnMut(&mut Name)) {
        let own = [
            &mut self.name,
            &mut self.namespace,
            &mut self.trust_domain,
            &mut self.service_account,
            &mut self.hostname,
            &mut self.canonical_name,
            &mut self.canonical_revision,
            &mut self.workload_name,
        ];
        own.into_iter().for_each(&mut *visit);
        self.authorization_policies.iter_mut().for_each(&mut *visit);
        for (service, _) in &mut self.services {
            visit(&mut service.namespace);
            visit(&mut service.hostname);
        }
        let gateways = [&mut self.waypoint, &mut self.network_gateway];
        for gateway in gateways.into_iter().flatten() {
            match &mut gateway.destination {
                GatewayDestination::Address(address) => visit(&mut address.network),
                GatewayDestination::Hostname(host) => {
                    visit(&mut host.namespace);
                    visit(&mut host.hostname);
                }
            }
        }
    }

    /// Fills in what follows from the other fields.
    pub(crate) fn complete(&mut self) {
        let domain = self.trust_domain.parse().ok();
        self.identity.0 =
            domain.and_then(|d| SpiffeId::new(d, &self.namespace, &self.service_account).ok());
    }
}

impl Workload {
    /// A workload outside a store, as tests need it.
    #[must_use]
    pub fn new(spec: WorkloadSpec) -> Self {
        Self::build(
            spec,
            |mut profile| {
                profile.complete();
                Arc::new(profile)
            },
            Arc::new,
        )
    }

    /// A workload whose profile and place come from a pool of such.
    pub(crate) fn build(
        spec: WorkloadSpec,
        profile: impl FnOnce(Profile) -> Arc<Profile>,
        place: impl FnOnce(Place) -> Arc<Place>,
    ) -> Self {
        let tail = spec.uid.ends_with(&*spec.name).then_some(spec.name.len());
        let name_len = tail.and_then(|len| u16::try_from(len).ok()).unwrap_or(0);
        let small = Small {
            name_len,
            status: spec.status,
        };
        Self {
            uid: spec.uid,
            own: Own::new(&spec.ips, small),
            place: place(Place {
                network: spec.network,
                cluster_id: spec.cluster_id,
                node: spec.node,
                locality: spec.locality,
            }),
            profile: profile(Profile {
                name: if name_len == 0 {
                    spec.name
                } else {
                    Name::default()
                },
                namespace: spec.namespace,
                trust_domain: spec.trust_domain,
                service_account: spec.service_account,
                hostname: spec.hostname,
                canonical_name: spec.canonical_name,
                canonical_revision: spec.canonical_revision,
                workload_name: spec.workload_name,
                workload_type: spec.workload_type,
                tunnel_protocol: spec.tunnel_protocol,
                network_mode: spec.network_mode,
                native_tunnel: spec.native_tunnel,
                waypoint: spec.waypoint,
                network_gateway: spec.network_gateway,
                authorization_policies: spec.authorization_policies.into(),
                services: distinct(spec.services),
                application_tunnel: spec.application_tunnel,
                capacity: spec.capacity,
                identity: Identity::default(),
            }),
        }
    }

    pub(crate) fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    pub(crate) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Whether two workloads of one store, which has only one of each profile and place, say the
    /// same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.profile, &other.profile)
            && Arc::ptr_eq(&self.place, &other.place)
            && self.uid == other.uid
            && self.own == other.own
    }
}

/// The services without repetition: the first of equal keys counts.
fn distinct(
    mut services: Vec<(NamespacedHostname, PortMap)>,
) -> Box<[(NamespacedHostname, PortMap)]> {
    if services.len() > 1 {
        let mut seen = HashSet::with_capacity(services.len());
        services.retain(|(key, _)| seen.insert(key.clone()));
    }
    services.into()
}
