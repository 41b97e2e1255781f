//! Routes and settings of upstreams, from the objects in force (feature `routes`).
//!
//! `HTTPRoute`, `GRPCRoute` and `VirtualService` become one [`RouteTable`] by the service and port that
//! clients connect to; `TCPRoute`, `TLSRoute`, and `tcp` and `tls` of `VirtualService`, become one [`TcpRouteTable`] for
//! what is carried as bytes; `DestinationRule` becomes settings and subsets of upstreams. A pure function of the objects
//! and of the mesh that they mean.
//!
//! Of what is about one port of a service, this counts:
//! 1. routes of the Gateway API whose parent is the service, merged in the API's order of precedence;
//! 2. else those whose parent is the waypoint that the service uses, as far as their host names mean it;
//! 3. else the virtual service whose host is the most specific one, the oldest of several;
//! 4. else all requests go to the service.
//!
//! A route whose parent is a service of another namespace is for clients of its own namespace (GAMMA's
//! consumer routes).
//!
//! Conditions or settings that are wrong refuse a version of an object, and the last good version stays; where
//! there is none, rules that are wrong answer 500. What an object refers to may come later: until it is
//! there, its share of the requests is answered 500.
//!
//! Source: Gateway API v1, GEP-1294 and GEP-1709; Istio's `networking.istio.io/v1`.

mod attach;
mod check;
mod connections;
mod destination_rules;
mod earlier;
mod gateway_api;
mod grants;
mod hosts;
mod options;
mod protocols;
mod routing;
mod services;
#[cfg(test)]
mod tests;
mod virtual_services;

use mesh_l7::route::RouteTable;
use mesh_l7::tcp::TcpRouteTable;

use super::inventory::Inventory;
use super::mesh::{Mesh, MeshOptions};

pub(super) use check::check;
use earlier::EarlierRules;
pub use options::RouteOptions;
pub use routing::Routing;

/// The routes and settings that the objects mean, in the mesh that they mean.
///
/// ```
/// use mesh_l7::mesh::UpstreamConfig;
/// use mesh_xds::manifest::{Catalog, MeshOptions, RouteOptions, mesh, routes};
///
/// let mut catalog = Catalog::new();
/// catalog.set_file("web.yaml", "
/// apiVersion: v1
/// kind: Service
/// metadata: {name: web, namespace: shop}
/// spec: {clusterIP: 10.1.0.1, ports: [{port: 80, appProtocol: http}]}
/// ---
/// apiVersion: networking.istio.io/v1
/// kind: VirtualService
/// metadata: {name: web, namespace: shop}
/// spec:
///   hosts: [web]
///   http: [{route: [{destination: {host: web}}], timeout: 1s}]
/// ");
/// catalog.settle();
/// let (inventory, options) = (catalog.inventory(), MeshOptions::new("cluster.local".parse()?));
/// let mesh = mesh::build(&inventory, &options, &|_, _| Vec::new());
/// let routing = routes::build(&inventory, &mesh, &options, &RouteOptions::default());
/// assert_eq!(routing.table.len(), 1);
/// # Ok::<(), mesh_core::identity::InvalidSpiffeId>(())
/// ```
#[must_use]
pub fn build(
    inventory: &Inventory,
    mesh: &Mesh,
    options: &MeshOptions,
    routes: &RouteOptions,
) -> Routing {
    rebuild(&Routing::default(), inventory, mesh, options, routes)
}

/// As [`build`]. Rules that say what they said `earlier` are those of then, so that both take little more memory than
/// one while one replaces the other.
#[must_use]
pub fn rebuild(
    earlier: &Routing,
    inventory: &Inventory,
    mesh: &Mesh,
    options: &MeshOptions,
    routes: &RouteOptions,
) -> Routing {
    let (destinations, mut notes) =
        destination_rules::destinations(inventory, mesh, options, routes);
    let services = services::Services::new(inventory, mesh, options, &destinations);
    let gateway_api = gateway_api::compile(
        inventory,
        &services,
        &EarlierRules::of(&earlier.table),
        &mut notes,
    );
    let mut virtual_services = virtual_services::VirtualServices::new(inventory, &services);
    let connections = connections::compile(inventory, &services, &mut notes);
    let protocols = protocols::protocols(inventory, options);
    let mut table = RouteTable::default();
    let mut tcp = TcpRouteTable::default();
    for spec in mesh.services.values() {
        for (port, _) in spec.ports.iter() {
            let target = services::target(spec, port);
            for (namespace, hosts) in gateway_api.consumers(&target) {
                table.insert_for(namespace, &target, hosts);
            }
            let hosts = match gateway_api.producer(&target) {
                Some(hosts) => Some(hosts),
                None => virtual_services.of(spec, port),
            };
            if let Some(hosts) = hosts {
                table.insert_as_in(&earlier.table, &target, hosts);
            }
            let rules = connections.of(&target);
            if let Some(rules) = rules.or_else(|| virtual_services.connections(spec, port)) {
                tcp.insert(&target, rules);
            }
        }
    }
    notes.extend(virtual_services.into_notes());
    Routing {
        table,
        tcp,
        destinations,
        labels: mesh.labels.clone(),
        protocols,
        by_labels: virtual_services::ask_for_labels(inventory),
        notes,
    }
}
