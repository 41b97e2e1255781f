//! The parts that all objects have: type, metadata, spec.

use std::collections::BTreeMap;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny};
use serde::{Deserialize as Read, Serialize as Write};

use super::timestamp::Timestamp;

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// A Kubernetes object of the group `security.istio.io`, as it is written in YAML or JSON.
///
/// A field that is not known is an error everywhere but in `metadata` and `status`: one that is
/// left out silently could make an ALLOW wider or a DENY narrower than its author meant.
#[derive(Clone, Debug, Default, Eq, PartialEq, Read, Write)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    bound(deserialize = "S: DeserializeOwned + Default")
)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct Object<S> {
    /// `security.istio.io/v1` or `security.istio.io/v1beta1`.
    pub api_version: String,
    /// `AuthorizationPolicy`, `PeerAuthentication` or `RequestAuthentication`.
    pub kind: String,
    /// Name, namespace and what belongs to it.
    pub metadata: Metadata,
    /// What it asks for. Nothing when it is left out.
    #[serde(default, deserialize_with = "default_if_null")]
    pub spec: S,
    /// What a control plane has written; ignored.
    #[serde(default, skip_serializing)]
    pub status: Ignored,
}

/// Name, namespace and labels of an object; fields that are not listed are ignored.
#[derive(Clone, Debug, Default, Eq, PartialEq, Read, Write)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct Metadata {
    /// Name.
    pub name: String,
    /// Namespace; without one the object is in `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels.
    #[serde(
        default,
        deserialize_with = "default_if_null",
        skip_serializing_if = "Labels::is_empty"
    )]
    pub labels: Labels,
    /// Annotations.
    #[serde(
        default,
        deserialize_with = "default_if_null",
        skip_serializing_if = "Labels::is_empty"
    )]
    pub annotations: Labels,
    /// When it was created. One without is older than all others, as with Istio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<Timestamp>,
}

/// A value that is read over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Why an object cannot be read at all.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}: {message}")]
#[non_exhaustive]
pub struct Unreadable {
    /// Where, such as `spec.rules[0].from[1].source`; `.` for the object itself.
    pub field: Box<str>,
    /// What is wrong there, as the format says it: an unknown field, a number for a text.
    pub message: Box<str>,
}

impl<S: DeserializeOwned + Default> Object<S> {
    /// Reads an object from any format, with the field in the error.
    ///
    /// # Errors
    /// [`Unreadable`] when it has a field that is not known, a value of the wrong type or a word
    /// that is not one of those expected. What it says is checked later, when it is converted.
    ///
    /// ```
    /// use mesh_authz::kube::AuthorizationPolicy;
    ///
    /// let text = r#"{ "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
    ///     "metadata": { "name": "p" }, "spec": { "rules": [{ "form": [] }] } }"#;
    /// let error = AuthorizationPolicy::read(&mut serde_json::Deserializer::from_str(text)).unwrap_err();
    /// assert_eq!(&*error.field, "spec.rules[0].form");
    /// ```
    pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, Unreadable> {
        serde_path_to_error::deserialize(deserializer).map_err(|error| Unreadable {
            field: error.path().to_string().into(),
            message: error.into_inner().to_string().into(),
        })
    }
}

pub(super) fn default_if_null<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
