//! What the parts of a server share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::credential::CertificateSource;
use mesh_core::drain::Drain;
use mesh_core::identity::SpiffeId;
use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{ConnectionPhase, Direction, Event, Telemetry};
use mesh_core::tls::TlsContext;

use super::error::Error;
use super::gate::HandshakeGate;
use crate::config::Http2Config;

/// One accepted socket and its two addresses.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a socket and its addresses by definition"
)]
pub struct Accepted<IO> {
    /// The socket.
    pub io: IO,
    /// The peer's address.
    pub peer: SocketAddr,
    /// The address that the peer connected to.
    pub local: SocketAddr,
}

/// What all connections of one server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) identity: SpiffeId,
    pub(super) certs: Arc<dyn CertificateSource>,
    pub(super) tls: Arc<TlsContext>,
    pub(super) http2: Http2Config,
    pub(super) handshake_timeout: Duration,
    pub(super) gate: HandshakeGate,
    pub(super) drain: Option<Drain>,
    pub(super) telemetry: Arc<dyn Telemetry>,
}

impl Shared {
    /// Reports a connection that failed because its peer's certificate is revoked.
    pub(super) fn count_revoked(&self, peer: SocketAddr, error: &Error) {
        if error.outcome() == Outcome::CertificateRevoked {
            let phase = match error {
                Error::Revoked { .. } => ConnectionPhase::Open,
                _ => ConnectionPhase::Handshake,
            };
            self.telemetry.record(&Event::PeerRevoked {
                direction: Direction::Inbound,
                peer,
                phase,
            });
        }
    }
}
