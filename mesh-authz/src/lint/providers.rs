//! External authorizers.

use std::collections::BTreeSet;

use super::finding::{Lint, LintRule};
use super::inventory::{Inventory, Policy, ProviderKind};
use crate::kube::{ActionWord, Attachment};

pub(super) fn lint(mesh: &Inventory, policy: &Policy, found: &mut Vec<Lint>) {
    let spec = &policy.object.spec;
    let from = &policy.read.provenance;
    let Some(provider) = spec
        .provider
        .as_ref()
        .filter(|_| spec.action == ActionWord::Custom)
    else {
        return;
    };
    let field = "spec.provider.name";
    let mut tell = |rule, message: String| found.push(Lint::new(rule, from, field, message));
    if !matches!(policy.read.attachment, Attachment::Targets(_)) {
        let message = "a node proxy asks no external authorizer; attach the policy to a service with a waypoint";
        tell(LintRule::AuthorizerNotAsked, message.to_owned());
    }
    let Some(known) = &mesh.providers else {
        return;
    };
    let others: BTreeSet<&str> = mesh
        .policies()
        .iter()
        .filter_map(|other| {
            let same = other.read.attachment == policy.read.attachment;
            let spec = &other.object.spec;
            let same = same && other.read.provenance.namespace == from.namespace;
            spec.provider
                .as_ref()
                .filter(|_| same)
                .map(|provider| provider.name.as_str())
        })
        .collect();
    if others.len() > 1 {
        let message = "several authorizers for one workload need a setting of the control plane";
        tell(LintRule::AuthorizerNotAsked, message.to_owned());
    }
    match known.get(&provider.name) {
        None => {
            let message = format!("{:?} is not defined; the rules deny instead", provider.name);
            tell(LintRule::AuthorizerNotAsked, message);
        }
        Some(provider_settings) => {
            if provider_settings.kind == ProviderKind::Http {
                let about_tcp = policy
                    .rules()
                    .any(|(_, values)| !values.iter().any(|v| v.what.is_http()));
                if about_tcp {
                    let message = "it is asked by HTTP, so it is not asked about TCP connections";
                    tell(LintRule::AuthorizerNotAsked, message.to_owned());
                }
            }
            if provider_settings.fail_open {
                let message = format!(
                    "{:?} lets pass what it does not answer for (failOpen)",
                    provider.name
                );
                tell(LintRule::FailsOpen, message);
            }
        }
    }
}
