//! A policy at the node proxy, and which of its rules are left there.

use mesh_authz::kube::{Authorization, Profile};
use mesh_authz::spec::PolicySpec;

use crate::configuration::Configuration;

/// What became of a policy at the node proxy.
#[derive(Clone, Debug)]
pub(crate) struct Projected {
    pub(crate) spec: Option<PolicySpec>,
    pub(crate) is_sent: bool,
    /// What is to be said about it.
    pub(crate) status: Option<Box<str>>,
    /// For each rule that is left, its place in the policy as it is written.
    pub(crate) rules: Vec<usize>,
}

impl Projected {
    pub(crate) fn of(policy: &Authorization, configuration: &Configuration) -> Self {
        let profile = configuration.settings.profile;
        let projection = policy.project_l4(profile);
        // Istio knows no aliases at a node proxy.
        let expand = |spec: PolicySpec| match profile {
            Profile::Strict => configuration.trust_domains.expand(spec),
            Profile::Compat => spec,
        };
        let spec = projection.policy.map(expand);
        Self {
            is_sent: spec.is_some(),
            spec,
            status: projection.status,
            rules: projection.rules,
        }
    }
}
