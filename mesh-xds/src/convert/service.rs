//! Services.

use mesh_core::model::{
    HealthPolicy, IpFamilies, LoadBalancing, LoadBalancingMode, NetworkAddress, NetworkCidr,
    RoutingScope, ServiceSpec, Visibility,
};

use super::error::{ConvertError, Problem};
use super::field::{Converter, ip, ports, range};
use crate::wire::workload as wire;

impl Converter {
    /// A service. With a `key`, the name under which it came, its own key has to be equal.
    ///
    /// # Errors
    /// When a field has a value that it cannot have.
    pub fn service(
        &mut self,
        from: wire::Service,
        key: Option<&str>,
    ) -> Result<ServiceSpec, ConvertError> {
        for (text, field) in [(&from.namespace, "namespace"), (&from.hostname, "hostname")] {
            if text.is_empty() {
                return Err(Problem::Missing.of(field));
            }
        }
        if key.is_some_and(|key| key.split_once('/') != Some((&from.namespace, &from.hostname))) {
            let own = format!("{}/{}", from.namespace, from.hostname);
            return Err(ConvertError::Key(own));
        }
        let mut spec = ServiceSpec {
            name: self.name(&from.name),
            namespace: self.name(&from.namespace),
            hostname: self.name(&from.hostname),
            ports: ports(&from.ports, "ports.service_port", "ports.target_port")?,
            waypoint: self.gateway(from.waypoint, "waypoint")?,
            load_balancing: from
                .load_balancing
                .map(|balancing| self.load_balancing(&balancing))
                .transpose()?,
            ip_families: self.ip_families(from.ip_families),
            canonical: from.canonical,
            visibility: self.visibility(from.visibility),
            ..ServiceSpec::default()
        };
        for address in &from.addresses {
            self.vip(address, &mut spec)?;
        }
        for share in from.weighted_waypoints {
            spec.weighted_waypoints.push(self.weighted(share)?);
        }
        for name in &from.subject_alt_names {
            // Names of other kinds are for other proxies; no workload has one as its identity.
            match name.parse() {
                Ok(id) => spec.subject_alt_names.push(id),
                Err(_) => self.ignore(),
            }
        }
        Ok(spec)
    }

    /// A virtual IP; with a length other than that of the whole address, a range of such.
    fn vip(
        &mut self,
        address: &wire::NetworkAddress,
        spec: &mut ServiceSpec,
    ) -> Result<(), ConvertError> {
        let ip = ip(&address.address, "addresses.address")?;
        let network = self.name(&address.network);
        let net = address
            .length
            .map(|length| range(ip, length, "addresses.length"))
            .transpose()?;
        match net.filter(|net| net.prefix_len() < net.max_prefix_len()) {
            Some(cidr) => spec.cidr_vips.push(NetworkCidr { network, cidr }),
            None => spec.vips.push(NetworkAddress::new(network, ip)),
        }
        Ok(())
    }

    fn load_balancing(
        &mut self,
        from: &wire::LoadBalancing,
    ) -> Result<LoadBalancing, ConvertError> {
        use wire::load_balancing::{HealthPolicy as Policy, Mode};
        let mut routing_preferences = Vec::with_capacity(from.routing_preference.len());
        for scope in &from.routing_preference {
            routing_preferences.extend(self.scope(*scope)?);
        }
        Ok(LoadBalancing {
            routing_preferences,
            mode: match self.known(from.mode) {
                Mode::UnspecifiedMode => LoadBalancingMode::Standard,
                Mode::Strict => LoadBalancingMode::Strict,
                Mode::Failover => LoadBalancingMode::Failover,
                Mode::Passthrough => LoadBalancingMode::Passthrough,
            },
            health_policy: match self.known(from.health_policy) {
                Policy::OnlyHealthy => HealthPolicy::OnlyHealthy,
                Policy::AllowAll => HealthPolicy::AllowAll,
            },
        })
    }

    /// A routing preference; none when this version does not know it.
    fn scope(&mut self, value: i32) -> Result<Option<RoutingScope>, ConvertError> {
        use wire::load_balancing::Scope;
        let Ok(scope) = Scope::try_from(value) else {
            self.ignore();
            return Ok(None);
        };
        Ok(Some(match scope {
            Scope::UnspecifiedScope => {
                return Err(Problem::Missing.of("load_balancing.routing_preference"));
            }
            Scope::Region => RoutingScope::Region,
            Scope::Zone => RoutingScope::Zone,
            Scope::Subzone => RoutingScope::Subzone,
            Scope::Node => RoutingScope::Node,
            Scope::Cluster => RoutingScope::Cluster,
            Scope::Network => RoutingScope::Network,
        }))
    }

    fn ip_families(&mut self, value: i32) -> IpFamilies {
        match self.known(value) {
            wire::IpFamilies::Automatic => IpFamilies::Automatic,
            wire::IpFamilies::Ipv4Only => IpFamilies::V4,
            wire::IpFamilies::Ipv6Only => IpFamilies::V6,
            wire::IpFamilies::Dual => IpFamilies::Dual,
        }
    }

    fn visibility(&mut self, value: i32) -> Visibility {
        use wire::service::Visibility as Wire;
        match self.known(value) {
            Wire::Public => Visibility::Public,
            Wire::Namespace => Visibility::Namespace,
        }
    }
}
