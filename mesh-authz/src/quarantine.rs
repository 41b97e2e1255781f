//! What takes the place of a policy that is rejected and has no good version.

use mesh_core::name::Name;

use crate::spec::{Action, PolicySpec, RuleSpec, Scope};

/// The policy that takes the place of one that is rejected and has no good version: it denies
/// everything where that one would have applied.
///
/// A rejected DENY that is only left out lets pass what it was meant to deny, and a rejected ALLOW
/// that was the only one opens its workloads to all. With the same key and scope, it is replaced by
/// the first good version and goes when the object goes.
///
/// ```
/// use mesh_authz::quarantine;
/// use mesh_authz::spec::{Action, Scope};
///
/// let policy = quarantine("shop", "broken", Scope::Namespace);
/// assert_eq!((policy.key().as_str(), policy.action), ("shop/broken", Action::Deny));
/// ```
#[must_use]
pub fn quarantine(namespace: impl Into<Name>, name: impl Into<Name>, scope: Scope) -> PolicySpec {
    let mut policy = PolicySpec::new(namespace, name, scope, Action::Deny);
    policy.rules.push(RuleSpec::default());
    policy
}
