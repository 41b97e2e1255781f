//! The fields of a `PeerAuthentication` as they are written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kube::map::by_port;
use crate::kube::meta::Object;
use crate::kube::selector::Selector;

/// A `PeerAuthentication`.
///
/// Source: Istio's `security.istio.io/v1` `PeerAuthentication`.
pub type PeerAuthentication = Object<PeerAuthenticationSpec>;

/// What a [`PeerAuthentication`] asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct PeerAuthenticationSpec {
    /// Workloads that it applies to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// Whether peers must be authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtls: Option<Mtls>,
    /// The same for single ports of workloads; only with a selector.
    #[serde(deserialize_with = "by_port", skip_serializing_if = "Option::is_none")]
    pub port_level_mtls: Option<BTreeMap<u32, Mtls>>,
}

/// Whether peers must be authenticated.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data of the Kubernetes API"
)]
pub struct Mtls {
    /// How; `UNSET` when it is left out.
    pub mode: MtlsMode,
}

/// Whether connections without mutual TLS are taken.
///
/// It is about what does not arrive by HBONE, which is mutual TLS in any case.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(clippy::exhaustive_enums, reason = "the words of the Kubernetes API")]
pub enum MtlsMode {
    /// As the next wider level says: workload, namespace, mesh; PERMISSIVE at last.
    #[default]
    Unset,
    /// They are taken. Mutual TLS between proxies goes on.
    Disable,
    /// They are taken.
    Permissive,
    /// They are refused.
    Strict,
}
