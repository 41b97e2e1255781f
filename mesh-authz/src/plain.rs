//! The rules of evaluation as they are written down: every policy, one after the other.
//!
//! It is what the compiled index is measured against, in tests and in benchmarks; a data plane
//! does not use it. Source: `istio.security.Authorization` and its evaluation in the node proxy of
//! Istio, with the answer for policies that have not arrived.

use ipnet::IpNet;
use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;

use crate::connection::Connection;
use crate::spec::{Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};

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
}

/// Decides by looking at each policy.
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
    let relevant = |action: Action, dry_run: bool| {
        policies.clone().into_iter().filter(move |policy| {
            policy.action == action && policy.dry_run == dry_run && applies(policy, workload)
        })
    };
    let any = |action, dry_run| {
        relevant(action, dry_run).any(|policy| matches_policy(policy, connection))
    };
    let exists = |action, dry_run| relevant(action, dry_run).next().is_some();
    let missing = workload
        .authorization_policies()
        .iter()
        .any(|key| !policies.clone().into_iter().any(|p| is_named(p, key)));
    let verdict = if any(Action::Deny, false) {
        PlainVerdict::DenyExplicit
    } else if missing {
        PlainVerdict::Undecided
    } else if !exists(Action::Allow, false) || any(Action::Allow, false) {
        PlainVerdict::Allow
    } else {
        PlainVerdict::DenyNoneAllowed
    };
    PlainDecision {
        verdict,
        dry_run_deny: any(Action::Deny, true),
        dry_run_allow: exists(Action::Allow, true).then(|| any(Action::Allow, true)),
    }
}

/// Whether a policy applies to a workload.
#[must_use]
pub fn applies(policy: &PolicySpec, workload: &Workload) -> bool {
    let named = || {
        let keys = workload.authorization_policies().iter();
        keys.into_iter().any(|key| is_named(policy, key))
    };
    match policy.scope {
        Scope::Global => true,
        Scope::Namespace => policy.namespace == *workload.namespace() || named(),
        Scope::WorkloadSelector => named(),
    }
}

fn is_named(policy: &PolicySpec, key: &str) -> bool {
    key.split_once('/') == Some((policy.namespace.as_str(), policy.name.as_str()))
}

/// Whether a policy matches a connection.
#[must_use]
pub fn matches_policy(policy: &PolicySpec, connection: &Connection<'_>) -> bool {
    policy
        .rules
        .iter()
        .any(|rule| matches_rule(rule, connection))
}

fn matches_rule(rule: &RuleSpec, connection: &Connection<'_>) -> bool {
    rule.clauses
        .iter()
        .all(|clause| matches_clause(clause, connection))
}

fn matches_clause(clause: &ClauseSpec, connection: &Connection<'_>) -> bool {
    let mut matches = clause.matches.iter();
    clause.matches.is_empty() || matches.any(|one| matches_match(one, connection))
}

fn matches_match(one: &MatchSpec, connection: &Connection<'_>) -> bool {
    let identity = connection.identity;
    let namespace = identity.map_or("", |id| id.namespace());
    let principal = identity.map(principal);
    let principal = principal.as_deref().unwrap_or("");
    let port = connection.destination.port();
    *one != MatchSpec::default()
        && field(&one.namespaces, &one.not_namespaces, |text| {
            identity.is_some() && text.matches(namespace)
        })
        && field(
            &one.principals,
            &one.not_principals,
            |text: &StringMatch| identity.is_some() && text.matches(principal),
        )
        && field(
            &one.service_accounts,
            &one.not_service_accounts,
            |account| {
                identity.is_some_and(|id| {
                    account.namespace == *id.namespace()
                        && account.service_account == *id.service_account()
                })
            },
        )
        && field(&one.source_ips, &one.not_source_ips, |net| {
            contains(net, connection.source)
        })
        && field(&one.destination_ips, &one.not_destination_ips, |net| {
            contains(net, connection.destination.ip())
        })
        && field(
            &one.destination_ports,
            &one.not_destination_ports,
            |wanted| *wanted == port,
        )
}

fn field<T>(wanted: &[T], excluded: &[T], fits: impl Fn(&T) -> bool) -> bool {
    (wanted.is_empty() || wanted.iter().any(&fits)) && !excluded.iter().any(&fits)
}

fn principal(id: &SpiffeId) -> String {
    let text = id.to_string();
    text.strip_prefix("spiffe://").unwrap_or(&text).to_owned()
}

/// A range of IPv4-mapped addresses is one of IPv4 addresses.
fn contains(net: &IpNet, ip: std::net::IpAddr) -> bool {
    let mapped = match ip {
        std::net::IpAddr::V4(v4) => IpNet::from(std::net::IpAddr::V6(v4.to_ipv6_mapped())),
        std::net::IpAddr::V6(_) => IpNet::from(ip),
    };
    net.contains(&ip) || net.prefix_len() >= 96 && net.contains(&mapped)
}
