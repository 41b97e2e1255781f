//! Selectors and targets of a policy: what they may say.

use serde::{Deserialize, Serialize};

use super::caution::Caution;
use super::fault::Fault;
use super::finding::Findings;
use super::map::labels as unique_labels;
use super::meta::Labels;
use super::path::Path;

/// The most targets of one policy.
pub(super) const MAX_TARGETS: usize = 16;

/// The longest value of a label, in bytes. Source: Kubernetes, labels and selectors.
const MAX_LABEL_VALUE: usize = 63;

/// The longest name of an object, in bytes. Source: RFC 1123.
const MAX_NAME: usize = 253;

/// Workloads by their labels.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct Selector {
    /// Labels that a workload must have.
    #[serde(default, deserialize_with = "unique_labels")]
    pub match_labels: Labels,
}

/// An object that a policy is attached to.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct TargetRef {
    /// API group; empty or `core` for `Service`.
    #[serde(default)]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace; must be left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// What a policy applies to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are three")]
pub enum Attachment {
    /// Every workload of its scope: of its namespace, or of all when that is the root namespace.
    Scope,
    /// The workloads of its scope with these labels. Without any: all of them.
    Labels(Labels),
    /// One of these.
    Targets(Box<[Target]>),
    /// It cannot be told: whatever is in its scope, and at waypoints and gateways whatever its namespace has to do with.
    Unknown,
}

/// An object that a policy is attached to. It is in the policy's namespace, apart from classes,
/// which are in none.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Target {
    /// Kind.
    pub kind: TargetKind,
    /// Name.
    pub name: Box<str>,
}

/// A kind of object that a policy can be attached to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "those that Istio has")]
pub enum TargetKind {
    /// A Kubernetes `Service`.
    Service,
    /// A `ServiceEntry` of `networking.istio.io`.
    ServiceEntry,
    /// A `Gateway` of `gateway.networking.k8s.io`.
    Gateway,
    /// A `GatewayClass` of `gateway.networking.k8s.io`.
    GatewayClass,
}

/// What a policy applies to, from the three fields that say so.
pub(super) fn attachment(
    selector: Option<&Selector>,
    target_ref: Option<&TargetRef>,
    target_refs: &[TargetRef],
    found: &mut Findings,
) -> Attachment {
    let spec = Path::root("spec");
    let said = [
        selector.is_some(),
        target_ref.is_some(),
        !target_refs.is_empty(),
    ];
    if said.iter().filter(|said| **said).count() > 1 {
        found.fault(&spec, Fault::SelectorAndTargets);
    }
    let list = spec.field("targetRefs");
    found.at_most(&list, MAX_TARGETS, target_refs.len());
    let listed = target_refs.iter().enumerate();
    let mut targets: Vec<_> = listed
        .filter_map(|(index, each)| target(each, &list.index(index), found))
        .collect();
    let single = spec.field("targetRef");
    targets.extend(target_ref.and_then(|each| target(each, &single, found)));
    let labels = selector.map(|selector| labels(selector, found));
    match (target_refs.is_empty() && target_ref.is_none(), labels) {
        (false, _) => Attachment::Targets(targets.into()),
        (true, Some(labels)) => Attachment::Labels(labels),
        (true, None) => Attachment::Scope,
    }
}

/// The labels of a selector.
pub(super) fn labels(selector: &Selector, found: &mut Findings) -> Labels {
    let spec = Path::root("spec");
    let selector_at = spec.field("selector");
    let at = selector_at.field("matchLabels");
    if selector.match_labels.is_empty() {
        found.caution(&selector_at, Caution::EmptySelector);
    }
    for (key, value) in &selector.match_labels {
        let at = at.key(key);
        if key.is_empty() {
            found.fault(&at, Fault::EmptyText);
        }
        if key.contains('*') || value.contains('*') {
            found.fault(&at, Fault::LabelWildcard);
        }
        at_most_bytes(value, MAX_LABEL_VALUE, &at, found);
    }
    selector.match_labels.clone()
}

fn target(from: &TargetRef, at: &Path<'_>, found: &mut Findings) -> Option<Target> {
    if from.name.is_empty() {
        found.fault(&at.field("name"), Fault::EmptyText);
    }
    at_most_bytes(&from.name, MAX_NAME, &at.field("name"), found);
    if !from.namespace.is_empty() {
        found.fault(&at.field("namespace"), Fault::TargetNamespace);
    }
    let kind = match (from.group.as_str(), from.kind.as_str()) {
        ("" | "core", "Service") => TargetKind::Service,
        ("networking.istio.io", "ServiceEntry") => TargetKind::ServiceEntry,
        ("gateway.networking.k8s.io", "Gateway") => TargetKind::Gateway,
        ("gateway.networking.k8s.io", "GatewayClass") => TargetKind::GatewayClass,
        (group, kind) => {
            let (group, kind) = (group.into(), kind.into());
            found.fault(at, Fault::TargetKind { group, kind });
            return None;
        }
    };
    let name = from.name.as_str().into();
    Some(Target { kind, name })
}

fn at_most_bytes(text: &str, limit: usize, at: &Path<'_>, found: &mut Findings) {
    if text.len() > limit {
        let length = text.len();
        found.fault(at, Fault::TooLong { length, limit });
    }
}
