//! Why a connection is allowed or not: every policy that applies, and why it matches or does not.
//!
//! For people: it looks at each policy, and allocates.

use std::fmt::Display;

use mesh_core::model::Workload;
use mesh_core::name::Name;

use crate::connection::{Connection, Facts};
use crate::decision::{Decision, Verdict};
use crate::index::PolicyIndex;
use crate::policy::{Clause, Field, Match, Policy, Rule, Values};
use crate::spec::{Action, Scope};

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
        let facts = Facts::of(connection);
        let named = workload.authorization_policies();
        let applies = |policy: &Policy| match policy.scope() {
            Scope::Global => true,
            Scope::Namespace if policy.namespace() == workload.namespace().as_str() => true,
            Scope::Namespace | Scope::WorkloadSelector => named.contains(policy.key()),
        };
        let relevant = self.policies().filter(|policy| applies(policy));
        let mut relevant: Vec<_> = relevant
            .map(|policy| {
                let matched = policy.first_match(&facts);
                let order = (policy.action() == Action::Allow, matched.is_none());
                (order, policy.key(), policy)
            })
            .collect();
        relevant.sort_by_key(|(order, key, _)| (*order, *key));
        let shown = relevant.iter().take(limit);
        Explanation {
            verdict: verdict(&decision),
            dry_run_would_deny: decision.dry_run.would_deny(),
            missing: self.missing(workload).cloned().collect(),
            policies: shown.map(|(_, _, policy)| report(policy, &facts)).collect(),
            omitted: relevant.len().saturating_sub(limit),
        }
    }
}

fn verdict(decision: &Decision<'_>) -> String {
    match decision.verdict {
        Verdict::Allow(reason) => format!("allowed: {reason}"),
        Verdict::Deny(reason) => format!("denied: {reason}"),
        Verdict::Undecided(missing) => format!("undecided: {missing}"),
    }
}

fn report(policy: &Policy, facts: &Facts<'_>) -> PolicyReport {
    PolicyReport {
        key: policy.key().clone(),
        scope: policy.scope(),
        action: policy.action(),
        dry_run: policy.dry_run(),
        matched: policy.first_match(facts),
        rules: policy
            .rules()
            .iter()
            .map(|rule| report_rule(rule, facts))
            .collect(),
    }
}

fn report_rule(rule: &Rule, facts: &Facts<'_>) -> RuleReport {
    let clauses = rule.clauses().iter().enumerate();
    let failed = clauses.filter(|(_, clause)| !clause.matches(facts));
    RuleReport {
        matches: rule.matches(facts),
        failed: failed
            .flat_map(|(at, clause)| report_clause(at, clause, facts))
            .collect(),
    }
}

fn report_clause(at: usize, clause: &Clause, facts: &Facts<'_>) -> Vec<FieldReport> {
    let matches = clause.alternatives().iter().enumerate();
    let reports = matches.flat_map(|(number, one)| {
        let place = format!("clauses[{at}].matches[{number}]");
        report_match(&place, one, facts)
    });
    reports.collect()
}

fn report_match(place: &str, one: &Match, facts: &Facts<'_>) -> Vec<FieldReport> {
    if one.fields().is_empty() {
        return vec![FieldReport {
            place: place.to_owned(),
            found: "no field".to_owned(),
            expected: "a field".to_owned(),
        }];
    }
    let failed = one.fields().iter().filter(|field| !field.agrees(facts));
    let reports = failed.map(|field| {
        let not = if field.excludes { "not_" } else { "" };
        FieldReport {
            place: format!("{place}.{not}{}", name(&field.values)),
            found: found(&field.values, facts),
            expected: expected(field),
        }
    });
    reports.collect()
}

fn name(values: &Values) -> &'static str {
    match values {
        Values::Namespaces(_) => "namespaces",
        Values::Principals(_) => "principals",
        Values::ServiceAccounts(_) => "service_accounts",
        Values::SourceIps(_) => "source_ips",
        Values::DestinationIps(_) => "destination_ips",
        Values::DestinationPorts(_) => "destination_ports",
    }
}

fn found(values: &Values, facts: &Facts<'_>) -> String {
    let none = || "none".to_owned();
    match values {
        Values::Namespaces(_) => facts.namespace().map_or_else(none, str::to_owned),
        Values::Principals(_) => facts
            .principal()
            .map_or_else(none, |text| String::from_utf8_lossy(text).into_owned()),
        Values::ServiceAccounts(_) => facts
            .account()
            .map_or_else(none, |(namespace, name)| format!("{namespace}/{name}")),
        Values::SourceIps(_) => facts.source.to_string(),
        Values::DestinationIps(_) => facts.destination.to_string(),
        Values::DestinationPorts(_) => facts.port.to_string(),
    }
}

/// The most values that are listed.
const SHOWN: usize = 20;

fn expected(field: &Field) -> String {
    let values = match &field.values {
        Values::Namespaces(texts) | Values::Principals(texts) => list(&texts.to_spec()),
        Values::ServiceAccounts(accounts) => list(&accounts.0),
        Values::SourceIps(ranges) | Values::DestinationIps(ranges) => list(&ranges.0),
        Values::DestinationPorts(ports) => list(&ports.0),
    };
    let which = if field.excludes { "none of" } else { "one of" };
    format!("{which} {values}")
}

fn list<T: Display>(values: &[T]) -> String {
    let shown: Vec<_> = values.iter().take(SHOWN).map(T::to_string).collect();
    let more = values.len().saturating_sub(SHOWN);
    if more > 0 {
        return format!("{} and {more} more", shown.join(", "));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests;
