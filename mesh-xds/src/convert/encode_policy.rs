//! From policies to messages, for servers.

use std::net::IpAddr;

use bytes::Bytes;
use ipnet::IpNet;
use mesh_authz::spec::{
    Action, MatchSpec, PolicySpec, RuleSpec, Scope, ServiceAccountMatch, StringMatch,
};

use crate::wire::security as wire;

/// A policy as a control plane sends it to node proxies, which see no requests.
///
/// A match with a condition that its format does not have gets an extension in place of it, for
/// which a receiver that does not know it rejects the policy. AUDIT is sent without rules, CUSTOM as
/// DENY.
#[must_use]
pub fn authorization(spec: &PolicySpec) -> wire::Authorization {
    wire::Authorization {
        name: spec.name.to_string(),
        namespace: spec.namespace.to_string(),
        scope: match spec.scope {
            Scope::Global => wire::Scope::Global,
            Scope::Namespace => wire::Scope::Namespace,
            Scope::WorkloadSelector => wire::Scope::WorkloadSelector,
        }
        .into(),
        action: match spec.action {
            Action::Allow => wire::Action::Allow,
            Action::Deny | Action::Audit | Action::Custom => wire::Action::Deny,
        }
        .into(),
        rules: match spec.action {
            // Without rules it never matches.
            Action::Audit => Vec::new(),
            // Nobody asks a provider: what would be asked about is denied.
            Action::Allow | Action::Deny | Action::Custom => spec.rules.iter().map(rule).collect(),
        },
        dry_run: spec.dry_run,
        extensions: Vec::new(),
    }
}

fn rule(spec: &RuleSpec) -> wire::Rule {
    let clauses = spec.clauses.iter().map(|clause| wire::Clause {
        matches: clause.matches.iter().map(condition).collect(),
    });
    wire::Rule {
        clauses: clauses.collect(),
    }
}

fn condition(spec: &MatchSpec) -> wire::Match {
    wire::Match {
        namespaces: texts(&spec.namespaces),
        not_namespaces: texts(&spec.not_namespaces),
        principals: texts(&spec.principals),
        not_principals: texts(&spec.not_principals),
        source_ips: ranges(&spec.source_ips),
        not_source_ips: ranges(&spec.not_source_ips),
        destination_ips: ranges(&spec.destination_ips),
        not_destination_ips: ranges(&spec.not_destination_ips),
        destination_ports: ports(&spec.destination_ports),
        not_destination_ports: ports(&spec.not_destination_ports),
        service_accounts: accounts(&spec.service_accounts),
        not_service_accounts: accounts(&spec.not_service_accounts),
        extensions: if says_more(spec) {
            vec![crate::wire::workload::Extension::default()]
        } else {
            Vec::new()
        },
    }
}

/// Whether a match has a condition that the format of the wire does not have.
fn says_more(spec: &MatchSpec) -> bool {
    let sent = MatchSpec {
        namespaces: spec.namespaces.clone(),
        not_namespaces: spec.not_namespaces.clone(),
        principals: spec.principals.clone(),
        not_principals: spec.not_principals.clone(),
        source_ips: spec.source_ips.clone(),
        not_source_ips: spec.not_source_ips.clone(),
        destination_ips: spec.destination_ips.clone(),
        not_destination_ips: spec.not_destination_ips.clone(),
        destination_ports: spec.destination_ports.clone(),
        not_destination_ports: spec.not_destination_ports.clone(),
        service_accounts: spec.service_accounts.clone(),
        not_service_accounts: spec.not_service_accounts.clone(),
        ..MatchSpec::default()
    };
    *spec != sent
}

fn texts(texts: &[StringMatch]) -> Vec<wire::StringMatch> {
    use wire::string_match::MatchType;
    let each = |text: &StringMatch| wire::StringMatch {
        match_type: Some(match text {
            StringMatch::Exact(text) => MatchType::Exact(text.to_string()),
            StringMatch::Prefix(text) => MatchType::Prefix(text.to_string()),
            StringMatch::Suffix(text) => MatchType::Suffix(text.to_string()),
            StringMatch::Presence => MatchType::Presence(()),
        }),
    };
    texts.iter().map(each).collect()
}

fn ranges(ranges: &[IpNet]) -> Vec<wire::Address> {
    let each = |net: &IpNet| wire::Address {
        address: match net.addr() {
            IpAddr::V4(ip) => Bytes::copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => Bytes::copy_from_slice(&ip.octets()),
        },
        length: net.prefix_len().into(),
    };
    ranges.iter().map(each).collect()
}

fn ports(ports: &[u16]) -> Vec<u32> {
    ports.iter().copied().map(u32::from).collect()
}

fn accounts(accounts: &[ServiceAccountMatch]) -> Vec<wire::ServiceAccountMatch> {
    let each = |account: &ServiceAccountMatch| wire::ServiceAccountMatch {
        namespace: account.namespace.to_string(),
        service_account: account.service_account.to_string(),
    };
    accounts.iter().map(each).collect()
}
