//! The policies of one scope, by what they do.

use std::sync::Arc;

use super::keys::Keys;
use super::rules::RuleIndex;
use crate::policy::Policy;
use crate::spec::Action;

/// The policies that apply to all workloads, or to those of a namespace. Clones are cheap.
#[derive(Clone, Default)]
pub(super) struct ScopeIndex {
    pub(super) deny: RuleIndex,
    pub(super) allow: RuleIndex,
    pub(super) dry_run_deny: RuleIndex,
    pub(super) dry_run_allow: RuleIndex,
    /// Changes with every change.
    pub(super) version: u64,
}

impl ScopeIndex {
    pub(super) fn insert(&mut self, keys: &Keys, policy: &Arc<Policy>) {
        self.of(policy).insert(keys, policy);
    }

    /// Removes a policy that is in the index.
    pub(super) fn remove(&mut self, keys: &Keys, policy: &Arc<Policy>) {
        self.of(policy).remove(keys, policy);
    }

    pub(super) fn is_empty(&self) -> bool {
        let all = [
            &self.deny,
            &self.allow,
            &self.dry_run_deny,
            &self.dry_run_allow,
        ];
        all.iter().all(|rules| rules.policies() == 0)
    }

    fn of(&mut self, policy: &Policy) -> &mut RuleIndex {
        match (policy.action(), policy.dry_run()) {
            (Action::Deny, false) => &mut self.deny,
            (Action::Allow | Action::Audit | Action::Custom, false) => &mut self.allow,
            (Action::Deny, true) => &mut self.dry_run_deny,
            // There are no others yet.
            (_, true) => &mut self.dry_run_allow,
        }
    }
}
