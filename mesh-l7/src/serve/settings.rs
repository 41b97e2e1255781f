//! How connections are served.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use mesh_core::target::TargetRules;

use crate::hygiene::{Edge, HygieneRules};
use crate::record::Observer;

/// How connections are served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerSettings {
    /// What is refused.
    pub rules: HygieneRules,
    /// What is added to requests, and removed from them.
    pub edge: Edge,
    /// How paths are normalised.
    pub targets: TargetRules,
    /// The scheme for `x-forwarded-proto`: `http` (the default) or `https`.
    pub scheme: &'static str,
    /// The value of `server` in responses, whatever the upstream said; `None`, the default, leaves it.
    pub server: Option<HeaderValue>,
    /// Time for the head of a request, from its first byte, and for the first bytes of a connection.
    /// Then it is 408, and the connection is closed. Default 60 s.
    pub head_timeout: Duration,
    /// Time without a request after which a connection is closed. Default 1 h.
    pub idle_timeout: Duration,
    /// Told about requests that are answered here, as no service sees them: heads that are refused or do not come in
    /// time. Default nobody.
    pub refusals: Option<Arc<dyn Observer>>,
    /// Longest life of a connection: then the client is told, and the requests that run are finished. Default `None`
    /// for any.
    pub max_connection_duration: Option<Duration>,
    /// What it means when an HTTP/1 client closes its direction before it has been answered.
    pub client_end: ClientEnd,
    /// HTTP/2.
    pub http2: Http2Settings,
}

/// What it means when an HTTP/1 client closes its direction before it has been answered.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to mean")]
pub enum ClientEnd {
    /// It is gone: its request is dropped at once, and with it what was asked of an upstream.
    #[default]
    Gone,
    /// It has nothing more to ask, and still reads the answer.
    HalfClosed,
}

/// HTTP/2 on one connection, of a client or to an upstream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Http2Settings {
    /// Streams at once. Default 100.
    pub streams: u32,
    /// Bytes that one stream may have on the way to its reader: 65,535..=2^31-1. Default 1 MiB.
    pub stream_window: u32,
    /// Bytes that all streams may have on the way: 65,535..=2^31-1. Default 16 MiB.
    pub connection_window: u32,
    /// Bytes of one stream that wait to be sent. Default 256 KiB.
    pub send_buffer: usize,
    /// Bytes of a DATA frame: 16,384..=2^24-1. Default 16 KiB.
    pub frame: u32,
    /// Streams that the client has reset before they were looked at; with more, it is told to calm
    /// down (GOAWAY, `ENHANCE_YOUR_CALM`). Default 100.
    pub pending_resets: usize,
    /// Streams that were reset because of errors in them; with more, the connection ends. Default 1024.
    pub error_resets: usize,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            rules: HygieneRules::default(),
            edge: Edge::default(),
            targets: TargetRules::default(),
            scheme: "http",
            server: None,
            head_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(3600),
            refusals: None,
            max_connection_duration: None,
            client_end: ClientEnd::default(),
            http2: Http2Settings::default(),
        }
    }
}

impl Default for Http2Settings {
    fn default() -> Self {
        Self {
            streams: 100,
            stream_window: 1 << 20,
            connection_window: 16 << 20,
            send_buffer: 256 << 10,
            frame: 16 << 10,
            pending_resets: 100,
            error_resets: 1024,
        }
    }
}
