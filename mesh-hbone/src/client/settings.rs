//! What dialling and pooling go by.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::credential::CertificateSource;
use mesh_core::drain::Drain;
use mesh_core::telemetry::{ConnectionPhase, Direction, Event, Telemetry};
use mesh_core::tls::TlsContext;

use crate::config::Http2Config;

/// Streams that a peer is taken to allow until its SETTINGS say so: the least that RFC 9113 §6.5.2
/// recommends.
pub(super) const ASSUMED_STREAMS: usize = 100;

/// What dialling and pooling go by.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) certs: Arc<dyn CertificateSource>,
    pub(super) tls: Arc<TlsContext>,
    pub(super) http2: Http2Config,
    pub(super) max_streams: usize,
    pub(super) max_connections: usize,
    pub(super) idle_release: Duration,
    /// Connections to what is behind one gateway that are opened before they are shared.
    pub(super) inner_connections: usize,
    /// Time that such a connection takes new streams.
    pub(super) inner_lifetime: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) tls_timeout: Duration,
    pub(super) http2_timeout: Duration,
    pub(super) answer_timeout: Duration,
    pub(super) drain: Option<Drain>,
    pub(super) telemetry: Arc<dyn Telemetry>,
}

/// Reports a peer whose certificate is revoked.
pub(super) fn report_revoked(telemetry: &dyn Telemetry, peer: SocketAddr, phase: ConnectionPhase) {
    telemetry.record(&Event::PeerRevoked {
        direction: Direction::Outbound,
        peer,
        phase,
    });
}
