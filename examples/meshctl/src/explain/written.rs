//! Where policies are written.

use mesh_authz::kube::Authorization;

/// Where a policy is written.
pub(super) fn at(policy: &Authorization) -> String {
    let provenance = &policy.provenance;
    let file = provenance.file.as_deref().unwrap_or_default();
    format!("{file}:{}", provenance.line)
}
