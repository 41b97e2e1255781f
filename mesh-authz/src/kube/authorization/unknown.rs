//! What takes the place of a policy that cannot be read.

use super::convert::{Authorization, scope_of_namespace};
use super::{AuthorizationPolicy, AuthorizationPolicySpec, Rule};
use crate::kube::meta::Metadata;
use crate::kube::provenance::Provenance;
use crate::kube::selector::{Attachment, Selector, TargetRef};
use crate::kube::settings::Settings;
use crate::quarantine;
use crate::spec::Scope;

/// What could be read of what a policy applies to: at most one of the three.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct AttachmentFields {
    /// Workloads that it applies to.
    pub selector: Option<Selector>,
    /// Object that it applies to; the older form of `target_refs`.
    pub target_ref: Option<TargetRef>,
    /// Objects that it applies to.
    pub target_refs: Vec<TargetRef>,
}

impl Authorization {
    /// What takes the place of a policy that is wrong and never was right: everything is denied that it could have been
    /// about. `fields` are `None` when they cannot be read; then it is about all that its namespace may have a say in, as
    /// it is where they are wrong.
    ///
    /// ```
    /// use mesh_authz::kube::{Attachment, Authorization, Provenance, Settings};
    /// use mesh_authz::spec::Action;
    ///
    /// let policy = Authorization::of_unknown(None, &Settings::default(), Provenance::new("shop", "broken"));
    /// assert_eq!((policy.policy.action, policy.attachment), (Action::Deny, Attachment::Unknown));
    /// ```
    #[must_use]
    pub fn of_unknown(
        fields: Option<AttachmentFields>,
        settings: &Settings,
        provenance: Provenance,
    ) -> Self {
        if let Some(fields) = fields {
            let object = AuthorizationPolicy {
                api_version: "security.istio.io/v1".to_owned(),
                kind: "AuthorizationPolicy".to_owned(),
                metadata: Metadata {
                    name: provenance.name.to_string(),
                    namespace: Some(provenance.namespace.to_string()),
                    ..Metadata::default()
                },
                spec: AuthorizationPolicySpec {
                    selector: fields.selector,
                    target_ref: fields.target_ref,
                    target_refs: fields.target_refs,
                    rules: Some(vec![Rule::default()]),
                    action: super::ActionWord::Deny,
                    ..AuthorizationPolicySpec::default()
                },
                ..AuthorizationPolicy::default()
            };
            if let Ok(policy) = object.convert(settings, provenance.clone()) {
                return policy;
            }
        }
        let scope: Scope = scope_of_namespace(&provenance.namespace, settings);
        let (namespace, name) = (provenance.namespace.clone(), provenance.name.clone());
        Self {
            policy: quarantine(namespace, name, scope),
            attachment: Attachment::Unknown,
            created: None,
            provenance,
            cautions: Vec::new(),
            origins: vec![Vec::new()],
        }
    }
}
