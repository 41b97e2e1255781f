//! Why a request is allowed or not, down to each field.

use mesh_core::name::Name;

use super::{observed, words};
use crate::connection::Connection;
use crate::decision::{AllowReason, Decision, DenyReason, RuleRef, Verdict};
use crate::facts::Facts;
use crate::index::PolicyIndex;
use crate::policy::{Clause, Field, Match, Policy, Rule};
use crate::request::Request;
use crate::spec::{Action, Scope};
use crate::target::PolicyTarget;
use crate::truth::Truth;

/// What is decided about a request, with what every part of each policy says about it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RequestExplanation {
    /// The decision in words, such as `denied: allow policies exist, but none allowed`.
    pub verdict: String,
    /// Whether it may go on.
    pub allowed: bool,
    /// Key and number of the rule that decides, the one that is reported.
    pub rule: Option<(Name, usize)>,
    /// The rule that comes nearest to allowing, when nothing allows.
    pub nearest: Option<NearestRule>,
    /// Keys that apply by name and are not known.
    pub missing: Vec<Name>,
    /// The policies that apply: those that deny first, then by key.
    pub policies: Vec<PolicyTree>,
    /// How many policies apply that are left out of the list.
    pub omitted: usize,
}

/// A rule of an ALLOW policy that does not match, and what would have to be different.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NearestRule {
    /// Key of the policy.
    pub policy: Name,
    /// Number of the rule, from 0.
    pub rule: usize,
    /// The fields that do not agree, of one match of each clause. If all of them agreed, the rule
    /// would match.
    pub failed: Vec<FieldTree>,
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PolicyTree {
    /// Key.
    pub key: Name,
    /// Why it applies.
    pub scope: Scope,
    /// What it does when it matches.
    pub action: Action,
    /// Whether it only reports what it would do.
    pub dry_run: bool,
    /// Whether one of the rules matches.
    pub matches: bool,
    /// Its rules.
    pub rules: Vec<RuleTree>,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RuleTree {
    /// Whether all clauses match.
    pub matches: bool,
    /// Its clauses.
    pub clauses: Vec<ClauseTree>,
}

/// What a clause says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClauseTree {
    /// Whether one of the alternatives matches, or there is none.
    pub matches: bool,
    /// Its alternatives.
    pub alternatives: Vec<MatchTree>,
}

/// What a match says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MatchTree {
    /// Whether there are fields and all agree.
    pub matches: bool,
    /// Its fields.
    pub fields: Vec<FieldTree>,
}

/// What a field says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FieldTree {
    /// Where in the policy, such as `rules[0].clauses[1].matches[0].not_paths`.
    pub place: String,
    /// Whether it agrees.
    pub agrees: bool,
    /// What the connection or request has there, or `none`.
    pub found: String,
    /// What would agree, such as `one of GET, PUT`.
    pub expected: String,
}

impl PolicyIndex {
    /// Tells what every part of each policy that applies says about a request, for at most `limit`
    /// policies. For people: it looks at everything, and allocates.
    ///
    /// The verdict is that of [`decide_request`](Self::decide_request).
    #[must_use]
    pub fn explain_request(
        &self,
        target: &PolicyTarget<'_>,
        connection: &Connection<'_>,
        request: &Request<'_>,
        limit: usize,
    ) -> RequestExplanation {
        let decision = self.decide_request(target, connection, request);
        self.tell(target, connection, Some(request), &decision, limit)
    }

    /// Tells what every part of each policy that applies says about a connection, as
    /// [`explain_request`](Self::explain_request) does about a request. A field that asks for a
    /// request does not agree.
    ///
    /// The verdict is that of [`decide_connection`](Self::decide_connection).
    #[must_use]
    pub fn explain_connection(
        &self,
        target: &PolicyTarget<'_>,
        connection: &Connection<'_>,
        limit: usize,
    ) -> RequestExplanation {
        let decision = self.decide_connection(target, connection);
        self.tell(target, connection, None, &decision, limit)
    }

    fn tell(
        &self,
        target: &PolicyTarget<'_>,
        connection: &Connection<'_>,
        request: Option<&Request<'_>>,
        decision: &Decision<'_>,
        limit: usize,
    ) -> RequestExplanation {
        let facts = Facts::of(connection, request, self.semantics());
        let applying = self.policies().filter(|policy| applies(policy, target));
        let mut applying: Vec<&Policy> = applying.collect();
        applying.sort_by_key(|policy| (policy.action() != Action::Deny, policy.key()));
        let none_allowed = decision.verdict == Verdict::Deny(DenyReason::NoneAllowed);
        let nearest = none_allowed.then(|| nearest(&applying, &facts)).flatten();
        let rule = deciding(decision);
        let rule = rule.map(|rule| self.reported(target, connection, request, rule));
        let missing = target.named.iter().filter(|key| self.policy(key).is_none());
        RequestExplanation {
            verdict: words::verdict(decision),
            allowed: matches!(decision.verdict, Verdict::Allow(_)),
            rule: rule.map(|rule| (rule.policy().key().into(), rule.rule())),
            nearest,
            missing: missing.cloned().collect(),
            omitted: applying.len().saturating_sub(limit),
            policies: applying
                .iter()
                .take(limit)
                .map(|policy| policy_tree(policy, &facts))
                .collect(),
        }
    }
}

fn applies(policy: &Policy, target: &PolicyTarget<'_>) -> bool {
    let named = target.named.iter().any(|key| key == policy.key());
    named
        || target.scopes.is_some_and(|namespace| match policy.scope() {
            Scope::Global => true,
            Scope::Namespace => policy.namespace() == namespace.as_str(),
            Scope::WorkloadSelector => false,
        })
}

fn deciding<'i>(decision: &Decision<'i>) -> Option<RuleRef<'i>> {
    match decision.verdict {
        Verdict::Allow(AllowReason::Matched(rule)) | Verdict::Deny(DenyReason::Explicit(rule)) => {
            Some(rule)
        }
        _ => None,
    }
}

/// The rule of an enforced ALLOW policy with the fewest fields that do not agree.
fn nearest(policies: &[&Policy], facts: &Facts<'_>) -> Option<NearestRule> {
    let allowing = policies
        .iter()
        .filter(|policy| policy.allows() && !policy.dry_run());
    let rules = allowing.flat_map(|policy| {
        let rules = policy.rules().enumerate();
        rules.filter_map(|(number, (_, rule))| {
            Some(NearestRule {
                policy: policy.key().into(),
                rule: number,
                failed: failed(number, rule, facts)?,
            })
        })
    });
    rules.min_by_key(|rule| rule.failed.len())
}

/// The fields to change so that a rule of an ALLOW policy matches; `None` when nothing helps.
fn failed(number: usize, rule: Rule<'_>, facts: &Facts<'_>) -> Option<Vec<FieldTree>> {
    let mut all = Vec::new();
    for (at, clause) in rule.clauses().enumerate() {
        if clause.truth(facts, true) == Truth::True {
            continue;
        }
        let matches = clause.matches().enumerate();
        let possible = matches.filter(|(_, one)| !one.is_empty());
        let failed = possible.map(|(place, one)| {
            let place = format!("rules[{number}].clauses[{at}].matches[{place}]");
            let fields = one
                .fields()
                .map(|field| field_tree(&place, &field, facts, true));
            fields.filter(|field| !field.agrees).collect::<Vec<_>>()
        });
        all.extend(failed.min_by_key(Vec::len)?);
    }
    Some(all)
}

fn policy_tree(policy: &Policy, facts: &Facts<'_>) -> PolicyTree {
    let allows = policy.allows();
    let rules = policy.rules().enumerate();
    let rules: Vec<_> = rules
        .map(|(number, (_, rule))| rule_tree(number, rule, facts, allows))
        .collect();
    PolicyTree {
        key: policy.key().into(),
        scope: policy.scope(),
        action: policy.action(),
        dry_run: policy.dry_run(),
        matches: rules.iter().any(|rule| rule.matches),
        rules,
    }
}

fn rule_tree(number: usize, rule: Rule<'_>, facts: &Facts<'_>, allows: bool) -> RuleTree {
    let clauses = rule.clauses().enumerate().map(|(at, clause)| {
        let place = format!("rules[{number}].clauses[{at}]");
        clause_tree(&place, clause, facts, allows)
    });
    RuleTree {
        matches: rule.truth(facts, allows) == Truth::True,
        clauses: clauses.collect(),
    }
}

fn clause_tree(place: &str, clause: Clause<'_>, facts: &Facts<'_>, allows: bool) -> ClauseTree {
    let matches = clause.matches().enumerate().map(|(at, one)| {
        let place = format!("{place}.matches[{at}]");
        match_tree(&place, one, facts, allows)
    });
    ClauseTree {
        matches: clause.truth(facts, allows) == Truth::True,
        alternatives: matches.collect(),
    }
}

fn match_tree(place: &str, one: Match<'_>, facts: &Facts<'_>, allows: bool) -> MatchTree {
    MatchTree {
        matches: one.truth(facts, allows) == Truth::True,
        fields: one
            .fields()
            .map(|field| field_tree(place, &field, facts, allows))
            .collect(),
    }
}

fn field_tree(place: &str, field: &Field<'_>, facts: &Facts<'_>, allows: bool) -> FieldTree {
    FieldTree {
        place: format!("{place}.{}", observed::name(field)),
        agrees: field.truth(facts, allows) == Truth::True,
        found: observed::found(field, facts),
        expected: observed::expected(field),
    }
}
