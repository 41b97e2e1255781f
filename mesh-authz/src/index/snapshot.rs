//! All policies at one moment.

use std::fmt;
use std::sync::Arc;

use mesh_core::model::Workload;
use mesh_core::name::Name;

use super::keys::{Keys, tag};
use super::rules::{Lookup, RuleIndex};
use super::scope::ScopeIndex;
use super::slots::Slots;
use super::table::Table;
use crate::policy::Policy;
use crate::semantics::Semantics;
use crate::spec::Scope;
use crate::trie::Trie;

/// A policy with so many rules or fewer needs no index of its own.
const FEW: usize = 16;

/// All policies at one moment, compiled. It never changes.
///
/// Clones are cheap and share everything with each other. The default has no policy.
#[derive(Clone, Default)]
pub struct PolicyIndex {
    pub(super) keys: Keys,
    pub(super) semantics: Semantics,
    pub(super) slots: Slots,
    by_key: Table<u32>,
    pub(super) global: ScopeIndex,
    namespaces: Trie<Arc<Namespace>>,
    /// The rules of policies that have many and apply to those who name them.
    large: Trie<Large>,
    changes: u64,
}

/// The policies that apply to a namespace.
#[derive(Clone)]
struct Namespace {
    name: Name,
    scope: ScopeIndex,
}

/// The rules of one policy.
#[derive(Clone)]
struct Large {
    slot: u32,
    rules: Arc<RuleIndex>,
}

/// A policy by its key.
#[derive(Clone, Copy)]
pub(super) struct Known<'i> {
    pub(super) slot: u32,
    pub(super) policy: &'i Policy,
    /// For one with many rules.
    pub(super) rules: Option<&'i RuleIndex>,
}

impl PolicyIndex {
    /// An index without policies.
    pub(crate) fn new(semantics: Semantics) -> Self {
        Self {
            semantics,
            ..Self::default()
        }
    }

    /// The meaning of the details in which Istio and the safer choice differ.
    #[must_use]
    pub fn semantics(&self) -> Semantics {
        self.semantics
    }

    /// The policy with a key, `namespace/name`.
    #[must_use]
    pub fn policy(&self, key: &str) -> Option<&Policy> {
        self.slot_of(key).map(|(_, policy)| policy)
    }

    /// All policies, in no particular order.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.slots.iter()
    }

    /// The number of policies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is no policy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The policies that a workload names and that are not known.
    pub fn missing<'a>(&'a self, workload: &'a Workload) -> impl Iterator<Item = &'a Name> {
        let keys = workload.authorization_policies().iter();
        keys.filter(|key| self.policy(key).is_none())
    }

    /// The versions of what a workload's decisions depend on, for one that is decided again: when
    /// they are equal in two indexes of one store, so is every decision about the workload.
    pub fn versions(&self, workload: &Workload) -> impl Iterator<Item = u64> {
        let namespace = self.namespace(workload.namespace());
        let scopes = [Some(&self.global), namespace];
        let scopes = scopes.map(|scope| scope.map_or(0, |scope| scope.version));
        let named = workload.authorization_policies().iter();
        let named = named.map(|key| self.policy(key).map_or(0, |policy| policy.version()));
        scopes.into_iter().chain(named)
    }

    fn slot_of(&self, key: &str) -> Option<(u32, &Policy)> {
        let found = self.by_key.get(tag(self.keys.text(key))).iter();
        let mut found = found.filter_map(|slot| Some((*slot, self.slots.get(*slot)?)));
        found.find(|(_, policy)| policy.key() == key)
    }

    pub(super) fn known(&self, key: &str) -> Option<Known<'_>> {
        let (slot, policy) = self.slot_of(key)?;
        let large = self.large.get(u64::from(slot)).first();
        Some(Known {
            slot,
            policy,
            rules: large.map(|large| &*large.rules),
        })
    }

    pub(super) fn namespace(&self, name: &str) -> Option<&ScopeIndex> {
        let known = self.namespaces.get(self.keys.text(name)).iter();
        let mut known = known.filter(|namespace| namespace.name == name);
        known.next().map(|namespace| &namespace.scope)
    }

    pub(super) fn lookup(&self) -> Lookup<'_> {
        Lookup {
            keys: &self.keys,
            slots: &self.slots,
        }
    }

    /// A number for the next policy or change.
    pub(crate) fn next_version(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    /// Inserts a policy whose key is not in the index.
    pub(crate) fn insert(&mut self, policy: &Policy) {
        // There are never as many policies as there are numbers.
        let Some(slot) = self.slots.insert(policy.clone()) else {
            return;
        };
        self.by_key.insert(tag(self.keys.text(policy.key())), slot);
        if policy.scope() == Scope::WorkloadSelector && policy.rule_count() > FEW {
            let mut rules = RuleIndex::default();
            rules.insert(self.lookup(), slot, policy);
            let rules = Arc::new(rules);
            self.large.insert(u64::from(slot), Large { slot, rules });
        }
        self.change_scope(policy, |scope, lookup| scope.insert(lookup, slot, policy));
    }

    /// Removes the policy with a key.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Policy> {
        let (slot, policy) = self.slot_of(key)?;
        let policy = policy.clone();
        self.change_scope(&policy, |scope, lookup| scope.remove(lookup, slot, &policy));
        self.large
            .remove(u64::from(slot), |large| large.slot == slot);
        self.by_key.remove(tag(self.keys.text(key)), slot);
        self.slots.remove(slot)
    }

    fn change_scope(&mut self, policy: &Policy, change: impl FnOnce(&mut ScopeIndex, Lookup<'_>)) {
        let version = self.next_version();
        let lookup = Lookup {
            keys: &self.keys,
            slots: &self.slots,
        };
        let name = match policy.scope() {
            Scope::Global => {
                change(&mut self.global, lookup);
                self.global.version = version;
                return;
            }
            Scope::Namespace => policy.namespace(),
            Scope::WorkloadSelector => return,
        };
        let hash = self.keys.text(name);
        let same = |namespace: &Arc<Namespace>| namespace.name == name;
        if !self.namespaces.get(hash).iter().any(same) {
            let (name, scope) = (Name::from(name), ScopeIndex::default());
            self.namespaces
                .insert(hash, Arc::new(Namespace { name, scope }));
        }
        let Some(namespace) = self.namespaces.get_mut(hash, same) else {
            return;
        };
        let namespace = Arc::make_mut(namespace);
        change(&mut namespace.scope, lookup);
        namespace.scope.version = version;
        if namespace.scope.is_empty() {
            self.namespaces.remove(hash, same);
        }
    }
}

impl fmt::Debug for PolicyIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyIndex")
            .field("policies", &self.len())
            .finish_non_exhaustive()
    }
}
