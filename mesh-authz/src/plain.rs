//! The rules of evaluation as they are written down: every policy, one after the other.
//!
//! It is what the compiled index is measured against, in tests and in benchmarks; a data plane
//! does not use it. Source: `istio.security.Authorization` and its evaluation in the node proxy of
//! Istio, with the answer for policies that have not arrived.

use std::collections::BTreeSet;

use mesh_core::model::Workload;
use mesh_core::name::Name;

use crate::connection::Connection;
use crate::request::Request;
use crate::semantics::Semantics;
use crate::spec::{Action, PolicySpec, Scope};
use crate::target::PolicyTarget;

mod one_match;
mod question;

use question::{PlainFacts, PlainTruth};

/// What the policies say about a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "all answers that there are")]
pub enum PlainVerdict {
    /// An ALLOW policy matches, or there is none.
    Allow,
    /// A DENY policy matches.
    DenyExplicit,
    /// There are ALLOW policies, and none of them matches.
    DenyNoneAllowed,
    /// No DENY policy matches, and one that the workload names is not known.
    Undecided,
    /// It depends on requests on the connection.
    NeedsRequest,
}

/// What is decided, and what policies that are not enforced say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "all that there is")]
pub struct PlainDecision {
    /// What is decided.
    pub verdict: PlainVerdict,
    /// Whether a DENY policy matches that is not enforced.
    pub dry_run_deny: bool,
    /// Whether one of the ALLOW policies that are not enforced matches; `None` without such.
    pub dry_run_allow: Option<bool>,
    /// Whether an AUDIT policy matches.
    pub audit: bool,
}

/// Decides about a connection by looking at each policy.
///
/// ```
/// use mesh_authz::plain::{PlainVerdict, decide};
/// use mesh_authz::Connection;
/// use mesh_authz::spec::{Action, PolicySpec, Scope};
/// use mesh_core::model::{Workload, WorkloadSpec};
///
/// let nothing = PolicySpec::new("istio-system", "allow-nothing", Scope::Global, Action::Allow);
/// let local = Workload::new(WorkloadSpec::default());
/// let connection = Connection::new("10.0.0.1".parse()?, None, "10.0.0.2:80".parse()?);
/// let decision = decide(&[nothing], &local, &connection);
/// assert_eq!(decision.verdict, PlainVerdict::DenyNoneAllowed);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn decide<'a>(
    policies: impl IntoIterator<Item = &'a PolicySpec> + Clone,
    workload: &Workload,
    connection: &Connection<'_>,
) -> PlainDecision {
    let target = PolicyTarget::workload(workload);
    let facts = PlainFacts {
        connection,
        request: None,
        semantics: Semantics::default(),
    };
    decide_facts(policies, &target, &facts)
}

/// Decides about a request by looking at each policy.
#[must_use]
pub fn decide_request<'a>(
    policies: impl IntoIterator<Item = &'a PolicySpec> + Clone,
    target: &PolicyTarget<'_>,
    connection: &Connection<'_>,
    request: &Request<'_>,
    semantics: Semantics,
) -> PlainDecision {
    let facts = PlainFacts {
        connection,
        request: Some(request),
        semantics,
    };
    decide_facts(policies, target, &facts)
}

fn decide_facts<'a>(
    policies: impl IntoIterator<Item = &'a PolicySpec> + Clone,
    target: &PolicyTarget<'_>,
    facts: &PlainFacts<'_>,
) -> PlainDecision {
    let relevant = |action: Action, dry_run: bool| {
        policies.clone().into_iter().filter(move |policy| {
            policy.action == action && policy.dry_run == dry_run && applies_to(policy, target)
        })
    };
    // The greatest of what the policies say, `False` without any.
    let any = |action, dry_run| {
        let all = relevant(action, dry_run).map(|policy| policy_truth(policy, facts));
        all.max().unwrap_or(PlainTruth::False)
    };
    let exists = |action, dry_run| relevant(action, dry_run).next().is_some();
    let mut named = target.named.iter();
    let missing = named.any(|key| !policies.clone().into_iter().any(|p| is_named(p, key)));
    let deny = any(Action::Deny, false);
    let allow = any(Action::Allow, false);
    let custom = facts.request.is_none() && any(Action::Custom, false) > PlainTruth::False;
    let verdict = if deny == PlainTruth::True {
        PlainVerdict::DenyExplicit
    } else if missing {
        PlainVerdict::Undecided
    } else if deny == PlainTruth::Unknown || custom {
        PlainVerdict::NeedsRequest
    } else if !exists(Action::Allow, false) || allow == PlainTruth::True {
        PlainVerdict::Allow
    } else if allow == PlainTruth::Unknown {
        PlainVerdict::NeedsRequest
    } else {
        PlainVerdict::DenyNoneAllowed
    };
    let true_of = |action, dry_run| any(action, dry_run) == PlainTruth::True;
    PlainDecision {
        verdict,
        dry_run_deny: true_of(Action::Deny, true),
        dry_run_allow: exists(Action::Allow, true).then(|| true_of(Action::Allow, true)),
        audit: true_of(Action::Audit, false),
    }
}

/// The external authorizers that are to be asked about a request, by their names.
#[must_use]
pub fn providers<'a>(
    policies: impl IntoIterator<Item = &'a PolicySpec>,
    target: &PolicyTarget<'_>,
    connection: &Connection<'_>,
    request: &Request<'_>,
    semantics: Semantics,
) -> BTreeSet<Name> {
    let facts = PlainFacts {
        connection,
        request: Some(request),
        semantics,
    };
    let custom = policies.into_iter().filter(|policy| {
        policy.action == Action::Custom
            && applies_to(policy, target)
            && policy_truth(policy, &facts) == PlainTruth::True
    });
    custom
        .filter_map(|policy| policy.provider.clone())
        .collect()
}

/// Whether a policy applies to a workload.
#[must_use]
pub fn applies(policy: &PolicySpec, workload: &Workload) -> bool {
    applies_to(policy, &PolicyTarget::workload(workload))
}

fn applies_to(policy: &PolicySpec, target: &PolicyTarget<'_>) -> bool {
    let named = target.named.iter().any(|key| is_named(policy, key));
    named
        || target.scopes.is_some_and(|namespace| match policy.scope {
            Scope::Global => true,
            Scope::Namespace => policy.namespace == *namespace,
            Scope::WorkloadSelector => false,
        })
}

fn is_named(policy: &PolicySpec, key: &str) -> bool {
    key.split_once('/') == Some((policy.namespace.as_str(), policy.name.as_str()))
}

/// Whether a policy matches a connection, whatever the requests on it.
#[must_use]
pub fn matches_policy(policy: &PolicySpec, connection: &Connection<'_>) -> bool {
    let facts = PlainFacts {
        connection,
        request: None,
        semantics: Semantics::default(),
    };
    policy_truth(policy, &facts) == PlainTruth::True
}

/// A policy, a rule and a clause are as true as the truest or the least true of their parts.
fn policy_truth(policy: &PolicySpec, facts: &PlainFacts<'_>) -> PlainTruth {
    let allows = policy.action == Action::Allow;
    let rules = policy.rules.iter().map(|rule| {
        let clauses = rule.clauses.iter().map(|clause| {
            let matches = clause.matches.iter();
            let matches = matches.map(|one| one_match::truth(one, facts, allows));
            matches.max().unwrap_or(PlainTruth::True)
        });
        clauses.min().unwrap_or(PlainTruth::True)
    });
    rules.max().unwrap_or(PlainTruth::False)
}
