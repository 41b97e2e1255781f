//! Which endpoints can take a connection at all.

use std::num::NonZeroU16;

use super::PickMode;
use crate::endpoints::Endpoint;
use crate::model::{HealthPolicy, Service, Workload, WorkloadStatus};

/// What is asked of an endpoint, whatever its rank.
pub(super) struct Eligibility<'a> {
    source: &'a Workload,
    service_port: u16,
    /// The target port that the service names for all endpoints.
    target: Option<NonZeroU16>,
    tunnel: Tunnel,
    health: HealthPolicy,
}

/// Why an endpoint of a service cannot take a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Ineligible {
    /// The service does not have the port.
    NoServicePort,
    /// It is unhealthy, and the service's health policy wants healthy ones.
    Unhealthy,
    /// There is neither an address to dial nor a gateway on the way.
    NoAddress,
    /// The service port leads to no port of it.
    NoPort,
    /// Its capacity is 0.
    NoCapacity,
    /// The service's routing preferences, which are strict, rule it out.
    NotPreferred,
}

/// What an application tunnel of an endpoint counts for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Tunnel {
    /// Nothing.
    Ignored,
    /// One with a port of its own takes the place of a mapping.
    Maps,
    /// The same, and without one there is no mapping either: the service does not have the port.
    Required,
}

impl<'a> Eligibility<'a> {
    /// `None` when no endpoint can be eligible, because the service does not have the port.
    pub(super) fn new(
        service: &Service,
        source: &'a Workload,
        service_port: u16,
        mode: PickMode,
    ) -> Option<Self> {
        let spec = service.spec();
        let target = spec.ports.target(service_port);
        let tunnel = match (mode, target) {
            (PickMode::Standard, None) => return None,
            (PickMode::Standard, Some(_)) => Tunnel::Ignored,
            (PickMode::Waypoint, Some(_)) => Tunnel::Maps,
            (PickMode::Waypoint, None) => Tunnel::Required,
        };
        Some(Self {
            source,
            service_port,
            target: target.flatten(),
            tunnel,
            health: spec
                .load_balancing
                .as_ref()
                .map(|balancing| balancing.health_policy)
                .unwrap_or_default(),
        })
    }

    pub(super) fn health(&self) -> HealthPolicy {
        self.health
    }

    /// The port to dial on an endpoint; `None` when it is not eligible.
    pub(super) fn target_port(&self, endpoint: &Endpoint<'_>) -> Option<NonZeroU16> {
        self.check(endpoint).ok()
    }

    /// The port to dial on an endpoint, or why it is not eligible.
    pub(super) fn check(&self, endpoint: &Endpoint<'_>) -> Result<NonZeroU16, Ineligible> {
        let workload = endpoint.workload();
        let healthy = endpoint.health() == WorkloadStatus::Healthy;
        if !(healthy || self.health == HealthPolicy::AllowAll) {
            return Err(Ineligible::Unhealthy);
        }
        if !self.reaches(workload) {
            return Err(Ineligible::NoAddress);
        }
        let tunnel = workload.application_tunnel();
        if self.tunnel == Tunnel::Required && tunnel.is_none() {
            return Err(Ineligible::NoPort);
        }
        let own = endpoint.ports().target(self.service_port).flatten();
        let tunnelled = || match self.tunnel {
            Tunnel::Ignored => None,
            Tunnel::Maps | Tunnel::Required => {
                tunnel?.port?;
                NonZeroU16::new(self.service_port)
            }
        };
        own.or(self.target)
            .or_else(tunnelled)
            .ok_or(Ineligible::NoPort)
    }

    /// Whether there is an address to dial, now or after a look-up, or a gateway on the way.
    fn reaches(&self, workload: &Workload) -> bool {
        let addressed = !workload.ips().is_empty() || !workload.hostname().is_empty();
        addressed
            || workload.network_gateway().is_some() && workload.network() != self.source.network()
    }
}
