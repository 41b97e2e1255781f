//! What is enforced where.

use super::finding::{Lint, LintRule};
use super::inventory::{Inventory, Policy};
use super::walk::What;
use crate::kube::{ActionWord, Attachment, Caution, ServiceKind, TargetKind};

pub(super) fn lint(mesh: &Inventory, policy: &Policy, found: &mut Vec<Lint>) {
    let from = &policy.read.provenance;
    let denies = policy.object.spec.action == ActionWord::Deny;
    let of_targets = matches!(policy.read.attachment, Attachment::Targets(_));
    for (_, values) in policy.rules() {
        let http: Vec<_> = values
            .iter()
            .filter(|values| values.what.is_http())
            .collect();
        if denies
            && !of_targets
            && let Some(first) = http.first()
        {
            let message = "a node proxy does not know requests, so it cannot deny by them; \
                           attach the policy to a service with a waypoint, by targetRefs";
            found.push(Lint::new(
                LintRule::DenyNeedsWaypoint,
                from,
                &first.field,
                message,
            ));
        }
        for values in &values {
            let at_waypoint = of_targets
                || mesh
                    .selected(policy)
                    .any(|workload| workload.behind_waypoint);
            if values.what == What::SourceIp && at_waypoint && !of_targets {
                let message = "behind a waypoint the peer's address is that of the waypoint";
                found.push(Lint::new(
                    LintRule::AddressBehindProxy,
                    from,
                    &values.field,
                    message,
                ));
            }
            if values.what == What::RemoteIp && mesh.trusted_hops == 0 {
                let message = "no proxy in front of the mesh is trusted, so clients choose this address, \
                               or it is that of the peer";
                found.push(Lint::new(
                    LintRule::AddressBehindProxy,
                    from,
                    &values.field,
                    message,
                ));
            }
        }
    }
    for caution in &policy.read.cautions {
        let rule = match caution.what {
            Caution::DeniesAllTcp => LintRule::DeniesAllTcp,
            Caution::DryRunValue { .. } => LintRule::NotADryRun,
            _ => continue,
        };
        found.push(Lint::new(rule, from, &caution.field, &caution.what));
    }
    bypass(mesh, policy, found);
}

/// A policy of a service's waypoint, without one that keeps others than the waypoint away from the
/// service's workloads.
fn bypass(mesh: &Inventory, policy: &Policy, found: &mut Vec<Lint>) {
    let Attachment::Targets(targets) = &policy.read.attachment else {
        return;
    };
    let from = &policy.read.provenance;
    for target in targets {
        let kind = match target.kind {
            TargetKind::Service => ServiceKind::Service,
            TargetKind::ServiceEntry => ServiceKind::ServiceEntry,
            TargetKind::Gateway | TargetKind::GatewayClass => continue,
        };
        let service = mesh.services.iter().find(|service| {
            service.kind == kind
                && *service.name == *target.name
                && *service.namespace == *from.namespace
        });
        let Some(service) = service else {
            continue;
        };
        let mut open = mesh.workloads.iter().filter(|workload| {
            service.selects(workload)
                && !mesh.policies().iter().any(|other| {
                    other.object.spec.action == ActionWord::Allow
                        && mesh.selected(other).any(|selected| selected == *workload)
                })
        });
        if let Some(workload) = open.next() {
            let message = format!(
                "{} {} accepts connections that do not come through the waypoint; add an ALLOW policy for the waypoint's identity{}",
                workload.namespace,
                workload.name,
                service
                    .waypoint
                    .as_ref()
                    .map(|id| format!(", {id}"))
                    .unwrap_or_default(),
            );
            found.push(Lint::new(
                LintRule::WaypointBypass,
                from,
                "spec.targetRefs",
                message,
            ));
        }
    }
}
