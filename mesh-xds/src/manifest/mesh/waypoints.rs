//! Waypoints, who uses them, and gateways to other networks.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_core::model::{
    ApplicationProtocol, ApplicationTunnel, GatewayAddress, GatewayDestination, NamespacedHostname,
    NetworkAddress,
};
use mesh_core::name::Name;

use super::options::MeshOptions;
use super::{addresses, names};
use crate::manifest::document::Labels;
use crate::manifest::inventory::{Inventory, Object};
use crate::manifest::objects::{AllowedRoutes, FromNamespaces, GatewaySpec, GatewayStatus};

/// The HBONE port of waypoints and gateways that name none.
const HBONE: u16 = 15008;
const WAYPOINT_CLASS: &str = "istio-waypoint";
const WAYPOINT_CONTROLLER: &str = "istio.io/mesh-controller";
const NETWORK_CLASSES: &[&str] = &["istio-remote", "istio-east-west"];

type Gateway = Object<GatewaySpec, GatewayStatus>;

/// The waypoints of the mesh.
pub(super) struct Waypoints {
    waypoints: BTreeMap<(Name, Name), Waypoint>,
    gateways: BTreeMap<Name, GatewayAddress>,
    namespaces: BTreeMap<Name, Labels>,
    domain: Name,
}

struct Waypoint {
    address: GatewayAddress,
    traffic: Traffic,
    allowed: FromNamespaces,
    tunnel: Option<ApplicationTunnel>,
}

/// What a waypoint is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Traffic {
    Services,
    Workloads,
    All,
    None,
}

/// What asks for a waypoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asking {
    Service,
    Workload,
}

/// The waypoint of something, and what is wrong with that.
#[derive(Default)]
pub(super) struct Use {
    pub(super) waypoint: Option<GatewayAddress>,
    pub(super) problem: Option<String>,
}

impl Waypoints {
    pub(super) fn new(inventory: &Inventory, options: &MeshOptions, network: &Name) -> Self {
        let mut gateways: Vec<&Arc<Gateway>> = inventory.gateways.iter().collect();
        // The oldest gateway of a network is the one that counts.
        gateways.sort_by_key(|gateway| gateway.metadata().creation_timestamp.clone());
        let of_network = gateways.iter().rev().filter_map(|gateway| {
            let network = gateway.label(names::NETWORK)?;
            NETWORK_CLASSES
                .contains(&gateway.spec.gateway_class_name.as_str())
                .then(|| (network.into(), address(gateway, options, network)))
        });
        let waypoints = gateways
            .iter()
            .filter(|gateway| is_waypoint(gateway, inventory));
        let waypoints = waypoints.map(|gateway| {
            let key = (gateway.namespace().clone(), gateway.name().clone());
            (key, waypoint(gateway, inventory, options, network))
        });
        let namespaces = inventory.namespaces.iter();
        let namespaces =
            namespaces.map(|namespace| (namespace.name().clone(), namespace.labels().clone()));
        Self {
            waypoints: waypoints.collect(),
            gateways: of_network.collect(),
            namespaces: namespaces.collect(),
            domain: options.domain.clone(),
        }
    }

    /// Where waypoints are, by namespace and name.
    pub(super) fn addresses(&self) -> BTreeMap<(Name, Name), GatewayAddress> {
        let waypoints = self.waypoints.iter();
        waypoints
            .map(|(key, waypoint)| (key.clone(), waypoint.address.clone()))
            .collect()
    }

    /// The gateway to a network.
    pub(super) fn gateway_of(&self, network: &str) -> Option<&GatewayAddress> {
        self.gateways.get(network)
    }

    /// Whether what has these labels, or a service of this name, belongs to a waypoint.
    pub(super) fn is_part(&self, namespace: &str, labels: &Labels) -> bool {
        labels.get(names::GATEWAY_MANAGED).map(String::as_str) == Some(names::MESH_CONTROLLER)
            || self.instance(namespace, labels).is_some()
    }

    /// Whether a waypoint is reached by a service of this name.
    pub(super) fn is_service(&self, namespace: &str, name: &str) -> bool {
        self.waypoints
            .contains_key(&(namespace.into(), name.into()))
    }

    /// The tunnel into an instance of a waypoint, if it needs one; `None` for what is no instance.
    pub(super) fn instance(
        &self,
        namespace: &str,
        labels: &Labels,
    ) -> Option<Option<ApplicationTunnel>> {
        let name = labels.get(names::GATEWAY_NAME)?.as_str();
        let waypoint = self.waypoints.get(&(namespace.into(), name.into()))?;
        Some(waypoint.tunnel)
    }

    /// Labels of a namespace.
    pub(super) fn namespace(&self, namespace: &str) -> Option<&Labels> {
        self.namespaces.get(namespace)
    }

    /// The waypoint that something with these labels uses.
    pub(super) fn used(&self, asking: Asking, namespace: &str, labels: &Labels) -> Use {
        let asked = asked(labels, namespace).or_else(|| {
            let labels = self.namespaces.get(namespace)?;
            asked(labels, namespace)
        });
        let Some(Some((of, name))) = asked else {
            return Use::default();
        };
        let Some(waypoint) = self.waypoints.get(&(of.clone(), name.clone())) else {
            // What it would be for is not known; without a label it is for services.
            let hostname = format!("{name}.{of}.svc.{}", self.domain);
            let address = by_hostname(&of, &hostname, HBONE);
            let problem = format!(
                "there is no waypoint {of}/{name}; connections that would go through it are refused"
            );
            return Use {
                waypoint: (asking == Asking::Service).then_some(address),
                problem: (asking == Asking::Service).then_some(problem),
            };
        };
        let fits = match asking {
            Asking::Service => matches!(waypoint.traffic, Traffic::Services | Traffic::All),
            Asking::Workload => matches!(waypoint.traffic, Traffic::Workloads | Traffic::All),
        };
        if !fits {
            return Use::default();
        }
        let allowed = waypoint.allows(&of, namespace, self.namespaces.get(namespace));
        Use {
            waypoint: Some(waypoint.address.clone()),
            problem: (!allowed).then(|| {
                format!("the waypoint {of}/{name} does not allow the namespace {namespace}")
            }),
        }
    }
}

impl Waypoint {
    /// Source: Gateway API, `allowedRoutes` of the listener for HBONE; `Same` unless it says more.
    fn allows(&self, own: &str, namespace: &str, labels: Option<&Labels>) -> bool {
        match self.allowed.from.as_str() {
            "All" => true,
            "Selector" => {
                let none = Labels::new();
                let selector = self.allowed.selector.as_ref();
                selector.is_some_and(|selector| selector.matches(labels.unwrap_or(&none)))
            }
            "Same" | "" => own == namespace,
            _ => false,
        }
    }
}

/// The namespace and the name of the waypoint that labels ask for: `None` when they say nothing,
/// `Some(None)` when there is to be none.
fn asked(labels: &Labels, namespace: &str) -> Option<Option<(Name, Name)>> {
    let name = labels
        .get(names::USE_WAYPOINT)
        .filter(|name| !name.is_empty())?;
    if name == "none" {
        return Some(None);
    }
    let of = labels
        .get(names::USE_WAYPOINT_NAMESPACE)
        .map(String::as_str);
    let of = of.filter(|of| !of.is_empty()).unwrap_or(namespace);
    Some(Some((of.into(), name.as_str().into())))
}

fn is_waypoint(gateway: &Gateway, inventory: &Inventory) -> bool {
    let class = gateway.spec.gateway_class_name.as_str();
    let class_object = inventory.gateway_classes.get("", class);
    match class_object {
        Some(class) => class.spec.controller_name == WAYPOINT_CONTROLLER,
        None => class == WAYPOINT_CLASS,
    }
}

fn waypoint(
    gateway: &Gateway,
    inventory: &Inventory,
    options: &MeshOptions,
    network: &str,
) -> Waypoint {
    let class = inventory
        .gateway_classes
        .get("", &gateway.spec.gateway_class_name);
    let word = gateway
        .label(names::WAYPOINT_FOR)
        .or_else(|| class?.label(names::WAYPOINT_FOR));
    let traffic = match word {
        Some("workload") => Traffic::Workloads,
        Some("all") => Traffic::All,
        Some("none") => Traffic::None,
        _ => Traffic::Services,
    };
    let binding = gateway
        .annotation(names::INBOUND_BINDING)
        .or_else(|| class?.annotation(names::INBOUND_BINDING));
    Waypoint {
        address: address(gateway, options, network),
        traffic,
        allowed: hbone_listener(gateway)
            .map(|listener| listener.1.namespaces.clone())
            .unwrap_or_default(),
        tunnel: binding.and_then(tunnel),
    }
}

/// `PROXY/15088`, or `PROXY` alone for the port that is asked for.
fn tunnel(binding: &str) -> Option<ApplicationTunnel> {
    let (protocol, port) = binding.split_once('/').unwrap_or((binding, ""));
    let protocol = match protocol {
        "PROXY" => ApplicationProtocol::Proxy,
        "NONE" => ApplicationProtocol::None,
        _ => return None,
    };
    let port = port.parse().ok();
    Some(ApplicationTunnel { protocol, port })
}

fn hbone_listener(gateway: &Gateway) -> Option<(u16, &AllowedRoutes)> {
    let listeners = gateway.spec.listeners.iter();
    let mut hbone = listeners.filter(|listener| listener.protocol == "HBONE");
    hbone
        .next()
        .map(|listener| (listener.port.get(), &listener.allowed_routes))
}

/// Where a gateway is reached: by what it has got, else what it asked for, else the service that
/// is called like it.
fn address(gateway: &Gateway, options: &MeshOptions, network: &str) -> GatewayAddress {
    let port = hbone_listener(gateway).map_or(HBONE, |(port, _)| port);
    let of = gateway.namespace();
    let given = gateway
        .status
        .addresses
        .iter()
        .chain(&gateway.spec.addresses);
    for address in given {
        if let Some(ip) = addresses::ip(&address.value) {
            let network = gateway.label(names::NETWORK).unwrap_or(network);
            let address = NetworkAddress::new(network, ip);
            return GatewayAddress {
                destination: GatewayDestination::Address(address),
                hbone_mtls_port: port,
            };
        }
        if address.kind == "Hostname" && addresses::is_hostname(&address.value) {
            return by_hostname(of, &address.value, port);
        }
    }
    let hostname = format!("{}.{of}.svc.{}", gateway.name(), options.domain);
    by_hostname(of, &hostname, port)
}

fn by_hostname(namespace: &Name, hostname: &str, port: u16) -> GatewayAddress {
    let hostname = NamespacedHostname::new(namespace.clone(), hostname);
    GatewayAddress {
        destination: GatewayDestination::Hostname(hostname),
        hbone_mtls_port: port,
    }
}
