//! Why a connection is allowed or not: every policy that applies, and why it matches or does not.
//!
//! For people: it looks at each policy, and allocates.

use mesh_core::model::Workload;
use mesh_core::name::Name;

use crate::connection::Connection;
use crate::facts::Facts;
use crate::index::PolicyIndex;
use crate::policy::{Clause, Match, Policy, Rule};
use crate::spec::{Action, Scope};
use crate::truth::Truth;

mod observed;
mod tree;
mod words;

pub use tree::{
    ClauseTree, FieldTree, MatchTree, NearestRule, PolicyTree, RequestExplanation, RuleTree,
};

/// What is decided about a connection, with what each policy says about it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The decision in words, such as `denied: explicitly denied by: shop/no-batch`.
    pub verdict: String,
    /// Whether it would be denied if the policies that are not enforced were.
    pub dry_run_would_deny: bool,
    /// Keys that the workload names and that are not known.
    pub missing: Vec<Name>,
    /// The policies that apply: those that deny first, those that match first, then by key.
    pub policies: Vec<PolicyReport>,
    /// How many policies apply that are left out of the list.
    pub omitted: usize,
}

/// What a policy says about a connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PolicyReport {
    /// Key.
    pub key: Name,
    /// Why it applies to the workload.
    pub scope: Scope,
    /// What it says when it matches.
    pub action: Action,
    /// Whether it only reports what it would do.
    pub dry_run: bool,
    /// The first rule that matches, from 0.
    pub matched: Option<usize>,
    /// Each rule. Without rules a policy never matches.
    pub rules: Vec<RuleReport>,
}

/// What a rule says about a connection.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RuleReport {
    /// Whether it matches.
    pub matches: bool,
    /// The fields that do not agree, for each match of each clause that has none that matches. A
    /// rule with none of these matches.
    pub failed: Vec<FieldReport>,
}

/// A field that does not agree.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FieldReport {
    /// Where, such as `clauses[0].matches[1].not_namespaces`; a match without fields itself.
    pub place: String,
    /// What the connection has there, `none` without an identity.
    pub found: String,
    /// What would agree, such as `one of a, b*` or `none of *`.
    pub expected: String,
}

impl PolicyIndex {
    /// Tells what each policy that applies to a workload says about a connection, for at most
    /// `limit` policies.
    ///
    /// The verdict is that of [`decide`](Self::decide). The time is that of a look at all policies.
    #[must_use]
    pub fn explain(
        &self,
        workload: &Workload,
        connection: &Connection<'_>,
        limit: usize,
    ) -> Explanation {
        let decision = self.decide(workload, connection);
        let facts = Facts::of(connection, None, self.semantics());
        let named = workload.authorization_policies();
        let applies = |policy: &Policy| match policy.scope() {
            Scope::Global => true,
            Scope::Namespace if policy.namespace() == workload.namespace().as_str() => true,
            Scope::Namespace | Scope::WorkloadSelector => {
                named.iter().any(|key| key == policy.key())
            }
        };
        let relevant = self.policies().filter(|policy| applies(policy));
        let mut relevant: Vec<_> = relevant
            .map(|policy| {
                let matches = policy.truest(&facts).0 == Truth::True;
                let order = (policy.action() != Action::Deny, !matches);
                (order, policy.key(), policy)
            })
            .collect();
        relevant.sort_by_key(|(order, key, _)| (*order, *key));
        let shown = relevant.iter().take(limit);
        Explanation {
            verdict: words::verdict(&decision),
            dry_run_would_deny: decision.dry_run.would_deny(),
            missing: self.missing(workload).cloned().collect(),
            policies: shown.map(|(_, _, policy)| report(policy, &facts)).collect(),
            omitted: relevant.len().saturating_sub(limit),
        }
    }
}

fn report(policy: &Policy, facts: &Facts<'_>) -> PolicyReport {
    let (truth, place) = policy.truest(facts);
    let allows = policy.allows();
    PolicyReport {
        key: policy.key().into(),
        scope: policy.scope(),
        action: policy.action(),
        dry_run: policy.dry_run(),
        matched: (truth == Truth::True).then(|| policy.number_of(place)),
        rules: policy
            .rules()
            .map(|(_, rule)| report_rule(rule, facts, allows))
            .collect(),
    }
}

fn report_rule(rule: Rule<'_>, facts: &Facts<'_>, allows: bool) -> RuleReport {
    let clauses = rule.clauses().enumerate();
    let failed = clauses.filter(|(_, clause)| clause.truth(facts, allows) != Truth::True);
    RuleReport {
        matches: rule.truth(facts, allows) == Truth::True,
        failed: failed
            .flat_map(|(at, clause)| report_clause(at, clause, facts, allows))
            .collect(),
    }
}

fn report_clause(
    at: usize,
    clause: Clause<'_>,
    facts: &Facts<'_>,
    allows: bool,
) -> Vec<FieldReport> {
    let reports = clause.matches().enumerate().flat_map(|(number, one)| {
        let place = format!("clauses[{at}].matches[{number}]");
        report_match(&place, one, facts, allows)
    });
    reports.collect()
}

fn report_match(place: &str, one: Match<'_>, facts: &Facts<'_>, allows: bool) -> Vec<FieldReport> {
    if one.is_empty() {
        return vec![FieldReport {
            place: place.to_owned(),
            found: "no field".to_owned(),
            expected: "a field".to_owned(),
        }];
    }
    let failed = one
        .fields()
        .filter(|field| field.truth(facts, allows) != Truth::True);
    let reports = failed.map(|field| FieldReport {
        place: format!("{place}.{}", observed::name(&field)),
        found: observed::found(&field, facts),
        expected: observed::expected(&field),
    });
    reports.collect()
}

#[cfg(test)]
mod tests;
