//! The kinds of objects that are read, and how strictly.

use mesh_core::name::Name;

use super::document::GroupKind;

/// What is known about a kind without its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) group: &'static str,
    pub(super) kind: &'static str,
    /// Versions with the fields that are read, the preferred one first.
    pub(super) versions: &'static [&'static str],
    pub(super) cluster_wide: bool,
}

impl Known {
    const fn of(
        group: &'static str,
        kind: &'static str,
        versions: &'static [&'static str],
    ) -> Self {
        Self {
            group,
            kind,
            versions,
            cluster_wide: false,
        }
    }

    const fn cluster_wide(mut self) -> Self {
        self.cluster_wide = true;
        self
    }
}

pub(super) const GATEWAY_API: &str = "gateway.networking.k8s.io";
pub(super) const NETWORKING: &str = "networking.istio.io";
pub(super) const SECURITY: &str = "security.istio.io";

const ISTIO: &[&str] = &["v1", "v1beta1", "v1alpha3"];

/// The kinds that this crate has types for.
pub(super) const KNOWN: &[Known] = &[
    Known::of("", "Namespace", &["v1"]).cluster_wide(),
    Known::of("", "Node", &["v1"]).cluster_wide(),
    Known::of("", "Pod", &["v1"]),
    Known::of("", "Service", &["v1"]),
    Known::of("discovery.k8s.io", "EndpointSlice", &["v1", "v1beta1"]),
    Known::of(NETWORKING, "ServiceEntry", ISTIO),
    Known::of(NETWORKING, "WorkloadEntry", ISTIO),
    Known::of(GATEWAY_API, "GatewayClass", &["v1", "v1beta1"]).cluster_wide(),
    Known::of(GATEWAY_API, "Gateway", &["v1", "v1beta1"]),
    Known::of(GATEWAY_API, "ReferenceGrant", &["v1", "v1beta1"]),
    Known::of(SECURITY, "AuthorizationPolicy", &["v1", "v1beta1"]),
    Known::of(SECURITY, "PeerAuthentication", &["v1", "v1beta1"]),
    Known::of(SECURITY, "RequestAuthentication", &["v1", "v1beta1"]),
    #[cfg(feature = "routes")]
    Known::of(GATEWAY_API, "HTTPRoute", &["v1", "v1beta1"]),
    #[cfg(feature = "routes")]
    Known::of(GATEWAY_API, "GRPCRoute", &["v1", "v1alpha2"]),
    #[cfg(feature = "routes")]
    Known::of(GATEWAY_API, "TCPRoute", &["v1", "v1alpha2"]),
    #[cfg(feature = "routes")]
    Known::of(GATEWAY_API, "TLSRoute", &["v1", "v1alpha3", "v1alpha2"]),
    #[cfg(feature = "routes")]
    Known::of(NETWORKING, "VirtualService", ISTIO),
    #[cfg(feature = "routes")]
    Known::of(NETWORKING, "DestinationRule", ISTIO),
];

pub(super) fn known(kind: &GroupKind) -> Option<&'static Known> {
    KNOWN
        .iter()
        .find(|known| kind.group == known.group && kind.kind == known.kind)
}

/// Whether objects of the kind have no namespace, as far as that matters here.
pub(super) fn is_cluster_wide(kind: &GroupKind) -> bool {
    known(kind).is_some_and(|known| known.cluster_wide)
}

/// Whether an object of the kind that is not understood must not be passed over: who wrote it
/// counts on what it forbids.
pub(super) fn is_security(kind: &GroupKind) -> bool {
    kind.group == SECURITY
}

/// Whether a text can be the name of an object: an RFC 1123 subdomain of at most 253 characters.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// Whether a text can be the name of a namespace: an RFC 1123 label of at most 63 characters.
pub(super) fn is_label(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(known)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// `group/version`, as `apiVersion` has it.
pub(super) fn api_version(group: &str, version: &str) -> Name {
    if group.is_empty() {
        version.into()
    } else {
        format!("{group}/{version}").into()
    }
}
