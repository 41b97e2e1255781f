//! What a mesh's policies do that their authors may not have meant.
//!
//! [`lint`] looks at everything that was read ([`Inventory`]) and tells what it finds ([`Lint`]), each with
//! the object, the field and a [`Rule`](LintRule) that has a number, a [`Level`] and an explanation. It knows
//! the mesh only as far as it was told: lint that needs an inventory of workloads is silent without one.
//!
//! ```
//! use mesh_authz::kube::{AuthorizationPolicy, Provenance, Settings};
//! use mesh_authz::lint::{Inventory, LintRule, lint};
//!
//! let text = r#"{ "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
//!     "metadata": { "name": "p", "namespace": "shop" },
//!     "spec": { "rules": [{ "from": [{ "source": { "principals": ["spiffe://td/ns/a/sa/b"] } }] }] } }"#;
//! let object = AuthorizationPolicy::read(&mut serde_json::Deserializer::from_str(text))?;
//! let mut mesh = Inventory::new(Settings::default());
//! mesh.policy(object, Provenance::new("shop", "p"))?;
//! let found = lint(&mesh);
//! assert!(found.iter().any(|lint| lint.rule == LintRule::UnknownIdentity));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attachment;
mod boxes;
mod coverage;
mod finding;
mod identity;
mod inclusion;
mod inventory;
mod layers;
mod providers;
mod text;
mod tokens;
mod walk;

pub use finding::{Level, Lint, LintRule};
pub use inventory::{Inventory, Provider, ProviderKind, Service, Workload};

/// Everything that is found, by object and rule.
#[must_use]
pub fn lint(mesh: &Inventory) -> Vec<Lint> {
    let mut found = Vec::new();
    for policy in mesh.policies() {
        text::lint(policy, &mut found);
        identity::lint(mesh, policy, &mut found);
        layers::lint(mesh, policy, &mut found);
        attachment::lint(mesh, policy, &mut found);
        providers::lint(mesh, policy, &mut found);
    }
    attachment::lint_workloads(mesh, &mut found);
    coverage::lint(mesh, &mut found);
    tokens::lint(mesh, &mut found);
    found.sort_by(|a, b| a.order().cmp(&b.order()));
    found.dedup();
    found
}

#[cfg(test)]
mod tests;
