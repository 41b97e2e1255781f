//! All policies at one moment.

use std::fmt;
use std::sync::Arc;

use mesh_core::model::Workload;
use mesh_core::name::Name;

use super::keys::Keys;
use super::rules::RuleIndex;
use super::scope::ScopeIndex;
use crate::policy::Policy;
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
    policies: Trie<Known>,
    pub(super) global: ScopeIndex,
    namespaces: Trie<Arc<Namespace>>,
    changes: u64,
}

/// A policy by its key.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) policy: Arc<Policy>,
    /// For one with many rules that is asked for by its key.
    pub(super) rules: Option<Arc<RuleIndex>>,
}

/// The policies that apply to a namespace.
#[derive(Clone)]
struct Namespace {
    name: Name,
    scope: ScopeIndex,
}

impl PolicyIndex {
    /// The policy with a key, `namespace/name`.
    #[must_use]
    pub fn policy(&self, key: &str) -> Option<&Arc<Policy>> {
        self.known(key).map(|known| &known.policy)
    }

    /// All policies, in no particular order.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.iter().map(|known| &known.policy)
    }

    /// The number of policies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there is no policy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The policies that a workload names and that are not known.
    pub fn missing<'a>(&'a self, workload: &'a Workload) -> impl Iterator<Item = &'a Name> {
        let keys = workload.authorization_policies().iter();
        keys.filter(|key| self.known(key).is_none())
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

    pub(super) fn known(&self, key: &str) -> Option<&Known> {
        let known = self.policies.get(self.keys.text(key));
        known.iter().find(|known| known.policy.key() == key)
    }

    pub(super) fn namespace(&self, name: &str) -> Option<&ScopeIndex> {
        let known = self.namespaces.get(self.keys.text(name)).iter();
        let mut known = known.filter(|namespace| namespace.name == name);
        known.next().map(|namespace| &namespace.scope)
    }

    /// A number for the next policy or change.
    pub(crate) fn next_version(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    /// Inserts a policy whose key is not in the index.
    pub(crate) fn insert(&mut self, policy: &Arc<Policy>) {
        let many = policy.rules().len() > FEW;
        let rules = many.then(|| {
            let mut rules = RuleIndex::default();
            rules.insert(&self.keys, policy);
            Arc::new(rules)
        });
        let policy = policy.clone();
        let hash = self.keys.text(policy.key());
        self.change_scope(&policy, |scope, keys| scope.insert(keys, &policy));
        self.policies.insert(hash, Known { policy, rules });
    }

    /// Removes the policy with a key.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Arc<Policy>> {
        let hash = self.keys.text(key);
        let same = |known: &Known| known.policy.key() == key;
        let policy = self.policies.remove(hash, same)?.policy;
        self.change_scope(&policy, |scope, keys| scope.remove(keys, &policy));
        Some(policy)
    }

    fn change_scope(&mut self, policy: &Policy, change: impl FnOnce(&mut ScopeIndex, &Keys)) {
        let version = self.next_version();
        let name = match policy.scope() {
            Scope::Global => {
                change(&mut self.global, &self.keys);
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
        change(&mut namespace.scope, &self.keys);
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
