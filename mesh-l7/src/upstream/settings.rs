//! How one upstream is used.

use std::time::Duration;

use mesh_core::lb::Balancing;
use mesh_core::limits::BreakerSettings;

use super::locality::LocalityPreference;
use crate::route::HashInput;

/// How one upstream is used.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ClusterSettings {
    /// How hosts are chosen, and how those that fail are taken out.
    pub balancing: Balancing,
    /// What requests are placed by, where hosts are chosen by a hash.
    pub hashing: Hashing,
    /// What is too much.
    pub breaker: BreakerSettings,
    /// Time for a connection; `None` for the mesh's default, 10 s.
    pub connect_timeout: Option<Duration>,
    /// Time without a request after which a connection is closed; `None` for 1 h, zero for never.
    pub idle_timeout: Option<Duration>,
    /// Longest life of a connection.
    pub max_connection_duration: Option<Duration>,
    /// Requests that a connection is used for; 0 for any number.
    pub max_requests_per_connection: u32,
    /// The time without an answer after which a request is sent to another host as well, by
    /// [`Hedge`](crate::router::Hedge); `None`, the default, for never.
    pub hedge: Option<Duration>,
    /// Whether connections are left where they were going: no balancing.
    pub passthrough: Passthrough,
    /// Where hosts are preferred. Whoever knows where hosts are makes priorities and
    /// [`Balancing::localities`] of it.
    pub locality: LocalityPreference,
}

/// What requests are placed by, where hosts are chosen by a hash.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Hashing {
    /// Values that are combined.
    pub inputs: Vec<HashInput>,
}

/// Whether connections are left where they were going.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Passthrough {
    /// A host is chosen.
    #[default]
    Balanced,
    /// The address that the client connected to is used.
    Original,
}

/// Which version of HTTP an upstream speaks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a client must handle every protocol"
)]
pub enum Protocol {
    /// HTTP/1.1, whatever the client speaks.
    #[default]
    Http1,
    /// HTTP/2 with prior knowledge: `kubernetes.io/h2c`, ports named `http2` and `grpc`.
    Http2,
    /// What the client speaks.
    Client,
}
