//! Policies, workloads and connections for tests.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub(crate) mod world;

use std::net::IpAddr;

use mesh_authz::plain::{PlainDecision, PlainVerdict};
use mesh_authz::spec::{
    Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, Scope, ServiceAccountMatch, StringMatch,
};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{Connection, Decision, DenyReason, DryRunAllow, PolicyIndex, Undecided, Verdict};
use mesh_core::identity::SpiffeId;
use mesh_core::model::{Workload, WorkloadSpec};

/// `*` = presence, `*x` = suffix, `x*` = prefix, else exact.
pub(crate) fn text(pattern: &str) -> StringMatch {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => StringMatch::Presence,
        (Some(suffix), _) => StringMatch::suffix(suffix).unwrap(),
        (None, Some(prefix)) => StringMatch::prefix(prefix).unwrap(),
        (None, None) => StringMatch::exact(pattern).unwrap(),
    }
}

pub(crate) fn texts(patterns: &[&str]) -> Vec<StringMatch> {
    patterns.iter().map(|pattern| text(pattern)).collect()
}

pub(crate) fn account(text: &str) -> ServiceAccountMatch {
    let (namespace, name) = text.split_once('/').unwrap();
    ServiceAccountMatch::new(namespace, name).unwrap()
}

pub(crate) fn id(namespace: &str, account: &str) -> SpiffeId {
    format!("spiffe://cluster.local/ns/{namespace}/sa/{account}")
        .parse()
        .unwrap()
}

/// A workload of namespace `shop` that names these policies.
pub(crate) fn workload(policies: &[&str]) -> Workload {
    Workload::new(spec("cluster//Pod/shop/web", policies))
}

pub(crate) fn spec(uid: &str, policies: &[&str]) -> WorkloadSpec {
    WorkloadSpec {
        uid: uid.into(),
        namespace: "shop".into(),
        ips: vec![IpAddr::from([10, 0, 0, 2])],
        authorization_policies: policies.iter().map(|key| (*key).into()).collect(),
        ..WorkloadSpec::default()
    }
}

/// From 10.0.0.1 to 10.0.0.2:80.
pub(crate) fn from(identity: Option<&SpiffeId>) -> Connection<'_> {
    Connection::new([10, 0, 0, 1].into(), identity, ([10, 0, 0, 2], 80).into())
}

/// A policy with one rule of one match.
pub(crate) fn policy(key: &str, scope: Scope, action: Action, only: MatchSpec) -> PolicySpec {
    let rules = vec![RuleSpec::of(only)];
    with_rules(key, scope, action, rules)
}

pub(crate) fn with_rules(
    key: &str,
    scope: Scope,
    action: Action,
    rules: Vec<RuleSpec>,
) -> PolicySpec {
    let (namespace, name) = key.split_once('/').unwrap();
    PolicySpec {
        rules,
        ..PolicySpec::new(namespace, name, scope, action)
    }
}

/// A rule from clauses from matches.
pub(crate) fn rule(clauses: Vec<Vec<MatchSpec>>) -> RuleSpec {
    let clauses = clauses.into_iter().map(|matches| ClauseSpec { matches });
    RuleSpec {
        clauses: clauses.collect(),
    }
}

pub(crate) fn store(policies: &[PolicySpec]) -> PolicyStore {
    let store = PolicyStore::new();
    let applied = store.apply(policies.iter().cloned().map(Update::Upsert).collect());
    assert_eq!(applied.rejected, []);
    store
}

/// The decision in the words of the plain evaluator.
pub(crate) fn plain(decision: &Decision<'_>) -> PlainDecision {
    PlainDecision {
        verdict: match decision.verdict {
            Verdict::Allow(_) => PlainVerdict::Allow,
            Verdict::Deny(DenyReason::Explicit(_)) => PlainVerdict::DenyExplicit,
            Verdict::Deny(_) => PlainVerdict::DenyNoneAllowed,
            Verdict::Undecided(Undecided::MissingPolicy(_)) => PlainVerdict::Undecided,
            Verdict::Undecided(Undecided::NeedsRequest(_)) => PlainVerdict::NeedsRequest,
        },
        dry_run_deny: decision.dry_run.deny.is_some(),
        dry_run_allow: match decision.dry_run.allow {
            DryRunAllow::None => None,
            DryRunAllow::Matched(_) => Some(true),
            _ => Some(false),
        },
        audit: decision.audit.is_some(),
    }
}

/// What both evaluators say, which must be the same.
pub(crate) fn decide(
    policies: &[PolicySpec],
    workload: &Workload,
    connection: &Connection<'_>,
) -> PlainVerdict {
    let index: std::sync::Arc<PolicyIndex> = store(policies).index();
    let decision = plain(&index.decide(workload, connection));
    let expected = mesh_authz::plain::decide(policies, workload, connection);
    assert_eq!(decision, expected, "{policies:#?}\n{connection:?}");
    decision.verdict
}
