//! Who may refer to what in other namespaces.

use crate::manifest::inventory::Inventory;
use crate::manifest::kind::GATEWAY_API;

/// Whether a grant in namespace `to` lets routes of `kind` in namespace `from` refer to a service there.
pub(super) fn is_granted(
    inventory: &Inventory,
    kind: &str,
    from: &str,
    to: &str,
    service: &str,
) -> bool {
    let mut grants = inventory.reference_grants.iter();
    grants.any(|grant| {
        let mut sources = grant.spec.from.iter();
        let mut targets = grant.spec.to.iter();
        grant.namespace() == to
            && sources
                .any(|one| one.group == GATEWAY_API && one.kind == kind && one.namespace == from)
            && targets.any(|one| {
                let named = one.name.as_ref().is_none_or(|name| name == service);
                one.group.is_empty() && one.kind == "Service" && named
            })
    })
}
