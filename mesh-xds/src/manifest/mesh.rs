//! From objects to the workloads and services that they mean, as Istio's control plane makes them
//! for ambient mode.
//!
//! A pure function of the objects in force. What is read more strictly than the control plane
//! does, because what is not protected should not be reached:
//! - a service whose waypoint is not there keeps the reference, so that connections to it fail
//!   until the waypoint is there; so does one whose waypoint does not allow its namespace;
//! - a pod that no API server has seen (without `metadata.uid`) speaks HBONE as soon as it or its
//!   namespace is in ambient mode, since nobody can have annotated it.

mod addresses;
mod balancing;
mod draft;
mod entries;
mod names;
mod networks;
mod options;
mod pods;
mod services;
mod slices;
mod waypoints;
mod workload_entries;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mesh_core::identity::SpiffeId;
use mesh_core::model::{GatewayAddress, ServiceSpec, WorkloadSpec};
use mesh_core::name::Name;

use super::document::{Document, Labels, ObjectKey};
use super::inventory::Inventory;
use super::problem::Problem;
use draft::Draft;
pub use options::MeshOptions;
use waypoints::Waypoints;

/// The workloads and services that objects mean.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Mesh {
    /// Workloads by uid.
    pub workloads: BTreeMap<Name, WorkloadSpec>,
    /// Services by `namespace/hostname`.
    pub services: BTreeMap<Name, ServiceSpec>,
    /// Labels of the workloads that have any, by uid.
    pub labels: BTreeMap<Name, Arc<Labels>>,
    /// Where waypoints are, by namespace and name of their gateway.
    pub waypoints: BTreeMap<(Name, Name), GatewayAddress>,
    /// What keeps objects from being in it, or from being what they mean.
    pub notes: Vec<(ObjectKey, Problem)>,
}

/// Which selected policies a workload of a namespace with these labels has, by key.
pub type PoliciesOf<'a> = &'a dyn Fn(&str, &Labels) -> Vec<Name>;

/// The workloads and services that the objects mean.
///
/// ```
/// use mesh_core::model::TunnelProtocol;
/// use mesh_xds::manifest::{Catalog, MeshOptions, mesh};
///
/// let mut catalog = Catalog::new();
/// catalog.set_file("web.yaml", "
/// apiVersion: v1
/// kind: Pod
/// metadata:
///   name: web
///   labels: {app: web}
///   annotations: {ambient.istio.io/redirection: enabled}
/// spec: {serviceAccountName: web, nodeName: node-1}
/// status: {podIP: 10.0.0.1}
/// ");
/// catalog.settle();
/// let options = MeshOptions::new("cluster.local".parse()?);
/// let mesh = mesh::build(&catalog.inventory(), &options, &|_, _| Vec::new());
/// let web = &mesh.workloads["Kubernetes//Pod/default/web"];
/// assert_eq!(web.tunnel_protocol, TunnelProtocol::Hbone);
/// # Ok::<(), mesh_core::identity::InvalidSpiffeId>(())
/// ```
#[must_use]
pub fn build(inventory: &Inventory, options: &MeshOptions, policies: PoliciesOf<'_>) -> Mesh {
    let network = network(inventory, options);
    let mut builder = Builder {
        inventory,
        options,
        policies,
        waypoints: Waypoints::new(inventory, options, &network),
        network,
        drafts: Vec::new(),
        by_namespace: BTreeMap::new(),
        by_object: HashMap::new(),
        mesh: Mesh::default(),
    };
    builder.kubernetes_services();
    builder.service_entries();
    builder.pods();
    builder.workload_entries();
    builder.inline_endpoints();
    builder.slices();
    builder.finish()
}

/// The network of what says none: that of the root namespace, or the one of the options.
fn network(inventory: &Inventory, options: &MeshOptions) -> Name {
    let root = inventory
        .namespaces
        .get("", &options.policies.root_namespace);
    let label = root.and_then(|root| root.label(names::NETWORK));
    label.map_or_else(|| options.network.clone(), Name::from)
}

/// The mesh under construction.
struct Builder<'a> {
    inventory: &'a Inventory,
    options: &'a MeshOptions,
    policies: PoliciesOf<'a>,
    network: Name,
    waypoints: Waypoints,
    drafts: Vec<Draft<'a>>,
    /// Places of drafts, by namespace and by what they are made of.
    by_namespace: BTreeMap<Name, Vec<usize>>,
    by_object: HashMap<ObjectKey, Vec<usize>>,
    mesh: Mesh,
}

impl<'a> Builder<'a> {
    fn note(&mut self, document: &Document, path: &str, text: impl Into<String>) {
        let problem = document.problem(path, text);
        self.mesh.notes.push((document.key().clone(), problem));
    }

    /// Adds a workload whose identity is usable; others would be reached by nobody.
    fn workload(&mut self, document: &Document, workload: WorkloadSpec, labels: &Labels) {
        let domain = self.options.trust_domain.clone();
        if let Err(error) = SpiffeId::new(domain, &workload.namespace, &workload.service_account) {
            let text = format!("the workload would have no usable identity: {error}");
            return self.note(document, "", text);
        }
        let uid = workload.uid.clone();
        if !labels.is_empty() {
            let labels = Arc::new(labels.clone());
            self.mesh.labels.insert(uid.clone(), labels);
        }
        if self.mesh.workloads.insert(uid, workload).is_some() {
            self.note(document, "", "one of its addresses is there twice");
        }
    }

    /// What all workloads have alike.
    fn base(&self, document: &Document, uid: String, labels: &Labels) -> WorkloadSpec {
        let network = labels
            .get(names::NETWORK)
            .map(|network| Name::from(network.as_str()));
        let network = network.unwrap_or_else(|| self.network.clone());
        WorkloadSpec {
            uid: uid.into(),
            name: document.key().name.clone(),
            namespace: document.namespace().clone(),
            trust_domain: self.options.trust_domain.as_str().into(),
            service_account: "default".into(),
            cluster_id: self.options.cluster_id.clone(),
            network_gateway: self.waypoints.gateway_of(&network).cloned(),
            network,
            ..WorkloadSpec::default()
        }
    }

    fn finish(mut self) -> Mesh {
        for draft in std::mem::take(&mut self.drafts) {
            let key = Name::from(format!("{}/{}", draft.spec.namespace, draft.spec.hostname));
            self.mesh.services.insert(key, draft.spec);
        }
        let Mesh {
            workloads,
            services,
            ..
        } = &mut self.mesh;
        let domain = &self.options.trust_domain;
        networks::name_remote_peers(workloads, services, domain, &self.network);
        self.mesh.waypoints = self.waypoints.addresses();
        self.mesh
    }

    /// The services that an object is made into.
    fn drafts_of(&self, object: &ObjectKey) -> impl Iterator<Item = &Draft<'a>> {
        let places = self.by_object.get(object).into_iter().flatten();
        places.filter_map(|at| self.drafts.get(*at))
    }

    /// The services of a namespace that select these labels.
    fn selecting(&self, namespace: &str, labels: &Labels) -> Vec<&Draft<'a>> {
        let of_namespace = self.by_namespace.get(namespace).into_iter().flatten();
        let drafts = of_namespace.filter_map(|at| self.drafts.get(*at));
        drafts.filter(|draft| draft.selects(labels)).collect()
    }
}

#[cfg(test)]
mod tests;
