//! The fields of an `AuthorizationPolicy` as they are written.

use serde::{Deserialize, Serialize};

use crate::kube::meta::Object;
use crate::kube::selector::{Selector, TargetRef};

/// An `AuthorizationPolicy`.
///
/// ```
/// use mesh_authz::kube::{AuthorizationPolicy, Provenance, Settings};
///
/// let text = r#"{ "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
///     "metadata": { "name": "allow-cart", "namespace": "shop" },
///     "spec": { "rules": [{ "from": [{ "source": { "principals": ["*/sa/cart"], "ipBlocks": ["10.0.0.0"] }}],
///                           "to": [{ "operation": { "ports": ["http"] }}] }] } }"#;
/// let policy = AuthorizationPolicy::read(&mut serde_json::Deserializer::from_str(text))?;
/// let provenance = Provenance::of(&policy.metadata).at("shop.yaml", 7);
/// let invalid = policy.convert(&Settings::default(), provenance).unwrap_err();
/// assert_eq!(
///     invalid.to_string(),
///     "shop.yaml:7: shop/allow-cart: spec.rules[0].to[0].operation.ports[0]: \
///      \"http\": a port, 0 to 65535, is expected",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Istio's `security.istio.io/v1` `AuthorizationPolicy`.
pub type AuthorizationPolicy = Object<AuthorizationPolicySpec>;

/// What an [`AuthorizationPolicy`] asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct AuthorizationPolicySpec {
    /// Workloads that it applies to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// Object that it applies to; the older form of `target_refs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<TargetRef>,
    /// Objects that it applies to, at most 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_refs: Vec<TargetRef>,
    /// Alternatives, at most 512. Without any it matches nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<Rule>>,
    /// What it says about what it matches; `ALLOW` when it is left out.
    pub action: ActionWord,
    /// The external authorizer of `CUSTOM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
}

/// The word for an action.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(clippy::exhaustive_enums, reason = "the words of the Kubernetes API")]
pub enum ActionWord {
    /// `ALLOW`.
    #[default]
    Allow,
    /// `DENY`.
    Deny,
    /// `AUDIT`.
    Audit,
    /// `CUSTOM`.
    Custom,
}

/// An external authorizer, by its name in the mesh's configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct Provider {
    /// Name.
    pub name: String,
}

/// One of the alternatives: a source, an operation and all conditions must match.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct Rule {
    /// Sources, of which one must match, at most 512. Left out: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<RuleFrom>>,
    /// Operations, of which one must match. Left out: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Vec<RuleTo>>,
    /// Conditions, all of which must match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Condition>,
}

/// A source.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct RuleFrom {
    /// It; must be there.
    pub source: Option<Source>,
}

/// An operation.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct RuleTo {
    /// It; must be there.
    pub operation: Option<Operation>,
}

/// Who a request comes from. All fields that are set must agree; a field agrees when one of its
/// values fits, and one that begins with `not` when none does.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct Source {
    /// Identities of peers without `spiffe://`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
    /// See `principals`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_principals: Vec<String>,
    /// `ISSUER/SUBJECT` of the verified token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_principals: Vec<String>,
    /// See `request_principals`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_request_principals: Vec<String>,
    /// Namespaces of peers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// See `namespaces`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_namespaces: Vec<String>,
    /// Addresses of the TCP peer, or ranges of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip_blocks: Vec<String>,
    /// See `ip_blocks`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ip_blocks: Vec<String>,
    /// Addresses of the client as `X-Forwarded-For` or the PROXY protocol tell it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote_ip_blocks: Vec<String>,
    /// See `remote_ip_blocks`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_remote_ip_blocks: Vec<String>,
    /// `NAMESPACE/ACCOUNT`, or `ACCOUNT` in the policy's namespace; at most 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<String>,
    /// See `service_accounts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_service_accounts: Vec<String>,
    /// Trust domains of peers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trust_domains: Vec<String>,
    /// See `trust_domains`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_trust_domains: Vec<String>,
}

/// What is requested. Fields as in [`Source`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct Operation {
    /// Authorities with their port.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// See `hosts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_hosts: Vec<String>,
    /// Ports that are connected to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// See `ports`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ports: Vec<String>,
    /// Methods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// See `methods`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_methods: Vec<String>,
    /// Paths or path templates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// See `paths`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_paths: Vec<String>,
}

/// A condition on an attribute: one of `values` fits, and none of `not_values`.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct Condition {
    /// The attribute, such as `request.headers[x-name]`.
    pub key: String,
    /// Values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Excluded values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_values: Vec<String>,
}
