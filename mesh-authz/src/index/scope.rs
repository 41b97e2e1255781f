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

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) fn has(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Those of both.
    pub(super) fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// How many there are before one.
    fn before(self, kind: Kind) -> usize {
        (self.0 & (kind.bit() - 1)).count_ones() as usize
    }

    /// The place of one among them.
    fn place(self, kind: Kind) -> Option<usize> {
        self.has(kind).then(|| self.before(kind))
    }
}

/// The policies that apply to all workloads, or to those of a namespace. Clones are cheap.
#[derive(Clone, Default)]
pub(super) struct ScopeIndex {
    /// The kinds that there are.
    pub(super) kinds: Kinds,
    /// Their rules, in the order of the kinds. Most namespaces have one or two.
    rules: Arc<[RuleIndex]>,
    /// Changes with every change.
    pub(super) version: u64,
}

impl ScopeIndex {
    pub(super) fn rules(&self, kind: Kind) -> Option<&RuleIndex> {
        self.rules.get(self.kinds.place(kind)?)
    }

    pub(super) fn insert(&mut self, lookup: Lookup<'_>, slot: u32, policy: &Policy) {
        let kind = Kind::of(policy);
        if self.rules(kind).is_none() {
            let at = self.kinds.before(kind);
            let (before, after) = self.rules.split_at_checked(at).unwrap_or_default();
            self.rules = [before, &[RuleIndex::default()], after].concat().into();
            self.kinds.0 |= kind.bit();
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
            let at = self.kinds.before(kind);
            let rest = self
                .rules
                .iter()
                .enumerate()
                .filter(|(place, _)| *place != at);
            self.rules = rest.map(|(_, rules)| rules.clone()).collect();
            self.kinds.0 &= !kind.bit();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    fn rules_mut(&mut self, kind: Kind) -> Option<&mut RuleIndex> {
        let at = self.kinds.place(kind)?;
        Arc::make_mut(&mut self.rules).get_mut(at)
    }
}
