//! What policies come to at a node proxy: those of the whole mesh and of namespaces, and those that
//! workloads are selected by.
//!
//! Policies with targets are for waypoints and gateways. What asks for requests is cut down to what
//! a node proxy knows, so that in [`Profile::Strict`](mesh_authz::kube::Profile) nothing passes that a policy denies. A
//! `PeerAuthentication` becomes a policy that refuses peers without identity.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_authz::kube::{
    Attachment, Authorization, EffectiveMtls, MtlsPolicy, MtlsShape, PeerPolicy, Settings, Subject,
    static_strict,
};
use mesh_authz::spec::PolicySpec;
use mesh_core::name::Name;

use super::document::{GroupKind, Labels, ObjectKey};
use super::inventory::Inventory;
use super::kind::SECURITY;
use super::problem::Problem;
use crate::place::Place;

/// The policies of a node proxy, and who has which.
pub(super) struct NodePolicies<'a> {
    settings: &'a Settings,
    /// What applies to all workloads of the mesh or of a namespace, and what workloads name.
    policies: BTreeMap<Name, PolicySpec>,
    /// Policies with a selector, by namespace.
    selecting: BTreeMap<&'a Name, Vec<&'a Authorization>>,
    peers: Vec<&'a PeerPolicy>,
    /// Policies that peer authentication comes to, as far as a workload has them.
    mutual: RefCell<BTreeMap<Name, PolicySpec>>,
    /// What is lost of policies that ask for more than a node proxy knows.
    pub(super) notes: Vec<(ObjectKey, Problem)>,
}

impl<'a> NodePolicies<'a> {
    pub(super) fn new(inventory: &'a Inventory, settings: &'a Settings) -> Self {
        let peers = inventory.peer_authentications.iter();
        let mut node = Self {
            settings,
            policies: BTreeMap::new(),
            selecting: BTreeMap::new(),
            peers: peers.map(Arc::as_ref).collect(),
            mutual: RefCell::default(),
            notes: Vec::new(),
        };
        for policy in inventory.authorization_policies.iter() {
            node.add(policy);
        }
        node
    }

    fn add(&mut self, policy: &'a Authorization) {
        if matches!(policy.attachment, Attachment::Targets(_)) {
            return;
        }
        let projection = policy.project_l4(self.settings.profile);
        if let Some(status) = projection.status {
            self.note(policy, &status);
        }
        let Some(spec) = projection.policy else {
            return;
        };
        if matches!(policy.attachment, Attachment::Labels(_)) {
            let namespace = &policy.provenance.namespace;
            self.selecting.entry(namespace).or_default().push(policy);
        }
        self.policies.insert(spec.key(), spec);
    }

    fn note(&mut self, policy: &Authorization, text: &str) {
        let provenance = &policy.provenance;
        let key = ObjectKey {
            kind: GroupKind::new(SECURITY, "AuthorizationPolicy"),
            namespace: provenance.namespace.clone(),
            name: provenance.name.clone(),
        };
        let file = provenance.file.as_deref().unwrap_or_default();
        let place = Place::at(file, provenance.line.into(), 1, String::new());
        self.notes.push((key, Problem::new(place, text)));
    }

    /// The policies that a workload of a namespace with these labels names.
    pub(super) fn of(&self, namespace: &str, labels: &Labels) -> Vec<Name> {
        let subject = Subject::new(namespace, labels);
        let root = &self.settings.root_namespace;
        let mut namespaces = vec![root.as_str()];
        if namespace != root.as_str() {
            namespaces.push(namespace);
        }
        let policies = namespaces
            .into_iter()
            .filter_map(|one| self.selecting.get(&Name::from(one)));
        let policies = policies.flatten();
        let applying = policies.filter(|policy| subject.applies(**policy, self.settings).is_ok());
        let mut keys: Vec<Name> = applying.map(|policy| policy.policy.key()).collect();
        keys.extend(self.mutual_tls(namespace, labels));
        keys
    }

    /// The policy that refuses peers without identity where the workload's ports ask for one.
    fn mutual_tls(&self, namespace: &str, labels: &Labels) -> Option<Name> {
        let peers = self.peers.iter().copied();
        let effective = EffectiveMtls::of(peers, namespace, labels, self.settings);
        let policy = match effective.policy(MtlsShape::Merged) {
            MtlsPolicy::Nothing => return None,
            MtlsPolicy::StaticStrict => static_strict(self.settings.root_namespace.clone()),
            MtlsPolicy::Own(policy) => policy,
        };
        let key = policy.key();
        self.mutual.borrow_mut().insert(key.clone(), policy);
        Some(key)
    }

    /// All policies, after it is known who has which.
    pub(super) fn into_policies(self) -> Vec<PolicySpec> {
        let mut policies = self.policies;
        policies.extend(self.mutual.into_inner());
        policies.into_values().collect()
    }
}
