//! The writer's side: batches of changes go in, indexes come out.
//!
//! The store keeps the newest index and changes it: in place as long as only the store knows a
//! part, by copying one path where a published index shares it. A first sync is therefore built in
//! place, and one change later costs what it changes.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use mesh_core::name::Name;
pub use mesh_core::store::Update;
use mesh_core::watch::{self, Publisher, Watch};
use parking_lot::Mutex;

use crate::index::PolicyIndex;
use crate::invalid::InvalidPolicy;
use crate::limits::Limits;
use crate::policy::Policy;
use crate::semantics::Semantics;
use crate::spec::PolicySpec;

/// What a batch did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct Applied {
    /// Policies that are new or different.
    pub upserted: usize,
    /// Policies that are gone.
    pub removed: usize,
    /// Policies that were not accepted. The last good version of each stays in force.
    pub rejected: Vec<InvalidPolicy>,
}

/// The policies as far as the sources of configuration delivered them.
///
/// One index is published per batch. Writers take turns; readers are never held up.
///
/// ```
/// use mesh_authz::spec::{Action, PolicySpec, Scope};
/// use mesh_authz::store::{PolicyStore, Update};
///
/// let store = PolicyStore::new();
/// let policy = PolicySpec::new("shop", "allow-nothing", Scope::Namespace, Action::Allow);
/// assert_eq!(store.apply(vec![Update::Upsert(policy)]).upserted, 1);
/// assert!(store.index().policy("shop/allow-nothing").is_some());
/// assert_eq!(store.apply(vec![Update::Remove("shop/allow-nothing".into())]).removed, 1);
/// ```
pub struct PolicyStore {
    /// The newest index, with or without the batch that is being applied.
    index: Mutex<PolicyIndex>,
    limits: Limits,
    publisher: Publisher<PolicyIndex>,
}

impl PolicyStore {
    /// An empty store with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// An empty store.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self::with_semantics(limits, Semantics::default())
    }

    /// An empty store whose policies have this meaning where there is a choice.
    #[must_use]
    pub fn with_semantics(limits: Limits, semantics: Semantics) -> Self {
        let index = PolicyIndex::new(semantics);
        Self {
            publisher: watch::channel(index.clone()).0,
            index: Mutex::new(index),
            limits,
        }
    }

    /// The policies at this moment, without taking a lock.
    #[must_use]
    pub fn index(&self) -> Arc<PolicyIndex> {
        self.publisher.load()
    }

    /// The policies now and at each later change.
    #[must_use]
    pub fn watch(&self) -> Watch<PolicyIndex> {
        self.publisher.watch()
    }

    /// Applies a batch in order and publishes one index, or none when the batch changed nothing.
    ///
    /// A policy that is not valid is rejected by itself: the rest of the batch applies, and what
    /// was known under its key stays in force.
    pub fn apply(&self, batch: Vec<Update<PolicySpec>>) -> Applied {
        let mut index = self.index.lock();
        let mut applied = Applied::default();
        for update in batch {
            match update {
                Update::Upsert(spec) => self.upsert(&mut index, &spec, &mut applied),
                Update::Remove(key) => {
                    applied.removed += usize::from(index.remove(&key).is_some());
                }
            }
        }
        self.publish(&index, applied)
    }

    /// Makes these policies all there are and publishes one index, or none when nothing changed.
    /// A policy that is in the store already and equal stays as it is, and so does the last good
    /// version of one that is rejected.
    pub fn replace_all(&self, policies: Vec<PolicySpec>) -> Applied {
        let mut index = self.index.lock();
        let mut applied = Applied::default();
        let keys: HashSet<Name> = policies.iter().map(PolicySpec::key).collect();
        let known = index.policies().map(|policy| policy.key());
        let gone = known.filter(|key| !keys.contains(*key)).map(Name::from);
        let gone: Vec<_> = gone.collect();
        for key in gone {
            applied.removed += usize::from(index.remove(&key).is_some());
        }
        for spec in policies {
            self.upsert(&mut index, &spec, &mut applied);
        }
        self.publish(&index, applied)
    }

    fn upsert(&self, index: &mut PolicyIndex, spec: &PolicySpec, applied: &mut Applied) {
        let policy = match Policy::new(spec, &self.limits, index.next_version()) {
            Ok(policy) => policy,
            Err(invalid) => return applied.rejected.push(invalid),
        };
        let known = index.policy(policy.key());
        if known.is_some_and(|known| known.is_same(&policy)) {
            return;
        }
        index.remove(policy.key());
        index.insert(&policy);
        applied.upserted += 1;
    }

    fn publish(&self, index: &PolicyIndex, applied: Applied) -> Applied {
        if applied.upserted + applied.removed > 0 {
            self.publisher.publish(index.clone());
        }
        applied
    }
}

impl Default for PolicyStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PolicyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyStore")
            .field("index", &self.index())
            .finish_non_exhaustive()
    }
}
