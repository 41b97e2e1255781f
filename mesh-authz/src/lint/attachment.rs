//! What policies apply to.

use super::finding::{Lint, LintRule};
use super::inventory::{Inventory, Policy};
use crate::kube::{ActionWord, Attachment, ServiceKind, TargetKind};

pub(super) fn lint(mesh: &Inventory, policy: &Policy, found: &mut Vec<Lint>) {
    let from = &policy.read.provenance;
    match &policy.read.attachment {
        Attachment::Labels(_) if !mesh.workloads.is_empty() => {
            let any = mesh.selected(policy).next().is_some()
                || mesh.workloads.iter().any(|workload| {
                    let subject = crate::kube::Subject::new(&workload.namespace, &workload.labels);
                    subject.applies(&policy.read, &mesh.settings).is_ok()
                });
            if !any {
                let message = "no workload has these labels";
                found.push(Lint::new(
                    LintRule::AppliesToNothing,
                    from,
                    "spec.selector",
                    message,
                ));
            }
        }
        Attachment::Scope
            if !mesh.workloads.is_empty()
                && !mesh.is_root(&from.namespace)
                && mesh.selected(policy).next().is_none() =>
        {
            let message = "no workload is in this namespace";
            found.push(Lint::new(
                LintRule::AppliesToNothing,
                from,
                "metadata.namespace",
                message,
            ));
        }
        Attachment::Targets(targets) if !mesh.services.is_empty() => {
            for (at, target) in targets.iter().enumerate() {
                let kind = match target.kind {
                    TargetKind::Service => ServiceKind::Service,
                    TargetKind::ServiceEntry => ServiceKind::ServiceEntry,
                    TargetKind::Gateway | TargetKind::GatewayClass => continue,
                };
                let there = mesh.services.iter().find(|service| {
                    let of_name = *service.name == *target.name;
                    of_name && service.kind == kind && *service.namespace == *from.namespace
                });
                let message = match there {
                    None => format!(
                        "there is no such object as {:?} {}",
                        target.kind, target.name
                    ),
                    Some(service) if service.waypoint.is_none() => {
                        format!("{} has no waypoint that would enforce it", target.name)
                    }
                    Some(_) => continue,
                };
                let field = format!("spec.targetRefs[{at}]");
                found.push(Lint::new(LintRule::AppliesToNothing, from, field, message));
            }
        }
        _ => {}
    }
}

/// Workloads that one single ALLOW policy makes deny everything else.
pub(super) fn lint_workloads(mesh: &Inventory, found: &mut Vec<Lint>) {
    for workload in mesh
        .workloads
        .iter()
        .filter(|workload| !workload.is_gateway())
    {
        let allows = mesh.policies().iter().filter(|policy| {
            policy.object.spec.action == ActionWord::Allow
                && !policy.read.policy.dry_run
                && mesh.selected(policy).any(|selected| selected == workload)
        });
        let allows: Vec<_> = allows.take(2).collect();
        // One that says nothing is meant to deny everything.
        if let [only] = allows.as_slice()
            && !only.read.policy.rules.is_empty()
        {
            let message = format!(
                "it is the only ALLOW policy of {}/{}, which denies everything else because of it",
                workload.namespace, workload.name
            );
            found.push(Lint::new(
                LintRule::FirstAllow,
                &only.read.provenance,
                "spec.action",
                message,
            ));
        }
    }
}
