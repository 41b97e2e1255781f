//! Who is meant, and who is not.

use mesh_core::identity::SpiffeId;

use super::finding::{Lint, LintRule};
use super::inventory::{Inventory, Policy, Workload};
use super::walk::{Values, What};
use crate::kube::ActionWord;

pub(super) fn lint(mesh: &Inventory, policy: &Policy, found: &mut Vec<Lint>) {
    let from = &policy.read.provenance;
    if policy.object.spec.action == ActionWord::Allow {
        for (field, values) in policy.ways() {
            open(mesh, policy, &field, &values, found);
        }
    }
    for values in policy.values() {
        for (index, value) in values.values.iter().enumerate() {
            let at = format!("{}[{index}]", values.field);
            if values.what == What::ServiceAccount
                && mesh.is_root(&from.namespace)
                && !value.contains('/')
            {
                let message = format!(
                    "{value:?} means {}/{value}; write the namespace",
                    from.namespace
                );
                found.push(Lint::new(LintRule::BareServiceAccount, from, &at, message));
            }
            if let Some(message) = unknown(mesh, values.what, value) {
                found.push(Lint::new(LintRule::UnknownIdentity, from, &at, message));
            }
        }
        let of_any = matches!(values.what, What::Namespace | What::ServiceAccount);
        let domains = mesh
            .trust_domains
            .as_ref()
            .map_or(1, |domains| domains.iter().count());
        if of_any && domains > 1 {
            let message =
                "peers of every accepted trust domain are meant; use principals to tell them apart";
            found.push(Lint::new(
                LintRule::AnyTrustDomain,
                from,
                &values.field,
                message,
            ));
        }
        let at_node = mesh
            .selected(policy)
            .any(|workload| !workload.behind_waypoint);
        if values.what == What::TrustDomain && at_node {
            let message = "a control plane's message to a node proxy has no place for trust domains; use principals";
            found.push(Lint::new(
                LintRule::TrustDomainAtNode,
                from,
                &values.field,
                message,
            ));
        }
    }
}

/// Ways in which ALLOW rules match that those satisfy who show nothing.
fn open(
    mesh: &Inventory,
    policy: &Policy,
    field: &str,
    values: &[Values<'_>],
    found: &mut Vec<Lint>,
) {
    let from = &policy.read.provenance;
    let only_excluded = |of: fn(What<'_>) -> bool| {
        let mut about = values.iter().filter(|values| of(values.what)).peekable();
        about.peek().is_some() && about.all(|values| values.excluded)
    };
    if only_excluded(|what| what.is_token())
        && !values
            .iter()
            .any(|values| values.what.is_identity() && !values.excluded)
    {
        let message = "requests without a token satisfy this rule; add requestPrincipals: [\"*\"]";
        found.push(Lint::new(
            LintRule::AllowsWithoutToken,
            from,
            field,
            message,
        ));
    }
    let plain = |workload: &Workload| {
        let mtls = mesh.mtls(workload);
        mtls.mode.accepts_plaintext() || mtls.ports.values().any(|mode| mode.accepts_plaintext())
    };
    if only_excluded(|what| what.is_identity()) && mesh.selected(policy).any(plain) {
        let message = "callers without an identity satisfy this rule, and are accepted in plain text; \
                       add principals: [\"*\"], or a PeerAuthentication of mode STRICT";
        found.push(Lint::new(LintRule::AllowsPlaintext, from, field, message));
    }
}

/// Why nobody is meant.
fn unknown(mesh: &Inventory, what: What<'_>, value: &str) -> Option<String> {
    let known = |test: &dyn Fn(&SpiffeId) -> bool| {
        let mut identities = mesh
            .workloads
            .iter()
            .filter_map(|workload| workload.identity.as_ref());
        identities.any(test)
    };
    let exact = !value.contains('*');
    let inventory = !mesh.workloads.is_empty();
    match what {
        What::Principal if value.starts_with("spiffe://") => Some(format!(
            "{value:?}: principals are written without spiffe://"
        )),
        What::Principal if exact && value.split('/').count() != 5 => Some(format!(
            "{value:?}: expected TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT"
        )),
        What::Principal if exact && inventory => {
            // `cluster.local` stands for the mesh's own trust domain.
            let rest = value.split_once('/').map(|(_, rest)| rest)?;
            let same = |id: &SpiffeId| {
                rest == format!("ns/{}/sa/{}", id.namespace(), id.service_account())
            };
            (!known(&same)).then(|| format!("{value:?}: no workload has this identity"))
        }
        What::Namespace if exact && inventory => {
            let there = mesh
                .workloads
                .iter()
                .any(|workload| *workload.namespace == *value);
            (!there).then(|| format!("{value:?}: no workload is in this namespace"))
        }
        _ => None,
    }
}
