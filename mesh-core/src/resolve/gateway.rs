//! From references to waypoints and network gateways to the workloads that are dialled.

use std::net::IpAddr;
use std::sync::Arc;

use super::lookup::{self, Found, View};
use super::{HopAddress, ResolveConfig, ResolveError, Step, Trace, peers};
use crate::balance::{self, PickMode};
use crate::identity::ExpectedPeers;
use crate::model::{GatewayAddress, GatewayDestination, Service, ServiceSpec, Workload};
use crate::random::Random;
use crate::snapshot::MeshSnapshot;

/// A waypoint or a network gateway that was chosen for one connection.
#[derive(Debug)]
pub(super) struct Gateway<'a> {
    pub(super) workload: &'a Arc<Workload>,
    pub(super) service: Option<&'a Arc<Service>>,
    port: u16,
    /// The IP whose family decides which address is dialled.
    asked: IpAddr,
}

impl Gateway<'_> {
    /// Where to dial it.
    pub(super) fn address(&self, config: &ResolveConfig) -> Result<HopAddress, ResolveError> {
        let service = self.service.map(Arc::as_ref);
        super::address_choice::choose(config, self.workload, service, self.asked, self.port)
            .ok_or_else(|| ResolveError::NoAddress {
                workload: self.workload.uid().into(),
            })
    }

    /// Who it may be.
    pub(super) fn expected(&self) -> Result<ExpectedPeers, ResolveError> {
        peers::of(self.workload, self.service.map(Arc::as_ref))
    }
}

/// The waypoint for one connection to a service: by weight, or the primary one.
pub(super) fn pick_waypoint<'a>(
    service: &'a ServiceSpec,
    random: &mut dyn Random,
) -> Option<&'a GatewayAddress> {
    let weighted = &service.weighted_waypoints;
    let total: u64 = weighted.iter().map(|w| u64::from(w.weight)).sum();
    if total == 0 {
        return service.waypoint.as_ref();
    }
    let mut left = random.below(total);
    weighted
        .iter()
        .find(|w| match left.checked_sub(u64::from(w.weight)) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        })
        .map(|w| &w.waypoint)
}

/// The workload behind a reference; `None` when there is none that takes connections.
///
/// A reference by address is dialled at that address or its family; one by host name in the family of
/// `original`, the address that the application asked for.
pub(super) fn resolve<'a, T: Trace>(
    snapshot: &'a MeshSnapshot,
    source: &Workload,
    reference: &GatewayAddress,
    original: IpAddr,
    mode: PickMode,
    random: &mut dyn Random,
    trace: &mut T,
) -> Option<Gateway<'a>> {
    let (found, asked) = match &reference.destination {
        GatewayDestination::Address(address) => (
            lookup::at(snapshot, &address.network, address.ip, View::Mesh)?,
            address.ip,
        ),
        GatewayDestination::Hostname(name) => {
            let found = match snapshot.service(&name.namespace, &name.hostname) {
                Some(service) => Found::Service(service),
                None => Found::Workload(lookup::workload_named(snapshot, name)?),
            };
            (found, original)
        }
    };
    let port = reference.hbone_mtls_port;
    match found {
        Found::Workload(workload) => Some(Gateway {
            workload,
            service: None,
            port,
            asked,
        }),
        Found::Service(service) => {
            let endpoints = snapshot.endpoints(service);
            let picked = balance::pick(service, endpoints, source, port, mode, random);
            trace.step(Step::Endpoint {
                service,
                port,
                mode,
                picked,
            });
            let picked = picked?;
            Some(Gateway {
                workload: picked.workload,
                service: Some(service),
                port: picked.port,
                asked,
            })
        }
    }
}
