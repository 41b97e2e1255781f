//! The policies of one scope, by what they do.

use std::sync::Arc;

use super::rules::{Lookup, RuleIndex};
use crate::policy::Policy;
use crate::spec::Action;

/// What the policies of a kind do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Deny,
    Allow,
    DryRunDeny,
    DryRunAllow,
    Audit,
    Custom,
}

impl Kind {
    pub(super) fn of(policy: &Policy) -> Self {
        match (policy.action(), policy.dry_run()) {
            (Action::Deny, false) => Self::Deny,
            (Action::Allow, false) => Self::Allow,
            (Action::Deny, true) => Self::DryRunDeny,
            (Action::Allow, true) => Self::DryRunAllow,
            (Action::Audit, _) => Self::Audit,
            (Action::Custom, _) => Self::Custom,
        }
    }
}

/// The policies that apply to all workloads, or to those of a namespace. Clones are cheap.
#[derive(Clone, Default)]
pub(super) struct ScopeIndex {
    /// The kinds that there are, in order. Most namespaces have one or two.
    kinds: Arc<[(Kind, RuleIndex)]>,
    /// Changes with every change.
    pub(super) version: u64,
}

impl ScopeIndex {
    pub(super) fn rules(&self, kind: Kind) -> Option<&RuleIndex> {
        let mut kinds = self.kinds.iter().filter(|(known, _)| *known == kind);
        kinds.next().map(|(_, rules)| rules)
    }

    pub(super) fn insert(&mut self, lookup: Lookup<'_>, slot: u32, policy: &Policy) {
        let kind = Kind::of(policy);
        if self.rules(kind).is_none() {
            let at = self.kinds.partition_point(|(known, _)| *known < kind);
            let (before, after) = self.kinds.split_at_checked(at).unwrap_or_default();
            let new = [(kind, RuleIndex::default())];
            self.kinds = [before, &new, after].concat().into();
        }
        if let Some(rules) = self.rules_mut(kind) {
            rules.insert(lookup, slot, policy);
        }
    }

    /// Removes a policy that is in the index, and still in its slot.
    pub(super) fn remove(&mut self, lookup: Lookup<'_>, slot: u32, policy: &Policy) {
        let kind = Kind::of(policy);
        let Some(rules) = self.rules_mut(kind) else {
            return;
        };
        rules.remove(lookup, slot, policy);
        if rules.policies() == 0 {
            let rest = self.kinds.iter().filter(|(known, _)| *known != kind);
            self.kinds = rest.cloned().collect();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    fn rules_mut(&mut self, kind: Kind) -> Option<&mut RuleIndex> {
        let mut kinds = Arc::make_mut(&mut self.kinds).iter_mut();
        let found = kinds.find(|(known, _)| *known == kind);
        found.map(|(_, rules)| rules)
    }
}
