//! What is written into an object about its projection.
//!
//! The texts of `Compat` are those of istiod, which tools look for.

use mesh_core::name::Name;

use super::Exactness;
use crate::spec::{Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec};

/// The reason of every condition with one of these texts.
pub const UNSUPPORTED_VALUE: &str = "UnsupportedValue";

pub(super) fn action(action: Action) -> Box<str> {
    let word = match action {
        Action::Allow => "ALLOW",
        Action::Deny => "DENY",
        Action::Audit => "AUDIT",
        Action::Custom => "CUSTOM",
    };
    format!("ztunnel does not support the {word} action").into()
}

pub(super) fn dry_run(policy: &PolicySpec) -> Box<str> {
    let PolicySpec {
        namespace, name, ..
    } = policy;
    format!(
        "found policy \"{namespace}/{name}\" using dry-run annotation, \
         but support for ambient dry-run authorizationPolicies isn't enabled"
    )
    .into()
}

pub(super) fn custom_denies() -> Box<str> {
    "a node proxy asks no external authorizer: what this CUSTOM policy matches is denied there. \
     Use a targetRef to enforce it at a waypoint."
        .into()
}

pub(super) fn strict(
    action: Action,
    exactness: &Exactness,
    unsupported: &[Name],
) -> Option<Box<str>> {
    let what = match (action, exactness) {
        (_, Exactness::Exact) => return None,
        (Action::Deny, Exactness::Unenforceable(_)) => {
            "Rules that cannot be told apart without them deny everything else that they match."
        }
        (Action::Deny, _) => {
            "This DENY policy is enforced without them and denies more than it says."
        }
        _ => "Rules that need them are left out, and the policy matches less than it says.",
    };
    let list = unsupported.join(", ");
    Some(format!("a node proxy does not know {list}. {what} Use a targetRef to enforce them at a waypoint.").into())
}

pub(super) fn compat(projected: &PolicySpec, unsupported: &[Name]) -> Option<Box<str>> {
    if unsupported.is_empty() {
        return None;
    }
    let effective = projected.rules.iter().any(has_effect);
    let what = match (projected.action, effective) {
        (Action::Deny, false) => {
            "After omitting unsupported HTTP attributes, this DENY policy has no enforceable rules \
             at ztunnel and will have no effect. Deploy a waypoint proxy and use a targetRef to \
             enforce this policy."
        }
        (Action::Deny, true) => {
            "DENY policy with HTTP attributes is enforced without the HTTP rules. \
             This will be more restrictive than requested."
        }
        _ => {
            "Within an ALLOW policy, rules matching HTTP attributes are omitted. \
             This will be more restrictive than requested."
        }
    };
    let list = unsupported.join(", ");
    Some(
        format!(
            "ztunnel does not support HTTP attributes (found: {list}). \
             In ambient mode you must use a waypoint proxy to enforce HTTP rules. {what}"
        )
        .into(),
    )
}

/// Whether a rule can match: an alternative without any field never does.
fn has_effect(rule: &RuleSpec) -> bool {
    let matches_something = |clause: &ClauseSpec| {
        let mut matches = clause.matches.iter();
        matches.any(|each| *each != MatchSpec::default())
    };
    rule.clauses.iter().all(matches_something)
}
