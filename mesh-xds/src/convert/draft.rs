//! A workload before its names are shared: read from a decoded message, or straight from the bytes.
//!
//! Workloads are nearly all of what a first sync brings, and decoding one allocates every text that
//! most others have as well. So the usual ones are read in place. Whatever is unusual about one,
//! wrong or only rare, is left to the generated decoder, which knows all rules.

use std::net::IpAddr;

use mesh_core::model::PortMap;
use prost::Message;

use super::error::ConvertError;
use super::field::{ip, port, ports};
use super::scan::{Scan, Value};
use crate::wire::workload as wire;

#[derive(Default)]
pub(super) struct Draft<'a> {
    pub(super) uid: &'a str,
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    pub(super) ips: Vec<IpAddr>,
    pub(super) hostname: &'a str,
    pub(super) network: &'a str,
    pub(super) tunnel_protocol: i32,
    pub(super) trust_domain: &'a str,
    pub(super) service_account: &'a str,
    pub(super) waypoint: Option<wire::GatewayAddress>,
    pub(super) network_gateway: Option<wire::GatewayAddress>,
    pub(super) node: &'a str,
    pub(super) canonical_name: &'a str,
    pub(super) canonical_revision: &'a str,
    pub(super) workload_type: i32,
    pub(super) workload_name: &'a str,
    pub(super) native_tunnel: bool,
    pub(super) authorization_policies: Vec<&'a str>,
    pub(super) status: i32,
    pub(super) cluster_id: &'a str,
    pub(super) services: Vec<(&'a str, PortMap)>,
    pub(super) application_tunnel: Option<wire::ApplicationTunnel>,
    pub(super) region: &'a str,
    pub(super) zone: &'a str,
    pub(super) subzone: &'a str,
    pub(super) network_mode: i32,
    pub(super) capacity: Option<u32>,
}

impl<'a> Draft<'a> {
    pub(super) fn of(from: &'a wire::Workload) -> Result<Self, ConvertError> {
        let ips = from.addresses.iter().map(|bytes| ip(bytes, "addresses"));
        let services = from.services.iter().map(|(key, list)| {
            let map = ports(
                &list.ports,
                "services.ports.service_port",
                "services.ports.target_port",
            )?;
            Ok((key.as_str(), map))
        });
        let locality = from.locality.as_ref();
        let of = |part: fn(&wire::Locality) -> &String| locality.map_or("", |at| part(at));
        Ok(Self {
            uid: &from.uid,
            name: &from.name,
            namespace: &from.namespace,
            ips: ips.collect::<Result<_, _>>()?,
            hostname: &from.hostname,
            network: &from.network,
            tunnel_protocol: from.tunnel_protocol,
            trust_domain: &from.trust_domain,
            service_account: &from.service_account,
            waypoint: from.waypoint.clone(),
            network_gateway: from.network_gateway.clone(),
            node: &from.node,
            canonical_name: &from.canonical_name,
            canonical_revision: &from.canonical_revision,
            workload_type: from.workload_type,
            workload_name: &from.workload_name,
            native_tunnel: from.native_tunnel,
            authorization_policies: from.authorization_policies.iter().map(|p| &**p).collect(),
            status: from.status,
            cluster_id: &from.cluster_id,
            services: services.collect::<Result<_, ConvertError>>()?,
            application_tunnel: from.application_tunnel,
            region: of(|at| &at.region),
            zone: of(|at| &at.zone),
            subzone: of(|at| &at.subzone),
            network_mode: from.network_mode,
            capacity: from.capacity,
        })
    }

    /// The workload of an encoded `istio.workload.Address`; `None` when it is something else or
    /// unusual.
    pub(super) fn read(address: &'a [u8]) -> Option<Self> {
        let mut fields = Scan::new(address);
        let (1, Value::Bytes(workload)) = fields.next()?? else {
            return None;
        };
        if fields.next().is_some() {
            return None;
        }
        let mut draft = Self::default();
        for field in Scan::new(workload) {
            let (number, value) = field?;
            draft.field(number, value)?;
        }
        Some(draft)
    }

    fn field(&mut self, number: u64, value: Value<'a>) -> Option<()> {
        match number {
            1 => self.name = value.text()?,
            2 => self.namespace = value.text()?,
            3 => self.ips.push(ip(value.bytes()?, "addresses").ok()?),
            4 => self.network = value.text()?,
            5 => self.tunnel_protocol = value.low()?.cast_signed(),
            6 => self.trust_domain = value.text()?,
            7 => self.service_account = value.text()?,
            8 => once(&mut self.waypoint, value)?,
            9 => self.node = value.text()?,
            10 => self.canonical_name = value.text()?,
            11 => self.canonical_revision = value.text()?,
            12 => self.workload_type = value.low()?.cast_signed(),
            13 => self.workload_name = value.text()?,
            14 => self.native_tunnel = value.number()? != 0,
            16 => self.authorization_policies.push(value.text()?),
            17 => self.status = value.low()?.cast_signed(),
            18 => self.cluster_id = value.text()?,
            19 => once(&mut self.network_gateway, value)?,
            20 => self.uid = value.text()?,
            21 => self.hostname = value.text()?,
            22 => self.service(value.bytes()?)?,
            23 => once(&mut self.application_tunnel, value)?,
            24 => self.locality(value.bytes()?)?,
            25 => self.network_mode = value.low()?.cast_signed(),
            27 => once(&mut self.capacity, value)?,
            // Extensions are checked by the decoder; what is unknown is skipped by it.
            _ => return None,
        }
        Some(())
    }

    fn locality(&mut self, message: &'a [u8]) -> Option<()> {
        for field in Scan::new(message) {
            let (number, value) = field?;
            match number {
                1 => self.region = value.text()?,
                2 => self.zone = value.text()?,
                3 => self.subzone = value.text()?,
                _ => return None,
            }
        }
        Some(())
    }

    /// An entry of the map of services: a key and a list of ports.
    fn service(&mut self, entry: &'a [u8]) -> Option<()> {
        let (mut key, mut list) = (None, None);
        for field in Scan::new(entry) {
            match field? {
                (1, value) if key.is_none() => key = Some(value.text()?),
                (2, value) if list.is_none() => list = Some(value.bytes()?),
                _ => return None,
            }
        }
        let (key, list) = (key?, list?);
        if self.services.iter().any(|(known, _)| *known == key) {
            return None;
        }
        let mut pairs = Vec::with_capacity(1);
        for field in Scan::new(list) {
            let (1, Value::Bytes(pair)) = field? else {
                return None;
            };
            pairs.push(port_pair(pair)?);
        }
        self.services.push((key, pairs.into_iter().collect()));
        Some(())
    }
}

fn port_pair(message: &[u8]) -> Option<(u16, u16)> {
    let (mut service, mut target) = (0, 0);
    for field in Scan::new(message) {
        match field? {
            (1, value) => service = value.low()?,
            (2, value) => target = value.low()?,
            (3, Value::Number(_)) => {}
            _ => return None,
        }
    }
    Some((port(service, 1, "").ok()?, port(target, 0, "").ok()?))
}

/// A message that may be there once; several would have to be merged.
fn once<M: Message + Default>(field: &mut Option<M>, value: Value<'_>) -> Option<()> {
    if field.is_some() {
        return None;
    }
    *field = Some(M::decode(value.bytes()?).ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::convert::{Converter, workload_address};
    use mesh_core::model::{
        GatewayAddress, GatewayDestination, Locality, NamespacedHostname, WorkloadSpec,
    };

    fn spec() -> impl Strategy<Value = WorkloadSpec> {
        let texts = prop::collection::vec("[a-z]{0,6}", 13);
        let services = prop::collection::vec(("[a-c]{1,2}", 1..3_u16, 0..3_u16), 0..3);
        let ips = prop::collection::vec(any::<IpAddr>(), 0..3);
        let numbers = (any::<bool>(), 0..3_u32, any::<bool>());
        (texts, services, ips, numbers).prop_map(|(texts, services, ips, numbers)| {
            let mut texts = texts.into_iter().map(mesh_core::name::Name::from);
            let mut text = || texts.next().unwrap_or_default();
            let (native_tunnel, capacity, gateway) = numbers;
            WorkloadSpec {
                uid: format!("uid-{}", text()).into(),
                name: text(),
                namespace: text(),
                trust_domain: text(),
                service_account: text(),
                network: text(),
                hostname: text(),
                node: text(),
                canonical_name: text(),
                workload_name: text(),
                cluster_id: text(),
                locality: Locality {
                    region: text(),
                    zone: text(),
                    ..Locality::default()
                },
                services: services
                    .into_iter()
                    .map(|(host, port, target)| {
                        let key = NamespacedHostname::new("ns", host);
                        (key, [(port, target)].into_iter().collect())
                    })
                    .collect(),
                waypoint: gateway.then(|| GatewayAddress {
                    destination: GatewayDestination::Hostname(NamespacedHostname::new("a", "b")),
                    hbone_mtls_port: 15008,
                }),
                ips,
                native_tunnel,
                capacity,
                ..WorkloadSpec::default()
            }
        })
    }

    /// The decoder's word on it.
    fn decoded(bytes: &[u8]) -> Option<Result<WorkloadSpec, ConvertError>> {
        match wire::Address::decode(bytes).ok()?.r#type? {
            wire::address::Type::Workload(message) => {
                Some(Converter::new().workload(message, None))
            }
            wire::address::Type::Service(_) => None,
        }
    }

    fn read(bytes: &[u8]) -> Option<Result<WorkloadSpec, ConvertError>> {
        Some(Converter::new().draft(Draft::read(bytes)?, None))
    }

    proptest! {
        #[test]
        fn workloads_are_read_as_they_are_decoded(spec in spec()) {
            let bytes = workload_address(&spec).encode_to_vec();
            prop_assert!(read(&bytes).is_some(), "nothing is unusual about it");
            prop_assert_eq!(read(&bytes), decoded(&bytes));
        }

        #[test]
        fn what_is_read_from_spoilt_bytes_is_what_the_decoder_says(
            spec in spec(),
            spoil in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = workload_address(&spec).encode_to_vec();
            for (at, byte) in spoil {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(read) = read(&bytes) {
                let decoded = decoded(&bytes);
                prop_assert!(decoded.is_some());
                let decoded = decoded.unwrap();
                prop_assert_eq!(read.is_ok(), decoded.is_ok());
                if read.is_ok() {
                    prop_assert_eq!(read, decoded);
                }
            }
        }
    }
}
