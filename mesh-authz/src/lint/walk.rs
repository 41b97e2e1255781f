//! All lists of values of a policy, wherever they are written.

use super::inventory::Policy;
use crate::kube::{Condition, Operation, Rule, Source};

/// A list of values.
#[derive(Clone, Debug)]
pub(super) struct Values<'p> {
    /// Where it is.
    pub(super) field: String,
    /// What the values are compared with.
    pub(super) what: What<'p>,
    /// Whether they are excluded.
    pub(super) excluded: bool,
    pub(super) values: &'p [String],
}

/// What values are compared with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What<'p> {
    Principal,
    RequestPrincipal,
    Namespace,
    SourceIp,
    RemoteIp,
    ServiceAccount,
    TrustDomain,
    Host,
    Port,
    Method,
    Path,
    DestinationIp,
    Sni,
    Header(&'p str),
    /// A part of a token.
    Claim,
    Metadata,
}

impl What<'_> {
    /// Whether only requests have it.
    pub(super) fn is_http(self) -> bool {
        use What::{Claim, Header, Host, Metadata, Method, Path, RequestPrincipal};
        matches!(
            self,
            Host | Method | Path | RequestPrincipal | Header(_) | Claim | Metadata
        )
    }

    /// Whether it is of the peer's certificate.
    pub(super) fn is_identity(self) -> bool {
        use What::{Namespace, Principal, ServiceAccount, TrustDomain};
        matches!(self, Principal | Namespace | ServiceAccount | TrustDomain)
    }

    /// Whether it is of a token.
    pub(super) fn is_token(self) -> bool {
        matches!(self, What::RequestPrincipal | What::Claim)
    }

    fn of_key(key: &str) -> Option<What<'_>> {
        Some(match key {
            "source.ip" => What::SourceIp,
            "remote.ip" => What::RemoteIp,
            "source.namespace" => What::Namespace,
            "source.serviceAccount" => What::ServiceAccount,
            "source.principal" => What::Principal,
            "source.trustDomain" => What::TrustDomain,
            "destination.ip" => What::DestinationIp,
            "destination.port" => What::Port,
            "connection.sni" => What::Sni,
            "request.auth.principal" => What::RequestPrincipal,
            _ if key.starts_with("request.auth.") => What::Claim,
            _ if key.starts_with("experimental.") => What::Metadata,
            _ => What::Header(key.strip_prefix("request.headers[")?.strip_suffix(']')?),
        })
    }
}

impl Policy {
    /// All lists of values.
    pub(super) fn values(&self) -> Vec<Values<'_>> {
        let rules = self.object.spec.rules.iter().flatten();
        let rules = rules.enumerate();
        rules.flat_map(|(at, rule)| of_rule(rule, at)).collect()
    }

    /// The rules, with the lists of values of each.
    pub(super) fn rules(&self) -> impl Iterator<Item = (String, Vec<Values<'_>>)> {
        let rules = self.object.spec.rules.iter().flatten().enumerate();
        rules.map(|(at, rule)| (format!("spec.rules[{at}]"), of_rule(rule, at)))
    }

    /// The ways in which each rule can match as far as the source is concerned, with the lists of values
    /// of each: one for each source, or one where the rule has none.
    pub(super) fn ways(&self) -> Vec<(String, Vec<Values<'_>>)> {
        let mut ways = Vec::new();
        for (at, rule) in self.object.spec.rules.iter().flatten().enumerate() {
            let field = format!("spec.rules[{at}]");
            let sources = rule.from.as_ref().map_or(0, Vec::len).max(1);
            for source in 0..sources {
                let own = format!("{field}.from[{source}].");
                let any = format!("{field}.from[");
                let mut values = of_rule(rule, at);
                values.retain(|one| !one.field.starts_with(&any) || one.field.starts_with(&own));
                ways.push((field.clone(), values));
            }
        }
        ways
    }
}

fn of_rule(rule: &Rule, at: usize) -> Vec<Values<'_>> {
    let at = format!("spec.rules[{at}]");
    let mut all = Vec::new();
    for (index, from) in rule.from.iter().flatten().enumerate() {
        if let Some(source) = &from.source {
            of_source(source, &format!("{at}.from[{index}].source"), &mut all);
        }
    }
    for (index, to) in rule.to.iter().flatten().enumerate() {
        if let Some(operation) = &to.operation {
            of_operation(operation, &format!("{at}.to[{index}].operation"), &mut all);
        }
    }
    for (index, when) in rule.when.iter().enumerate() {
        of_condition(when, &format!("{at}.when[{index}]"), &mut all);
    }
    all
}

fn of_source<'p>(source: &'p Source, at: &str, all: &mut Vec<Values<'p>>) {
    let lists = [
        (
            "principals",
            "notPrincipals",
            What::Principal,
            &source.principals,
            &source.not_principals,
        ),
        (
            "requestPrincipals",
            "notRequestPrincipals",
            What::RequestPrincipal,
            &source.request_principals,
            &source.not_request_principals,
        ),
        (
            "namespaces",
            "notNamespaces",
            What::Namespace,
            &source.namespaces,
            &source.not_namespaces,
        ),
        (
            "ipBlocks",
            "notIpBlocks",
            What::SourceIp,
            &source.ip_blocks,
            &source.not_ip_blocks,
        ),
        (
            "remoteIpBlocks",
            "notRemoteIpBlocks",
            What::RemoteIp,
            &source.remote_ip_blocks,
            &source.not_remote_ip_blocks,
        ),
        (
            "serviceAccounts",
            "notServiceAccounts",
            What::ServiceAccount,
            &source.service_accounts,
            &source.not_service_accounts,
        ),
        (
            "trustDomains",
            "notTrustDomains",
            What::TrustDomain,
            &source.trust_domains,
            &source.not_trust_domains,
        ),
    ];
    push(at, lists, all);
}

fn of_operation<'p>(operation: &'p Operation, at: &str, all: &mut Vec<Values<'p>>) {
    let lists = [
        (
            "hosts",
            "notHosts",
            What::Host,
            &operation.hosts,
            &operation.not_hosts,
        ),
        (
            "ports",
            "notPorts",
            What::Port,
            &operation.ports,
            &operation.not_ports,
        ),
        (
            "methods",
            "notMethods",
            What::Method,
            &operation.methods,
            &operation.not_methods,
        ),
        (
            "paths",
            "notPaths",
            What::Path,
            &operation.paths,
            &operation.not_paths,
        ),
    ];
    push(at, lists, all);
}

fn of_condition<'p>(when: &'p Condition, at: &str, all: &mut Vec<Values<'p>>) {
    if let Some(what) = What::of_key(&when.key) {
        push(
            at,
            [("values", "notValues", what, &when.values, &when.not_values)],
            all,
        );
    }
}

/// Names of the list and of the excluded one, and the lists.
type Lists<'p> = (
    &'static str,
    &'static str,
    What<'p>,
    &'p Vec<String>,
    &'p Vec<String>,
);

fn push<'p>(at: &str, lists: impl IntoIterator<Item = Lists<'p>>, all: &mut Vec<Values<'p>>) {
    for (name, not_name, what, values, not_values) in lists {
        for (name, excluded, values) in [(name, false, values), (not_name, true, not_values)] {
            if !values.is_empty() {
                let field = format!("{at}.{name}");
                all.push(Values {
                    field,
                    what,
                    excluded,
                    values,
                });
            }
        }
    }
}
