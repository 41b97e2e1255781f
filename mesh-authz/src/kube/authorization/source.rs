//! What a source becomes.

use super::Source;
use super::convert::Conversion;
use super::values::{self, account, range, request_principal, text, trust_domain};
use crate::kube::caution::Caution;
use crate::kube::fault::Fault;
use crate::kube::path::Path;
use crate::spec::{Action, MatchSpec};

/// The most service accounts of one field.
const MAX_ACCOUNTS: usize = 16;

impl Conversion<'_> {
    pub(super) fn source(&mut self, from: &Source, at: &Path<'_>) -> MatchSpec {
        self.check_source(from, at);
        let found = &mut self.found;
        let own = self.namespace;
        let texts = |list: &[String], field, found: &mut _| {
            values::list(list, &at.field(field), found, text)
        };
        let ranges = |list: &[String], field, found: &mut _| {
            values::list(list, &at.field(field), found, range)
        };
        let accounts = |list: &[String], field, found: &mut _| {
            values::list(list, &at.field(field), found, |each| account(each, own))
        };
        let domains = |list: &[String], field, found: &mut _| {
            values::list(list, &at.field(field), found, trust_domain)
        };
        let subjects = |list: &[String], field, found: &mut _| {
            values::list(list, &at.field(field), found, request_principal)
        };
        MatchSpec {
            principals: texts(&from.principals, "principals", found),
            not_principals: texts(&from.not_principals, "notPrincipals", found),
            request_principals: subjects(&from.request_principals, "requestPrincipals", found),
            not_request_principals: subjects(
                &from.not_request_principals,
                "notRequestPrincipals",
                found,
            ),
            namespaces: texts(&from.namespaces, "namespaces", found),
            not_namespaces: texts(&from.not_namespaces, "notNamespaces", found),
            source_ips: ranges(&from.ip_blocks, "ipBlocks", found),
            not_source_ips: ranges(&from.not_ip_blocks, "notIpBlocks", found),
            remote_ips: ranges(&from.remote_ip_blocks, "remoteIpBlocks", found),
            not_remote_ips: ranges(&from.not_remote_ip_blocks, "notRemoteIpBlocks", found),
            service_accounts: accounts(&from.service_accounts, "serviceAccounts", found),
            not_service_accounts: accounts(&from.not_service_accounts, "notServiceAccounts", found),
            trust_domains: domains(&from.trust_domains, "trustDomains", found),
            not_trust_domains: domains(&from.not_trust_domains, "notTrustDomains", found),
            ..MatchSpec::default()
        }
    }

    fn check_source(&mut self, from: &Source, at: &Path<'_>) {
        if *from == Source::default() {
            self.found.fault(at, Fault::NoFields);
        }
        for (field, list) in from.accounts() {
            self.found
                .at_most(&at.field(field), MAX_ACCOUNTS, list.len());
            let beside = from.identities().iter().any(|(_, list)| !list.is_empty());
            if beside && !list.is_empty() {
                self.found.fault(&at.field(field), Fault::ServiceAccounts);
            }
        }
        if self.action == Action::Custom {
            let domains = [
                ("trustDomains", &from.trust_domains),
                ("notTrustDomains", &from.not_trust_domains),
                ("requestPrincipals", &from.request_principals),
                ("notRequestPrincipals", &from.not_request_principals),
            ];
            let all = from
                .identities()
                .into_iter()
                .chain(from.accounts())
                .chain(domains);
            for (field, _) in all.filter(|(_, list)| !list.is_empty()) {
                self.found.fault(&at.field(field), Fault::NotWithCustom);
            }
        }
        let [namespaces, not_namespaces, ..] = from.identities();
        for (field, list) in [namespaces, not_namespaces] {
            self.inner_wildcards(list, &at.field(field));
        }
    }

    /// A `*` inside of a namespace means one thing at Envoy and another at ztunnel.
    pub(super) fn inner_wildcards(&mut self, namespaces: &[String], at: &Path<'_>) {
        for (index, namespace) in namespaces.iter().enumerate() {
            let rest = namespace
                .strip_prefix('*')
                .unwrap_or_else(|| namespace.strip_suffix('*').unwrap_or(namespace));
            if rest.contains('*') {
                self.found.caution(&at.index(index), Caution::InnerWildcard);
            }
        }
    }
}

impl Source {
    fn identities(&self) -> [(&'static str, &Vec<String>); 4] {
        [
            ("namespaces", &self.namespaces),
            ("notNamespaces", &self.not_namespaces),
            ("principals", &self.principals),
            ("notPrincipals", &self.not_principals),
        ]
    }

    fn accounts(&self) -> [(&'static str, &Vec<String>); 2] {
        [
            ("serviceAccounts", &self.service_accounts),
            ("notServiceAccounts", &self.not_service_accounts),
        ]
    }

    /// Whether nothing is said about a connection, only about requests.
    pub(super) fn is_http_only(&self) -> bool {
        let tcp = [
            &self.ip_blocks,
            &self.not_ip_blocks,
            &self.remote_ip_blocks,
            &self.not_remote_ip_blocks,
            &self.trust_domains,
            &self.not_trust_domains,
        ];
        let identities = self.identities().into_iter().chain(self.accounts());
        let mut all = tcp.into_iter().chain(identities.map(|(_, list)| list));
        all.all(Vec::is_empty)
    }
}
