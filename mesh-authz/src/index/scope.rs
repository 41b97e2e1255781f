//! The policies of one scope, by what they do.

use super::rules::{Lookup, RuleIndex};
use crate::policy::Policy;
use crate::spec::Action;

/// What the policies of a kind do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Deny,
    Allow,
    DryRunDeny,
    DryRunAllow,
    Audit,
    Custom,
}

impl Kind {
    const COUNT: usize = 6;

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
    kinds: [RuleIndex; Kind::COUNT],
    /// Changes with every change.
    pub(super) version: u64,
}

impl ScopeIndex {
    pub(super) fn rules(&self, kind: Kind) -> Option<&RuleIndex> {
        let rules = self.kinds.get(kind as usize)?;
        (rules.policies() > 0).then_some(rules)
    }

    pub(super) fn insert(&mut self, lookup: Lookup<'_>, slot: u32, policy: &Policy) {
        if let Some(rules) = self.kinds.get_mut(Kind::of(policy) as usize) {
            rules.insert(lookup, slot, policy);
        }
    }

    /// Removes a policy that is in the index, and still in its slot.
    pub(super) fn remove(&mut self, lookup: Lookup<'_>, slot: u32, policy: &Policy) {
        if let Some(rules) = self.kinds.get_mut(Kind::of(policy) as usize) {
            rules.remove(lookup, slot, policy);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.iter().all(|rules| rules.policies() == 0)
    }
}
