//! The client's side: where its proxy would send the connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_core::balance::PickMode;
use mesh_core::model::{GatewayAddress, GatewayDestination, Workload};
use mesh_core::resolve::{
    Hop, HopAddress, HostnameTarget, IpFamily, OutboundRequest, OutboundRoute, RouteReason, Step,
    outbound_hostname, outbound_traced,
};
use mesh_core::snapshot::MeshSnapshot;
use mesh_hbone::proxy::ThreadRandom;

use super::known::Known;
use super::question::Question;
use super::story::Story;
use super::{arrival, endpoints, policy};

/// The workload of a namespace with a name.
pub(super) fn named<'a>(
    mesh: &'a MeshSnapshot,
    namespace: &str,
    name: &str,
) -> Option<&'a Arc<Workload>> {
    let is = |workload: &&Arc<Workload>| {
        *workload.namespace() == *namespace && *workload.name() == *name
    };
    mesh.workloads().find(is)
}

/// The first virtual IP of a service, by its name or its host name.
pub(super) fn vip(known: &Known<'_>, namespace: &str, name: &str) -> Option<IpAddr> {
    let is = |name_of: &str, hostname: &str| name_of == name || hostname == name;
    let service = known.mesh.services().find(|service| {
        let spec = service.spec();
        *spec.namespace == *namespace && is(&spec.name, &spec.hostname)
    })?;
    let mut vips = service.spec().vips.iter();
    vips.find(|vip| *vip.network == *known.network)
        .map(|vip| vip.ip)
}

/// What a host name stands for to a client.
pub(super) fn host(
    known: &Known<'_>,
    client: Option<&Arc<Workload>>,
    name: &str,
    port: u16,
) -> Option<IpAddr> {
    match outbound_hostname(known.mesh, known.config, client?, name, port, IpFamily::V4) {
        HostnameTarget::Mesh(address) => Some(address.ip()),
        HostnameTarget::Unknown | HostnameTarget::Unanswered | HostnameTarget::Rejected => None,
    }
}

/// The client in words.
pub(super) fn client(known: &Known<'_>, client: &Workload, ip: IpAddr) -> String {
    let identity = client
        .identity()
        .map_or("no identity".to_owned(), |id| id.to_string());
    let own = known.local.is_some_and(|local| local.uid() == client.uid());
    let whose = if own {
        "the workload of this proxy"
    } else {
        "of another proxy, asked with what this one knows"
    };
    format!("{ip} is {} ({identity}), {whose}", client.uid())
}

/// Asks the resolver of the client's proxy, and goes on to where that leads.
pub(super) fn explain(
    known: &Known<'_>,
    client: &Arc<Workload>,
    (peer, destination): (SocketAddr, SocketAddr),
    question: &Question,
    story: &mut Story,
) {
    let request = OutboundRequest::new(peer.ip(), destination);
    let mut trace = |step: Step<'_>| note(known, client, step, story);
    let route = outbound_traced(
        known.mesh,
        known.config,
        client,
        &request,
        &mut ThreadRandom,
        &mut trace,
    );
    match route {
        Err(error) => story.conclude(
            Some(false),
            format!("the client's proxy closes the connection: {error}"),
        ),
        Ok(route) => {
            story.note("next hop", hop(&route.hop));
            follow(known, client, peer, &route, question, story);
        }
    }
}

fn note(known: &Known<'_>, client: &Workload, step: Step<'_>, story: &mut Story) {
    match step {
        Step::Service(service) => {
            let text = format!("the destination is the service {}", service.key());
            story.note("destination", text);
        }
        Step::Workload(workload) => {
            let text = format!("the destination is the workload {}", workload.uid());
            story.note("destination", text);
        }
        Step::UnknownDestination => {
            story.note("destination", "the mesh does not know the destination");
        }
        Step::Waypoint {
            reference,
            is_source: false,
        } => story.note(
            "waypoint",
            format!("it is behind the waypoint {}", refer(reference)),
        ),
        Step::Waypoint { reference, .. } => story.note(
            "waypoint",
            format!(
                "the client is its waypoint {}, so it goes to what is behind it",
                refer(reference)
            ),
        ),
        Step::NetworkGateway {
            upstream,
            reference,
        } => story.note(
            "gateway",
            format!(
                "{} is in the network `{}`, behind the gateway {}",
                upstream.uid(),
                upstream.network(),
                refer(reference)
            ),
        ),
        Step::Endpoint {
            service,
            port,
            mode,
            picked,
        } => {
            endpoints::explain(known, client, (service, port, mode), picked, story);
            if mode == PickMode::Standard {
                policy::explain(known, client, (service, port), story);
            }
        }
        _ => {}
    }
}

fn refer(reference: &GatewayAddress) -> String {
    let port = reference.hbone_mtls_port;
    match &reference.destination {
        GatewayDestination::Address(address) => format!("{address} port {port}"),
        GatewayDestination::Hostname(name) => format!("{name} port {port}"),
        _ => format!("port {port}"),
    }
}

fn hop(hop: &Hop) -> String {
    match hop {
        Hop::Passthrough { to } => format!("plain TCP to {to}, as the client asked"),
        Hop::Tcp { to } => format!("plain TCP to {}", place(to)),
        Hop::Hbone {
            to,
            authority,
            expected,
        } => {
            let authority = match to {
                HopAddress::Ip(to) => authority.at(to.ip()).to_string(),
                HopAddress::Hostname { name, .. } => format!("the address of {name}"),
            };
            let peers = peers(expected.iter());
            format!("HBONE to {}, for {authority}, expecting {peers}", place(to))
        }
        Hop::DoubleHbone {
            gateway,
            gateway_expected,
            authority,
            expected,
        } => format!(
            "HBONE to the gateway {}, expecting {}, and in it HBONE for {authority}, expecting {}",
            place(gateway),
            peers(gateway_expected.iter()),
            peers(expected.iter())
        ),
    }
}

fn place(address: &HopAddress) -> String {
    match address {
        HopAddress::Ip(address) => address.to_string(),
        HopAddress::Hostname { name, port, .. } => format!("{name}:{port} (to be looked up)"),
    }
}

fn peers(ids: impl Iterator<Item = impl std::fmt::Display>) -> String {
    let ids: Vec<_> = ids.map(|id| id.to_string()).collect();
    ids.join(" or ")
}

/// What the next hop would do.
fn follow(
    known: &Known<'_>,
    client: &Arc<Workload>,
    peer: SocketAddr,
    route: &OutboundRoute,
    question: &Question,
    story: &mut Story,
) {
    let to = match (&route.hop, route.reason) {
        (
            Hop::Passthrough { to }
            | Hop::Tcp {
                to: HopAddress::Ip(to),
            },
            _,
        ) => {
            let text = format!("carried as plain TCP to {to}; no policy of the mesh is asked");
            return story.conclude(Some(true), text);
        }
        (_, RouteReason::ServiceWaypoint | RouteReason::WorkloadWaypoint) => {
            let text = "carried by HBONE to the waypoint, which decides what follows";
            return story.conclude(None, text);
        }
        (Hop::DoubleHbone { .. }, _) => {
            let text = "carried by HBONE in HBONE to another network, which decides what follows";
            return story.conclude(None, text);
        }
        (
            Hop::Hbone {
                to: HopAddress::Ip(to),
                authority,
                ..
            },
            _,
        ) => (*to, authority.at(to.ip())),
        (Hop::Tcp { .. } | Hop::Hbone { .. }, _) => {
            let text = "carried to an address that is looked up when the connection comes";
            return story.conclude(None, text);
        }
    };
    if let Some(server) = &route.destination {
        let identity = question.identity.clone().or_else(|| client.identity());
        arrival::tunnelled(
            known,
            server,
            (peer, to.0),
            (&to.1, identity.as_ref()),
            story,
        );
    }
}
