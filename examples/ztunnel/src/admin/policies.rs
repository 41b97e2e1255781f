//! Policies in the configuration dump, in the format of local files.

use mesh_authz::PolicyIndex;
use mesh_authz::spec::{Action, MatchSpec, PolicySpec, Scope, ServiceAccountMatch, StringMatch};
use serde_json::{Map, Value, json};

/// All policies, by their keys.
pub(super) fn dump(index: &PolicyIndex) -> Value {
    let mut all: Vec<_> = index.policies().map(|policy| policy.to_spec()).collect();
    all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    all.iter().map(policy).collect()
}

fn policy(policy: &PolicySpec) -> Value {
    let clause = |matches: &Vec<MatchSpec>| matches.iter().map(one_match).collect::<Value>();
    let rules: Vec<Value> = policy
        .rules
        .iter()
        .map(|rule| rule.clauses.iter().map(|c| clause(&c.matches)).collect())
        .collect();
    json!({
        "name": policy.name.as_str(),
        "namespace": policy.namespace.as_str(),
        "scope": match policy.scope {
            Scope::Global => "Global",
            Scope::Namespace => "Namespace",
            Scope::WorkloadSelector => "WorkloadSelector",
        },
        "action": match policy.action {
            Action::Allow => "Allow",
            Action::Deny => "Deny",
            Action::Audit => "Audit",
            Action::Custom => "Custom",
        },
        "rules": rules,
        "dryRun": policy.dry_run,
    })
}

/// Only the fields that are set.
fn one_match(one: &MatchSpec) -> Value {
    let MatchSpec {
        namespaces,
        not_namespaces,
        principals,
        not_principals,
        source_ips,
        not_source_ips,
        destination_ips,
        not_destination_ips,
        destination_ports,
        not_destination_ports,
        service_accounts,
        not_service_accounts,
        // No source of this proxy's configuration has the others.
        ..
    } = one;
    let mut fields = Map::new();
    let mut set = |name: &str, values: Vec<Value>| {
        if !values.is_empty() {
            fields.insert(name.to_owned(), values.into());
        }
    };
    for (name, list) in [
        ("namespaces", namespaces),
        ("notNamespaces", not_namespaces),
        ("principals", principals),
        ("notPrincipals", not_principals),
    ] {
        set(name, list.iter().map(text).collect());
    }
    for (name, list) in [
        ("sourceIps", source_ips),
        ("notSourceIps", not_source_ips),
        ("destinationIps", destination_ips),
        ("notDestinationIps", not_destination_ips),
    ] {
        set(
            name,
            list.iter().map(|range| range.to_string().into()).collect(),
        );
    }
    for (name, list) in [
        ("destinationPorts", destination_ports),
        ("notDestinationPorts", not_destination_ports),
    ] {
        set(name, list.iter().map(|port| Value::from(*port)).collect());
    }
    for (name, list) in [
        ("serviceAccounts", service_accounts),
        ("notServiceAccounts", not_service_accounts),
    ] {
        set(name, list.iter().map(account).collect());
    }
    Value::Object(fields)
}

fn text(text: &StringMatch) -> Value {
    match text {
        StringMatch::Exact(text) => json!({ "Exact": text.as_str() }),
        StringMatch::Prefix(text) => json!({ "Prefix": text.as_str() }),
        StringMatch::Suffix(text) => json!({ "Suffix": text.as_str() }),
        StringMatch::Presence => json!({ "Presence": [] }),
    }
}

fn account(account: &ServiceAccountMatch) -> Value {
    json!({
        "namespace": account.namespace.as_str(),
        "serviceAccount": account.service_account.as_str(),
    })
}
