//! Which service a client probably addressed: for telemetry, never for decisions about access.

use std::sync::Arc;

use crate::model::{Service, Workload};
use crate::snapshot::MeshSnapshot;

/// The service of a connection to this port of a local workload: the one that the client's proxy names,
/// if the workload belongs to it, else the first that targets the port.
pub(super) fn guess<'a>(
    snapshot: &'a MeshSnapshot,
    local: &'a Workload,
    port: u16,
    forwarded_host: Option<&str>,
) -> Option<&'a Arc<Service>> {
    let named = forwarded_host.and_then(|host| {
        let mut keys = local.services().map(|(key, _)| key);
        let key = keys.find(|key| key.hostname == *host)?;
        snapshot.service(&key.namespace, &key.hostname)
    });
    named.or_else(|| targeting(snapshot, local, port).next())
}

/// The services of a workload that have this target port there.
pub(super) fn targeting<'a>(
    snapshot: &'a MeshSnapshot,
    local: &'a Workload,
    port: u16,
) -> impl Iterator<Item = &'a Arc<Service>> {
    let is_port = move |(_, target): (u16, Option<std::num::NonZeroU16>)| {
        target.is_some_and(|target| target.get() == port)
    };
    local.services().filter_map(move |(key, own)| {
        let service = snapshot.service(&key.namespace, &key.hostname)?;
        let targets = service.spec().ports.iter().any(is_port) || own.iter().any(is_port);
        targets.then_some(service)
    })
}
