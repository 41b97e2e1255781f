//! What configuration says about upstreams that the model of the mesh does not.

use std::collections::BTreeMap;
use std::fmt;

use crate::target::ServiceTarget;
use crate::upstream::{ClusterSettings, LocalityPreference, Protocol};

/// What a port of a service speaks, as far as it is said.
///
/// Source: Istio, "Protocol selection": the port's `appProtocol`, else the part of its name before the
/// first `-`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a server must handle every one")]
pub enum PortProtocol {
    /// HTTP/1.1: `http`, `kubernetes.io/ws`.
    Http1,
    /// HTTP/2 with prior knowledge: `http2`, `grpc`, `kubernetes.io/h2c`.
    Http2,
    /// Nothing is said: the first bytes of a connection tell.
    #[default]
    Detect,
    /// Bytes that are passed on as they are: `tcp`, `tls`, `https` and all that is not known.
    Opaque,
}

impl PortProtocol {
    /// By the `appProtocol` and the name of a port; each may be empty. In any case of letters.
    ///
    /// ```
    /// use mesh_l7::mesh::PortProtocol;
    /// assert_eq!(PortProtocol::of("kubernetes.io/h2c", "web"), PortProtocol::Http2);
    /// assert_eq!(PortProtocol::of("", "grpc-web"), PortProtocol::Http1);
    /// assert_eq!(PortProtocol::of("", "http-admin"), PortProtocol::Http1);
    /// assert_eq!(PortProtocol::of("", "web"), PortProtocol::Detect);
    /// assert_eq!(PortProtocol::of("redis", "http"), PortProtocol::Opaque);
    /// ```
    #[must_use]
    pub fn of(app_protocol: &str, name: &str) -> Self {
        if !app_protocol.is_empty() {
            let said = app_protocol.to_ascii_lowercase();
            // What is not known may be anything.
            return Self::word(&said).unwrap_or(Self::Detect);
        }
        let name = name.to_ascii_lowercase();
        if name == "grpc-web" || name.starts_with("grpc-web-") {
            return Self::Http1;
        }
        let word = name.split('-').next().unwrap_or_default();
        Self::word(word).unwrap_or(Self::Detect)
    }

    fn word(word: &str) -> Option<Self> {
        Some(match word {
            "http" | "grpc-web" | "kubernetes.io/ws" => Self::Http1,
            "http2" | "grpc" | "kubernetes.io/h2c" => Self::Http2,
            "tcp" | "tls" | "https" | "kubernetes.io/wss" | "mongo" | "redis" | "mysql" | "udp"
            | "hbone" => Self::Opaque,
            _ => return None,
        })
    }

    /// What an upstream behind such a port is spoken to in.
    #[must_use]
    pub const fn upstream(self) -> Protocol {
        match self {
            Self::Http1 => Protocol::Http1,
            Self::Http2 => Protocol::Http2,
            Self::Detect | Self::Opaque => Protocol::Client,
        }
    }
}

/// What configuration says about upstreams that the model of the mesh does not.
pub trait UpstreamConfig: fmt::Debug + Send + Sync {
    /// How an upstream is used; the defaults where nothing is said.
    fn settings(&self, target: &ServiceTarget) -> ClusterSettings;

    /// The labels that endpoints of the target's subset have; `None` when there is no such subset.
    /// Asked only for targets with a subset.
    fn subset(&self, target: &ServiceTarget) -> Option<&BTreeMap<String, String>>;

    /// The labels of a workload, by its unique id.
    fn labels(&self, uid: &str) -> Option<&BTreeMap<String, String>>;

    /// What a port of a service speaks.
    fn protocol(&self, target: &ServiceTarget) -> PortProtocol;

    /// Where hosts are preferred for an upstream about which neither its settings nor its service say anything: the
    /// mesh's own `localityLbSetting`. [`LocalityPreference::Unsaid`] by default.
    fn locality(&self) -> &LocalityPreference {
        &LocalityPreference::Unsaid
    }
}

/// Nothing is said: the defaults for all, and no subsets.
impl UpstreamConfig for () {
    fn settings(&self, _: &ServiceTarget) -> ClusterSettings {
        ClusterSettings::default()
    }

    fn subset(&self, _: &ServiceTarget) -> Option<&BTreeMap<String, String>> {
        None
    }

    fn labels(&self, _: &str) -> Option<&BTreeMap<String, String>> {
        None
    }

    fn protocol(&self, _: &ServiceTarget) -> PortProtocol {
        PortProtocol::Detect
    }
}
