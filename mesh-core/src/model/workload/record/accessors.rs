//! What a workload tells about itself.

use std::fmt;
use std::net::IpAddr;

use super::super::{
    ApplicationTunnel, Locality, NetworkMode, TunnelProtocol, WorkloadStatus, WorkloadType,
};
use super::Workload;
use crate::identity::SpiffeId;
use crate::model::{GatewayAddress, NamespacedHostname, Network, PortMap};
use crate::name::Name;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $($(#[$doc])* #[must_use] pub fn $name(&self) -> &Name { &self.profile.$name })*
    };
}

impl Workload {
    names! {
        /// Namespace.
        namespace,
        /// Trust domain; may be empty when the source gave none.
        trust_domain,
        /// Service account.
        service_account,
        /// Host name to look up when there are no addresses.
        hostname,
        /// Canonical name.
        canonical_name,
        /// Canonical revision.
        canonical_revision,
        /// Name of the owner.
        workload_name,
    }

    /// Unique id.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Pod name.
    #[must_use]
    pub fn name(&self) -> &str {
        let start = self
            .uid
            .len()
            .checked_sub(usize::from(self.own.small().name_len));
        match start.and_then(|start| self.uid.get(start..)) {
            Some(name) if !name.is_empty() => name,
            _ => &self.profile.name,
        }
    }

    /// Network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.place.network
    }

    /// Node.
    #[must_use]
    pub fn node(&self) -> &Name {
        &self.place.node
    }

    /// Cluster id.
    #[must_use]
    pub fn cluster_id(&self) -> &Name {
        &self.place.cluster_id
    }

    /// Where it runs.
    #[must_use]
    pub fn locality(&self) -> &Locality {
        &self.place.locality
    }

    /// The identity; `None` when its parts do not form a SPIFFE ID.
    #[must_use]
    pub fn identity(&self) -> Option<SpiffeId> {
        self.profile.identity.0.clone()
    }

    /// IP addresses.
    #[must_use]
    pub fn ips(&self) -> &[IpAddr] {
        self.own.ips()
    }

    /// How it is reached.
    #[must_use]
    pub fn tunnel_protocol(&self) -> TunnelProtocol {
        self.profile.tunnel_protocol
    }

    /// Its network namespace.
    #[must_use]
    pub fn network_mode(&self) -> NetworkMode {
        self.profile.network_mode
    }

    /// Whether it speaks HBONE itself.
    #[must_use]
    pub fn native_tunnel(&self) -> bool {
        self.profile.native_tunnel
    }

    /// The waypoint for traffic that is addressed to the workload itself.
    #[must_use]
    pub fn waypoint(&self) -> Option<&GatewayAddress> {
        self.profile.waypoint.as_ref()
    }

    /// The gateway of its network.
    #[must_use]
    pub fn network_gateway(&self) -> Option<&GatewayAddress> {
        self.profile.network_gateway.as_ref()
    }

    /// Kind of owner.
    #[must_use]
    pub fn workload_type(&self) -> WorkloadType {
        self.profile.workload_type
    }

    /// Keys of the policies that select it.
    #[must_use]
    pub fn authorization_policies(&self) -> &[Name] {
        &self.profile.authorization_policies
    }

    /// Whether it takes new connections.
    #[must_use]
    pub fn status(&self) -> WorkloadStatus {
        self.own.small().status
    }

    /// The services that it is an endpoint of, with its own port mapping for each.
    pub fn services(&self) -> impl Iterator<Item = (&NamespacedHostname, &PortMap)> + '_ {
        let services = self.profile.services.iter();
        services.map(|(service, ports)| (service, ports))
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
        self.profile.application_tunnel
    }

    /// Share of the connections relative to other endpoints; 0 = none.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.profile.capacity
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload")
            .field("uid", &self.uid)
            .field("name", &self.name())
            .field("ips", &self.ips())
            .field("status", &self.status())
            .field("profile", &self.profile)
            .field("place", &self.place)
            .finish()
    }
}
