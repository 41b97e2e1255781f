//! What a `PeerAuthentication` becomes for a node proxy: a DENY policy for peers without identity.

use mesh_core::name::Name;

use super::{EffectiveMtls, MtlsMode};
use crate::spec::{Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};

/// The name of the policy that refuses every peer without identity. No object can have it: `_` is
/// not allowed in names of Kubernetes.
const STATIC_STRICT: &str = "istio_converted_static_strict";

/// What the name of a converted policy begins with, before the name of the object.
const CONVERTED: &str = "converted_peer_authentication_";

/// Which of two forms with the same meaning a converted policy has.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum MtlsShape {
    /// One match, whatever the number of ports.
    #[default]
    Merged,
    /// As istiod writes it: a rule for each port that is strict, or a clause for each that is not.
    Istiod,
}

/// What enforces [`EffectiveMtls`] for a workload. The workload names it; nothing else is needed.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are three cases")]
pub enum MtlsPolicy {
    /// Nothing: every port takes connections without mutual TLS.
    Nothing,
    /// The policy that all workloads without exceptions share, [`static_strict`].
    StaticStrict,
    /// A policy of the workload's own `PeerAuthentication`, with its exceptions in it. It is the
    /// same for all workloads that have this one.
    ///
    /// The shared policy must not be named beside it: a DENY cannot be taken back by another one.
    Own(PolicySpec),
}

impl MtlsPolicy {
    /// The key that the workload names, if any.
    #[must_use]
    pub fn key(&self, root_namespace: &Name) -> Option<Name> {
        match self {
            Self::Nothing => None,
            Self::StaticStrict => Some(static_strict(root_namespace.clone()).key()),
            Self::Own(policy) => Some(policy.key()),
        }
    }
}

/// The policy that refuses every peer without identity, `ROOT/istio_converted_static_strict`.
///
/// It is published when there is any `PeerAuthentication`, and in force for workloads that name it.
#[must_use]
pub fn static_strict(root_namespace: impl Into<Name>) -> PolicySpec {
    deny(
        root_namespace.into(),
        STATIC_STRICT.into(),
        vec![RuleSpec::of(no_peer())],
    )
}

impl EffectiveMtls {
    /// The policy that makes a node proxy refuse what [`accepts_plaintext`](Self::accepts_plaintext)
    /// refuses, and nothing else.
    ///
    /// It depends on the effective modes alone. There is a policy whenever anything is refused, so
    /// no combination of levels and ports is left open.
    #[must_use]
    pub fn policy(&self, shape: MtlsShape) -> MtlsPolicy {
        let strict = !self.mode.accepts_plaintext();
        let exceptions = self.exceptions();
        let own = self.own.as_ref().filter(|_| !exceptions.is_empty());
        let Some(own) = own else {
            return if strict {
                MtlsPolicy::StaticStrict
            } else {
                MtlsPolicy::Nothing
            };
        };
        let rules = match (shape, strict) {
            (MtlsShape::Merged, true) => vec![RuleSpec::of(MatchSpec {
                not_destination_ports: exceptions,
                ..no_peer()
            })],
            (MtlsShape::Merged, false) => vec![RuleSpec::of(MatchSpec {
                destination_ports: exceptions,
                ..no_peer()
            })],
            (MtlsShape::Istiod, true) => vec![self.all_but(&exceptions)],
            (MtlsShape::Istiod, false) => {
                let port = |port| MatchSpec {
                    destination_ports: vec![port],
                    ..no_peer()
                };
                exceptions
                    .into_iter()
                    .map(|each| RuleSpec::of(port(each)))
                    .collect()
            }
        };
        let name = format!("{CONVERTED}{}", own.name).into();
        MtlsPolicy::Own(deny(own.namespace.clone(), name, rules))
    }

    /// One clause for the identity, and one for each port that is left out. What the policy itself
    /// says comes first, what it inherits last.
    fn all_but(&self, exceptions: &[u16]) -> RuleSpec {
        let port = |port: &u16| MatchSpec {
            not_destination_ports: vec![*port],
            ..MatchSpec::default()
        };
        let mut matches: Vec<_> = exceptions.iter().map(port).collect();
        let at = if self.own_mode == MtlsMode::Strict {
            0
        } else {
            matches.len()
        };
        matches.insert(at, no_peer());
        let clauses = matches.into_iter().map(|each| ClauseSpec {
            matches: vec![each],
        });
        RuleSpec {
            clauses: clauses.collect(),
        }
    }
}

/// A peer without identity.
fn no_peer() -> MatchSpec {
    MatchSpec {
        not_principals: vec![StringMatch::Presence],
        ..MatchSpec::default()
    }
}

fn deny(namespace: Name, name: Name, rules: Vec<RuleSpec>) -> PolicySpec {
    let mut policy = PolicySpec::new(namespace, name, Scope::WorkloadSelector, Action::Deny);
    policy.rules = rules;
    policy
}
