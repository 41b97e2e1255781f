//! References to waypoints and network gateways.

use mesh_core::model::{
    GatewayAddress, GatewayDestination, NamespacedHostname, NetworkAddress, WeightedWaypoint,
};

use super::error::{ConvertError, Problem};
use super::field::{Converter, ip, port};
use crate::wire::workload as wire;

/// The HBONE port of a gateway that names none.
const HBONE: u16 = 15008;

impl Converter {
    pub(super) fn gateway(
        &mut self,
        gateway: Option<wire::GatewayAddress>,
        field: &'static str,
    ) -> Result<Option<GatewayAddress>, ConvertError> {
        gateway.map(|g| self.required_gateway(g, field)).transpose()
    }

    fn required_gateway(
        &mut self,
        gateway: wire::GatewayAddress,
        field: &'static str,
    ) -> Result<GatewayAddress, ConvertError> {
        use wire::gateway_address::Destination;
        let destination = match gateway.destination {
            // A destination of a newer kind looks like none.
            None => return Err(Problem::Missing.of(field)),
            Some(Destination::Hostname(host)) => GatewayDestination::Hostname(NamespacedHostname {
                namespace: self.name(&host.namespace),
                hostname: self.name(&host.hostname),
            }),
            Some(Destination::Address(address)) => {
                let ip = ip(&address.address, field)?;
                let network = self.name(&address.network);
                GatewayDestination::Address(NetworkAddress::new(network, ip))
            }
        };
        let hbone_mtls_port = match port(gateway.hbone_mtls_port, 0, field)? {
            0 => HBONE,
            port => port,
        };
        Ok(GatewayAddress {
            destination,
            hbone_mtls_port,
        })
    }

    pub(super) fn weighted(
        &mut self,
        share: wire::WeightedWaypoint,
    ) -> Result<WeightedWaypoint, ConvertError> {
        const FIELD: &str = "weighted_waypoints.destination";
        let gateway = share.destination.ok_or(Problem::Missing.of(FIELD))?;
        Ok(WeightedWaypoint {
            waypoint: self.required_gateway(gateway, FIELD)?,
            weight: share.weight,
        })
    }
}
