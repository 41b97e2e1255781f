//! A policy and the levels below it.

use ipnet::IpNet;
use mesh_core::name::Name;

use super::{ServiceAccountMatch, StringMatch};

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

/// What a policy says about a connection that it matches.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Action {
    /// It may go on. That there is such a policy forbids all that none of them allows.
    Allow,
    /// It may not, whatever else allows it.
    Deny,
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
    /// Whether it only reports what it would do.
    pub dry_run: bool,
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
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct MatchSpec {
    /// Namespace of the peer's identity.
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
