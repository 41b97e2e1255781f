//! Who is asked for: a workload, or the waypoint of a service.

use mesh_authz::kube::{GATEWAY_LABEL, Labels, Served, ServiceKind, Subject};
use mesh_core::name::Name;
use mesh_xds::manifest::Inventory;

const USE_WAYPOINT: &str = "istio.io/use-waypoint";
const USE_WAYPOINT_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
const WAYPOINT_CLASS: &str = "istio-waypoint";
const WAYPOINT_CONTROLLER: &str = "istio.io/mesh-controller";

/// Who is asked for, with what policies are attached by.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    pub(crate) namespace: Name,
    pub(crate) name: Name,
    pub(crate) labels: Labels,
    role: Role,
}

#[derive(Clone, Debug)]
enum Role {
    Workload,
    Waypoint {
        serves: Vec<(ServiceKind, Name, Name)>,
        /// Whether the manifests say which waypoint it is.
        is_known: bool,
    },
}

impl Party {
    /// A pod, or a workload entry, `namespace/name`.
    ///
    /// # Errors
    /// That there is none.
    pub(crate) fn workload(key: &str, inventory: &Inventory) -> Result<Self, String> {
        let (namespace, name) = split("workload", key)?;
        let labels = if let Some(pod) = inventory.pods.get(namespace, name) {
            pod.labels().clone()
        } else if let Some(entry) = inventory.workload_entries.get(namespace, name) {
            let mut labels = entry.labels().clone();
            labels.extend(entry.spec.labels.clone());
            labels
        } else {
            return Err(format!(
                "workload: no Pod and no WorkloadEntry {key} in the manifests"
            ));
        };
        let gateway = labels.get(GATEWAY_LABEL);
        let role = match gateway {
            Some(gateway) if is_waypoint(namespace, gateway, inventory) => Role::Waypoint {
                serves: Vec::new(),
                is_known: true,
            },
            _ => Role::Workload,
        };
        Ok(Self {
            namespace: namespace.into(),
            name: name.into(),
            labels,
            role,
        })
    }

    /// The waypoint of a service or service entry, `namespace/name`.
    ///
    /// A service of which the manifests name no waypoint is served by one of its own namespace that
    /// no policy targets by name.
    ///
    /// # Errors
    /// That there is no such service, or that it is to have no waypoint.
    pub(crate) fn waypoint_of(key: &str, inventory: &Inventory) -> Result<Self, String> {
        let (namespace, name) = split("service", key)?;
        let (kind, labels) = if let Some(service) = inventory.services.get(namespace, name) {
            (ServiceKind::Service, service.labels())
        } else if let Some(entry) = inventory.service_entries.get(namespace, name) {
            (ServiceKind::ServiceEntry, entry.labels())
        } else {
            return Err(format!(
                "service: no Service and no ServiceEntry {key} in the manifests"
            ));
        };
        let of_namespace = inventory.namespaces.get("", namespace);
        let of_namespace = of_namespace.map(|namespace| namespace.labels());
        let asked = [Some(labels), of_namespace].into_iter().flatten();
        let asked = asked
            .filter_map(|labels| waypoint(labels, namespace))
            .next();
        if asked.as_ref().is_some_and(|(_, name)| *name == "none") {
            return Err(format!(
                "service: {key} is to have no waypoint ({USE_WAYPOINT}: none)"
            ));
        }
        let is_known = asked.is_some();
        // No gateway has an empty name.
        let (of, waypoint) = asked.unwrap_or((namespace, ""));
        Ok(Self {
            namespace: of.into(),
            name: waypoint.into(),
            labels: Labels::from([(GATEWAY_LABEL.to_owned(), waypoint.to_owned())]),
            role: Role::Waypoint {
                serves: vec![(kind, namespace.into(), name.into())],
                is_known,
            },
        })
    }

    /// Calls `f` with the form in which policies are attached.
    pub(crate) fn subject<T>(&self, f: impl FnOnce(Subject<'_>) -> T) -> T {
        let subject = Subject::new(&self.namespace, &self.labels);
        match &self.role {
            Role::Workload => f(subject),
            Role::Waypoint { serves, .. } => {
                let served = serves.iter().map(|(kind, namespace, name)| Served {
                    kind: *kind,
                    namespace,
                    name,
                });
                let served: Vec<_> = served.collect();
                f(subject.waypoint(&served))
            }
        }
    }

    pub(crate) fn is_waypoint(&self) -> bool {
        matches!(self.role, Role::Waypoint { .. })
    }

    /// In words.
    pub(crate) fn describe(&self) -> String {
        let (namespace, name) = (&self.namespace, &self.name);
        match &self.role {
            Role::Workload => format!("workload {namespace}/{name}"),
            Role::Waypoint { is_known: true, .. } => format!("waypoint {namespace}/{name}"),
            Role::Waypoint {
                is_known: false, ..
            } => "a waypoint that the manifests do not name; policies for gateways do not apply"
                .to_owned(),
        }
    }
}

fn split<'k>(field: &str, key: &'k str) -> Result<(&'k str, &'k str), String> {
    let parts = key.split_once('/');
    let parts = parts.filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
    parts.ok_or_else(|| format!("{field}: expected NAMESPACE/NAME, got {key:?}"))
}

/// The namespace and the name of the waypoint that labels ask for.
pub(crate) fn waypoint<'l>(labels: &'l Labels, namespace: &'l str) -> Option<(&'l str, &'l str)> {
    let text = |label: &str| {
        let text = labels.get(label).map(String::as_str);
        text.filter(|text| !text.is_empty())
    };
    let name = text(USE_WAYPOINT)?;
    Some((text(USE_WAYPOINT_NAMESPACE).unwrap_or(namespace), name))
}

/// Whether a gateway is a waypoint, by its class or the controller of its class.
pub(crate) fn is_waypoint(namespace: &str, name: &str, inventory: &Inventory) -> bool {
    let Some(gateway) = inventory.gateways.get(namespace, name) else {
        return false;
    };
    let class = gateway.spec.gateway_class_name.as_str();
    match inventory.gateway_classes.get("", class) {
        Some(class) => class.spec.controller_name == WAYPOINT_CONTROLLER,
        None => class == WAYPOINT_CLASS,
    }
}
