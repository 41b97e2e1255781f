//! The decision about one connection.

use mesh_core::model::Workload;
use mesh_core::name::Name;

use super::rules::RuleIndex;
use super::scope::ScopeIndex;
use super::snapshot::{Known, PolicyIndex};
use crate::connection::{Connection, Facts};
use crate::decision::{
    AllowReason, Decision, DenyReason, DryRun, DryRunAllow, RuleRef, Undecided, Verdict,
};
use crate::spec::Action;

impl PolicyIndex {
    /// Decides about a connection to a workload. Allocates nothing.
    ///
    /// The policies of all workloads, of the workload's namespace and those that the workload
    /// names count. In this order: a DENY that matches denies; a policy that the workload names and
    /// that is not known leaves it undecided; without any ALLOW it is allowed; an ALLOW that
    /// matches allows; anything else is denied.
    ///
    /// When several rules match, any of them may be the reason.
    pub fn decide<'i>(
        &'i self,
        workload: &'i Workload,
        connection: &Connection<'_>,
    ) -> Decision<'i> {
        let facts = Facts::of(connection);
        let mut named = Named::default();
        for key in workload.authorization_policies() {
            match self.known(key) {
                Some(known) => named.add(self, known, &facts),
                None => named.missing = named.missing.or(Some(key)),
            }
        }
        let scopes = [Some(&self.global), self.namespace(workload.namespace())];
        let find = |rules: fn(&ScopeIndex) -> &RuleIndex| {
            let mut scopes = scopes.iter().flatten();
            scopes.find_map(|scope| rules(scope).find(&self.keys, &facts))
        };
        let exists = |rules: fn(&ScopeIndex) -> &RuleIndex| {
            let mut scopes = scopes.iter().flatten();
            scopes.any(|scope| rules(scope).policies() > 0)
        };
        let allows = named.allow.exist || exists(|scope| &scope.allow);
        let verdict = if let Some(rule) = named.deny.matched.or_else(|| find(|s| &s.deny)) {
            Verdict::Deny(DenyReason::Explicit(rule))
        } else if let Some(missing) = named.missing {
            Verdict::Undecided(Undecided::MissingPolicy(missing))
        } else if !allows {
            Verdict::Allow(AllowReason::NoAllowPolicies)
        } else if let Some(rule) = named.allow.matched.or_else(|| find(|s| &s.allow)) {
            Verdict::Allow(AllowReason::Matched(rule))
        } else {
            Verdict::Deny(DenyReason::NoneAllowed)
        };
        let dry_run_allow = || {
            if !named.dry_run_allow.exist && !exists(|s| &s.dry_run_allow) {
                return DryRunAllow::None;
            }
            let matched = named.dry_run_allow.matched;
            match matched.or_else(|| find(|s| &s.dry_run_allow)) {
                Some(rule) => DryRunAllow::Matched(rule),
                None if allows => DryRunAllow::NotMatched,
                None => DryRunAllow::WouldDeny,
            }
        };
        let dry_run = DryRun {
            deny: named
                .dry_run_deny
                .matched
                .or_else(|| find(|s| &s.dry_run_deny)),
            allow: dry_run_allow(),
        };
        Decision {
            verdict,
            dry_run,
            audit: None,
        }
    }
}

/// What the policies say that the workload names.
#[derive(Default)]
struct Named<'i> {
    deny: Said<'i>,
    allow: Said<'i>,
    dry_run_deny: Said<'i>,
    dry_run_allow: Said<'i>,
    missing: Option<&'i Name>,
}

/// What the policies of one kind say.
#[derive(Default)]
struct Said<'i> {
    exist: bool,
    matched: Option<RuleRef<'i>>,
}

impl<'i> Named<'i> {
    fn add(&mut self, index: &'i PolicyIndex, known: &'i Known, facts: &Facts<'_>) {
        let policy = &known.policy;
        let said = match (policy.action(), policy.dry_run()) {
            (Action::Deny, false) => &mut self.deny,
            (_, false) => &mut self.allow,
            (Action::Deny, true) => &mut self.dry_run_deny,
            (_, true) => &mut self.dry_run_allow,
        };
        said.exist = true;
        if said.matched.is_none() {
            said.matched = match &known.rules {
                Some(rules) => rules.find(&index.keys, facts),
                None => {
                    let rule = policy.first_match(facts);
                    rule.map(|rule| RuleRef::new(policy, rule))
                }
            };
        }
    }
}
