//! The policies of a mesh, compiled once, and what applies to whom.

mod mutual;
mod projected;
mod tokens;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use mesh_authz::kube::{Authorization, PeerPolicy, TokenPolicy};
use mesh_authz::spec::{PolicySpec, Scope};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{Limits, PolicyIndex, PolicyTarget, Semantics, jwt};
use mesh_core::model::{Workload, WorkloadSpec};
use mesh_core::name::Name;
use mesh_xds::manifest::Inventory;

use crate::configuration::Configuration;
use crate::failure::{Failure, Result};
use crate::party::Party;
use crate::question::{Layer, Question};
pub(crate) use mutual::Mutual;
pub(crate) use projected::Projected;

/// The policies of a mesh, and what has been worked out about those who were asked for.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) configuration: Configuration,
    pub(crate) inventory: Inventory,
    /// Policies as requests are decided by them.
    pub(crate) full: Layered,
    /// What is left of them at a node proxy.
    pub(crate) node: Layered,
    /// Policies at the node proxy, by key.
    projected: BTreeMap<Name, Projected>,
    keys: jwt::JwksStore,
    subjects: RefCell<HashMap<String, Rc<Subject>>>,
}

/// The policies of one layer.
#[derive(Debug)]
pub(crate) struct Layered {
    store: PolicyStore,
    /// What was compiled, by key.
    pub(crate) specs: RefCell<BTreeMap<Name, PolicySpec>>,
}

/// Somebody who was asked for, with what applies.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) party: Party,
    /// Keys of all policies that apply to requests.
    pub(crate) applying: Vec<Name>,
    /// Keys of all policies that apply at the node proxy; none for a waypoint.
    pub(crate) at_node: Vec<Name>,
    /// What names the policies that apply to more than a namespace's or the mesh's workloads, for
    /// requests and at the node proxy.
    records: [Workload; 2],
    /// What peer authentication comes to; `None` for a waypoint, which only takes mutual TLS.
    pub(crate) mutual: Option<Mutual>,
    /// How tokens are verified, or why they cannot be.
    pub(crate) tokens: std::result::Result<jwt::Authenticator, String>,
}

impl Mesh {
    /// Compiles everything.
    pub(crate) fn new(inventory: Inventory, configuration: Configuration) -> Result<Self> {
        let (mut full, mut node, mut projected) = (Vec::new(), Vec::new(), BTreeMap::new());
        for policy in inventory.authorization_policies.iter() {
            full.push(configuration.trust_domains.expand(policy.policy.clone()));
            let at_node = Projected::of(policy, &configuration);
            node.extend(at_node.spec.clone());
            projected.insert(policy.policy.key(), at_node);
        }
        Ok(Self {
            full: Layered::new(full, configuration.semantics())?,
            node: Layered::new(node, configuration.semantics().at_node_proxy())?,
            projected,
            keys: jwt::JwksStore::new(),
            subjects: RefCell::default(),
            inventory,
            configuration,
        })
    }

    /// Who is asked for.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub(crate) fn subject(&self, question: &Question) -> std::result::Result<Rc<Subject>, String> {
        let (name, is_service) = match (&question.workload, &question.service) {
            (Some(name), None) => (name, false),
            (None, Some(name)) => (name, true),
            _ => return Err("expected either workload or service".to_owned()),
        };
        if is_service && question.layer() == Layer::L4 {
            let text = "layer: l4 is the node proxy of a workload; a waypoint decides at l7";
            return Err(text.to_owned());
        }
        let key = format!("{}{name}", if is_service { "service " } else { "" });
        if let Some(known) = self.subjects.borrow().get(&key) {
            return Ok(known.clone());
        }
        let party = if is_service {
            Party::waypoint_of(name, &self.inventory)?
        } else {
            Party::workload(name, &self.inventory)?
        };
        let subject = Rc::new(self.look_up(party)?);
        self.subjects.borrow_mut().insert(key, subject.clone());
        Ok(subject)
    }

    fn look_up(&self, party: Party) -> std::result::Result<Subject, String> {
        let settings = &self.configuration.settings;
        let policies = self.inventory.authorization_policies.iter();
        let policies: Vec<&Authorization> = policies.map(Arc::as_ref).collect();
        let applying = party.subject(|subject| subject.select(policies, settings));
        let applying: Vec<Name> = applying.iter().map(|policy| policy.policy.key()).collect();
        let tokens = self.inventory.request_authentications.iter();
        let tokens: Vec<&TokenPolicy> = tokens.map(Arc::as_ref).collect();
        let tokens = party.subject(|subject| subject.select(tokens, settings));
        let tokens = tokens::authenticator(&tokens, &self.keys, self.configuration.tokens());
        let (mut at_node, mut mutual) = (Vec::new(), None);
        if !party.is_waypoint() {
            let peers = self.inventory.peer_authentications.iter();
            let peers: Vec<&PeerPolicy> = peers.map(Arc::as_ref).collect();
            let found = Mutual::of(&peers, &party, settings);
            let projected = |key: &&Name| {
                let known = self.projected.get(*key);
                known.is_some_and(|known| known.is_sent)
            };
            at_node = applying.iter().filter(projected).cloned().collect();
            if let Some(policy) = &found.policy {
                self.node.add(policy.clone())?;
                at_node.push(policy.key());
            }
            mutual = Some(found);
        }
        let records = [&applying, &at_node].map(|keys| self.record(&party, keys));
        Ok(Subject {
            party,
            records,
            applying,
            at_node,
            mutual,
            tokens,
        })
    }

    fn record(&self, party: &Party, applying: &[Name]) -> Workload {
        let is_named = |key: &&Name| {
            let policy = self.authorization(key);
            policy.is_none_or(|policy| policy.policy.scope == Scope::WorkloadSelector)
        };
        Workload::new(WorkloadSpec {
            namespace: party.namespace.clone(),
            authorization_policies: applying.iter().filter(is_named).cloned().collect(),
            ..WorkloadSpec::default()
        })
    }

    /// The policies of a layer.
    pub(crate) fn layer(&self, layer: Layer) -> &Layered {
        match layer {
            Layer::L4 => &self.node,
            Layer::L7 => &self.full,
        }
    }

    /// What became of a policy at the node proxy.
    pub(crate) fn projected(&self, key: &str) -> Option<&Projected> {
        self.projected.get(key)
    }

    /// The place of a rule in its policy as it is written.
    pub(crate) fn written_rule(&self, layer: Layer, key: &str, rule: usize) -> usize {
        let rules = self.projected.get(key).filter(|_| layer == Layer::L4);
        let written = rules.and_then(|projected| projected.rules.get(rule));
        written.copied().unwrap_or(rule)
    }

    /// A policy as it was read.
    pub(crate) fn authorization(&self, key: &str) -> Option<&Arc<Authorization>> {
        let (namespace, name) = key.split_once('/')?;
        self.inventory.authorization_policies.get(namespace, name)
    }
}

impl Subject {
    /// Keys of the policies of a layer that apply.
    pub(crate) fn keys(&self, layer: Layer) -> &[Name] {
        match layer {
            Layer::L4 => &self.at_node,
            Layer::L7 => &self.applying,
        }
    }

    /// The policies of a layer that apply.
    pub(crate) fn target(&self, layer: Layer) -> PolicyTarget<'_> {
        let [record, node] = &self.records;
        match layer {
            _ if self.party.is_waypoint() => PolicyTarget::named(&self.applying),
            Layer::L4 => PolicyTarget::workload(node),
            Layer::L7 => PolicyTarget::workload(record),
        }
    }
}

impl Layered {
    fn new(policies: Vec<PolicySpec>, semantics: Semantics) -> Result<Self> {
        let store = PolicyStore::with_semantics(Limits::default(), semantics);
        let specs = policies.iter().map(|policy| (policy.key(), policy.clone()));
        let specs = RefCell::new(specs.collect());
        let applied = store.apply(policies.into_iter().map(Update::Upsert).collect());
        match applied.rejected.first() {
            None => Ok(Self { store, specs }),
            Some(rejected) => Err(Failure::new(rejected.to_string())),
        }
    }

    fn add(&self, policy: PolicySpec) -> std::result::Result<(), String> {
        if self.specs.borrow().contains_key(&policy.key()) {
            return Ok(());
        }
        self.specs.borrow_mut().insert(policy.key(), policy.clone());
        let applied = self.store.apply(vec![Update::Upsert(policy)]);
        let rejected = applied.rejected.first();
        rejected.map_or(Ok(()), |rejected| Err(rejected.to_string()))
    }

    pub(crate) fn index(&self) -> Arc<PolicyIndex> {
        self.store.index()
    }
}
