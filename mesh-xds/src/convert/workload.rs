//! Workloads.

use std::num::NonZeroU16;

use mesh_core::model::{
    ApplicationProtocol, ApplicationTunnel, Locality, NamespacedHostname, NetworkMode, PortMap,
    TunnelProtocol, WorkloadSpec, WorkloadStatus, WorkloadType,
};
use mesh_core::name::Name;

use super::draft::Draft;
use super::error::{ConvertError, Problem};
use super::field::{Converter, known_or_reject, port};
use crate::wire::workload as wire;

/// The trust domain of a workload that names none.
const TRUST_DOMAIN: &str = "cluster.local";
/// The service account of a workload that names none.
const SERVICE_ACCOUNT: &str = "default";
/// The cluster of a workload that names none.
const CLUSTER: &str = "Kubernetes";

impl Converter {
    /// A workload. With a `key`, the name under which it came, its unique id has to be equal and
    /// shares the memory of it.
    ///
    /// # Errors
    /// When a field has a value that it cannot have, or one that this version does not know where
    /// guessing would be dangerous.
    pub fn workload(
        &mut self,
        from: wire::Workload,
        key: Option<Name>,
    ) -> Result<WorkloadSpec, ConvertError> {
        self.draft(Draft::of(&from)?, key)
    }

    pub(super) fn draft(
        &mut self,
        from: Draft<'_>,
        key: Option<Name>,
    ) -> Result<WorkloadSpec, ConvertError> {
        if from.uid.is_empty() {
            return Err(Problem::Missing.of("uid"));
        }
        let uid = match key {
            Some(key) if key == from.uid => key,
            Some(_) => return Err(ConvertError::Key(from.uid.to_owned())),
            None => from.uid.into(),
        };
        let policies = from.authorization_policies.iter();
        Ok(WorkloadSpec {
            ips: from.ips,
            tunnel_protocol: tunnel_protocol(from.tunnel_protocol)?,
            network_mode: network_mode(from.network_mode)?,
            waypoint: self.gateway(from.waypoint, "waypoint")?,
            network_gateway: self.gateway(from.network_gateway, "network_gateway")?,
            services: self.services(from.services)?,
            application_tunnel: from.application_tunnel.map(tunnel).transpose()?,
            workload_type: self.workload_type(from.workload_type),
            status: self.status(from.status),
            locality: Locality {
                region: self.name(from.region),
                zone: self.name(from.zone),
                subzone: self.name(from.subzone),
            },
            // Of pods no two have the same: not worth a place among the names that are shared.
            name: from.name.into(),
            namespace: self.name(from.namespace),
            trust_domain: self.name_or(from.trust_domain, TRUST_DOMAIN),
            service_account: self.name_or(from.service_account, SERVICE_ACCOUNT),
            network: self.name(from.network),
            hostname: self.name(from.hostname),
            native_tunnel: from.native_tunnel,
            node: self.name(from.node),
            canonical_name: self.name(from.canonical_name),
            canonical_revision: self.name(from.canonical_revision),
            workload_name: self.name(from.workload_name),
            authorization_policies: policies.map(|key| self.name(key)).collect(),
            cluster_id: self.name_or(from.cluster_id, CLUSTER),
            capacity: from.capacity.unwrap_or(1),
            uid,
        })
    }

    /// The services of a workload in the order of their keys, so that equal ones are equal.
    fn services(
        &mut self,
        from: Vec<(&str, PortMap)>,
    ) -> Result<Vec<(NamespacedHostname, PortMap)>, ConvertError> {
        let mut services = Vec::with_capacity(from.len());
        for (key, map) in from {
            services.push((self.service_key(key, "services")?, map));
        }
        services.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(services)
    }

    fn workload_type(&mut self, value: i32) -> WorkloadType {
        match self.known(value) {
            wire::WorkloadType::Deployment => WorkloadType::Deployment,
            wire::WorkloadType::Cronjob => WorkloadType::CronJob,
            wire::WorkloadType::Pod => WorkloadType::Pod,
            wire::WorkloadType::Job => WorkloadType::Job,
        }
    }

    fn status(&mut self, value: i32) -> WorkloadStatus {
        match self.known(value) {
            wire::WorkloadStatus::Healthy => WorkloadStatus::Healthy,
            wire::WorkloadStatus::Unhealthy => WorkloadStatus::Unhealthy,
        }
    }
}

/// An unknown protocol may be one that encrypts: plain bytes would be no substitute.
fn tunnel_protocol(value: i32) -> Result<TunnelProtocol, ConvertError> {
    Ok(match known_or_reject(value, "tunnel_protocol")? {
        wire::TunnelProtocol::None => TunnelProtocol::None,
        wire::TunnelProtocol::Hbone => TunnelProtocol::Hbone,
        wire::TunnelProtocol::LegacyIstioMtls => TunnelProtocol::LegacyIstioMtls,
    })
}

/// An unknown mode may share its addresses with others, whose identity they must not become.
fn network_mode(value: i32) -> Result<NetworkMode, ConvertError> {
    Ok(match known_or_reject(value, "network_mode")? {
        wire::NetworkMode::Standard => NetworkMode::Standard,
        wire::NetworkMode::HostNetwork => NetworkMode::HostNetwork,
    })
}

/// Behind an unknown protocol a workload would take the bytes of a client for those of the proxy.
fn tunnel(from: wire::ApplicationTunnel) -> Result<ApplicationTunnel, ConvertError> {
    use wire::application_tunnel::Protocol;
    let protocol = known_or_reject(from.protocol, "application_tunnel.protocol")?;
    Ok(ApplicationTunnel {
        protocol: match protocol {
            Protocol::None => ApplicationProtocol::None,
            Protocol::Proxy => ApplicationProtocol::Proxy,
        },
        port: NonZeroU16::new(port(from.port, 0, "application_tunnel.port")?),
    })
}
