//! A policy and the levels below it.

use ipnet::IpNet;
use mesh_core::name::Name;

use super::{
    ClaimMatch, HeaderMatch, MetadataMatch, PathMatch, RequestPrincipalMatch, ServiceAccountMatch,
    StringMatch,
};

/// The workloads that a policy applies to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are three")]
pub enum Scope {
    /// All.
    Global,
    /// Those of the policy's namespace.
    Namespace,
    /// Those that name the policy in their own record.
    WorkloadSelector,
}

/// What a policy says about a connection or a request that it matches.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are four")]
pub enum Action {
    /// It may go on. That there is such a policy forbids all that none of them allows.
    Allow,
    /// It may not, whatever else allows it.
    Deny,
    /// It is noted; the verdict is that of the other policies.
    Audit,
    /// An external authorizer, the policy's provider, is asked as well. It can only deny.
    Custom,
}

/// A policy as a source of configuration delivers it. The key is `namespace/name`.
///
/// Source: `istio.security.Authorization`.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct PolicySpec {
    /// Namespace; not empty, without `/`.
    pub namespace: Name,
    /// Name; not empty, without `/`.
    pub name: Name,
    /// The workloads that it applies to.
    pub scope: Scope,
    /// What it says.
    pub action: Action,
    /// Whether it only reports what it would do. Only for ALLOW and DENY.
    pub dry_run: bool,
    /// The external authorizer that is asked; there is one exactly when the action is CUSTOM.
    pub provider: Option<Name>,
    /// One must match.
    pub rules: Vec<RuleSpec>,
}

/// One of the alternatives of a policy.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct RuleSpec {
    /// All must match.
    pub clauses: Vec<ClauseSpec>,
}

/// One of the conditions of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct ClauseSpec {
    /// One must match.
    pub matches: Vec<MatchSpec>,
}

/// One of the alternatives of a clause: all fields that are set must agree.
///
/// Fields from `hosts` on are about a request. On a connection of which no request is known they
/// are neither true nor false, and so may be the decision: it is never made without them.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct MatchSpec {
    /// Namespace of the peer's identity. A `*` inside of a value stands for any characters, where
    /// [`Semantics::namespace_wildcards`](crate::Semantics::namespace_wildcards) says so.
    pub namespaces: Vec<StringMatch>,
    /// Namespaces that do not match.
    pub not_namespaces: Vec<StringMatch>,
    /// Identity of the peer without `spiffe://`.
    pub principals: Vec<StringMatch>,
    /// Identities that do not match.
    pub not_principals: Vec<StringMatch>,
    /// Address of the TCP peer.
    pub source_ips: Vec<IpNet>,
    /// Addresses of TCP peers that do not match.
    pub not_source_ips: Vec<IpNet>,
    /// Address that is connected to.
    pub destination_ips: Vec<IpNet>,
    /// Addresses that do not match.
    pub not_destination_ips: Vec<IpNet>,
    /// Port that is connected to.
    pub destination_ports: Vec<u16>,
    /// Ports that do not match.
    pub not_destination_ports: Vec<u16>,
    /// Service account of the peer's identity, whatever its trust domain.
    pub service_accounts: Vec<ServiceAccountMatch>,
    /// Service accounts that do not match.
    pub not_service_accounts: Vec<ServiceAccountMatch>,
    /// Trust domain of the peer's identity.
    pub trust_domains: Vec<StringMatch>,
    /// Trust domains that do not match.
    pub not_trust_domains: Vec<StringMatch>,
    /// Address of the client as `X-Forwarded-For` or the PROXY protocol tell it.
    pub remote_ips: Vec<IpNet>,
    /// Addresses of clients that do not match.
    pub not_remote_ips: Vec<IpNet>,
    /// Server name that the client asked for in its TLS handshake.
    pub snis: Vec<StringMatch>,
    /// Server names that do not match.
    pub not_snis: Vec<StringMatch>,
    /// Authority of the request with its port, whatever the case of ASCII letters.
    pub hosts: Vec<StringMatch>,
    /// Authorities that do not match.
    pub not_hosts: Vec<StringMatch>,
    /// Method of the request.
    pub methods: Vec<StringMatch>,
    /// Methods that do not match.
    pub not_methods: Vec<StringMatch>,
    /// Path of the request, normalised, without query.
    pub paths: Vec<PathMatch>,
    /// Paths that do not match.
    pub not_paths: Vec<PathMatch>,
    /// Issuer and subject of the request's verified token.
    pub request_principals: Vec<RequestPrincipalMatch>,
    /// Issuers and subjects that do not match.
    pub not_request_principals: Vec<RequestPrincipalMatch>,
    /// Headers of the request, each a condition of its own.
    pub headers: Vec<HeaderMatch>,
    /// Claims of the request's verified token, each a condition of its own.
    pub claims: Vec<ClaimMatch>,
    /// What earlier parts of a proxy have noted about the request, each a condition of its own.
    pub metadata: Vec<MetadataMatch>,
}

impl PolicySpec {
    /// A policy that is enforced and has no rules yet.
    pub fn new(
        namespace: impl Into<Name>,
        name: impl Into<Name>,
        scope: Scope,
        action: Action,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            scope,
            action,
            dry_run: false,
            provider: None,
            rules: Vec::new(),
        }
    }

    /// The key, `namespace/name`.
    #[must_use]
    pub fn key(&self) -> Name {
        format!("{}/{}", self.namespace, self.name).into()
    }
}

impl RuleSpec {
    /// A rule of one clause with one match.
    #[must_use]
    pub fn of(only: MatchSpec) -> Self {
        Self {
            clauses: vec![ClauseSpec {
                matches: vec![only],
            }],
        }
    }
}
