//! What the parents of a route of the Gateway API stand for.

use mesh_core::model::ServiceSpec;
use mesh_core::name::Name;
use mesh_l7::gateway_api::ParentReference;
use mesh_l7::route::HostMatch;
use mesh_l7::target::ServiceTarget;

use super::services::{Services, target};
use crate::manifest::document::Labels;
use crate::manifest::kind::{GATEWAY_API, NETWORKING};
use crate::manifest::objects::FromNamespaces;

/// A port that a route is for, and how it came to be.
#[derive(Clone, Debug)]
pub(super) struct Attachment {
    pub(super) target: ServiceTarget,
    pub(super) by: By,
}

/// How a route came to be for a port.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum By {
    /// Its parent is the service, which is of the route's namespace.
    Service,
    /// Its parent is the service, which is of another namespace.
    Consumer,
    /// Its parent is the waypoint that the service uses.
    Waypoint,
}

/// The ports that a parent of a route in a namespace stands for. None when the parent is not this proxy's
/// business.
///
/// # Errors
/// Why a parent that would be stands for nothing.
pub(super) fn ports(
    services: &Services<'_>,
    namespace: &Name,
    hostnames: &[String],
    parent: &ParentReference,
) -> Result<Vec<Attachment>, String> {
    let group = parent.group.as_deref().unwrap_or(GATEWAY_API);
    let kind = parent.kind.as_deref().unwrap_or("Gateway");
    let of: &str = parent.namespace.as_deref().unwrap_or(namespace);
    let name = parent.name.as_str();
    let (found, by): (Vec<&ServiceSpec>, By) = match (group, kind) {
        ("", "Service") => {
            let service = services.kubernetes(of, name);
            let service = service.ok_or_else(|| format!("there is no service {of}/{name}"))?;
            (vec![service], by_service(namespace, of))
        }
        (NETWORKING, "ServiceEntry") => {
            let entry = services.inventory.service_entries.get(of, name);
            let entry = entry.ok_or_else(|| format!("there is no service entry {of}/{name}"))?;
            let hosts = entry
                .spec
                .hosts
                .iter()
                .map(|host| host.to_ascii_lowercase());
            let found = hosts.filter_map(|host| services.of(of, &host));
            (found.collect(), by_service(namespace, of))
        }
        (GATEWAY_API, "Gateway") => {
            let found = behind_waypoint(services, namespace, hostnames, of, name)?;
            (found, By::Waypoint)
        }
        _ => return Ok(Vec::new()),
    };
    let wanted = |port: u16| parent.port.is_none_or(|wanted| wanted == port);
    let mut attachments = Vec::new();
    for service in found {
        let ports = service.ports.iter().map(|(port, _)| port);
        attachments.extend(ports.filter(|port| wanted(*port)).map(|port| Attachment {
            target: target(service, port),
            by,
        }));
    }
    match (attachments.is_empty(), parent.port) {
        (true, Some(port)) if by != By::Waypoint => Err(format!("{of}/{name} has no port {port}")),
        _ => Ok(attachments),
    }
}

fn by_service(namespace: &Name, of: &str) -> By {
    match namespace == of {
        true => By::Service,
        false => By::Consumer,
    }
}

/// The services that use a waypoint, as far as host names mean them.
fn behind_waypoint<'a>(
    services: &Services<'a>,
    namespace: &Name,
    hostnames: &[String],
    of: &str,
    name: &str,
) -> Result<Vec<&'a ServiceSpec>, String> {
    let waypoint = services.mesh.waypoints.get(&(of.into(), name.into()));
    // Another gateway is another proxy's business.
    let Some(waypoint) = waypoint else {
        return Ok(Vec::new());
    };
    if !allows(services, of, name, namespace) {
        return Err(format!(
            "the waypoint {of}/{name} does not allow routes of the namespace {namespace}"
        ));
    }
    let hosts: Vec<HostMatch> = hostnames
        .iter()
        .filter_map(|host| HostMatch::parse(host).ok())
        .collect();
    let meant = |service: &&ServiceSpec| {
        let named = hosts.iter().any(|host| host.matches(&service.hostname));
        service.waypoint.as_ref() == Some(waypoint) && (hostnames.is_empty() || named)
    };
    Ok(services.mesh.services.values().filter(meant).collect())
}

/// Whether a listener of a gateway takes routes of a namespace; only those of its own unless it says more.
fn allows(services: &Services<'_>, of: &str, name: &str, namespace: &Name) -> bool {
    let Some(gateway) = services.inventory.gateways.get(of, name) else {
        return false;
    };
    if namespace == of {
        return true;
    }
    let labels = services.inventory.namespaces.get("", namespace);
    let none = Labels::new();
    let labels = labels.map_or(&none, |namespace| namespace.labels());
    let mut listeners = gateway.spec.listeners.iter();
    listeners.any(|listener| {
        let FromNamespaces { from, selector, .. } = &listener.allowed_routes.namespaces;
        match from.as_str() {
            "All" => true,
            "Selector" => selector.as_ref().is_some_and(|one| one.matches(labels)),
            _ => false,
        }
    })
}
