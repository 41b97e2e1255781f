//! What a proxy reports about the connections it carries.
//!
//! The data plane calls a [`Telemetry`]; metrics, access logs and traces are made outside of it.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::baggage::Baggage;
use crate::identity::SpiffeId;
use crate::model::{Service, Workload};
use crate::outcome::Outcome;

/// On which side of a connection the reporting proxy is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Direction {
    /// The proxy of the client: connections leave its workload. Label `reporter="source"`.
    Outbound,
    /// The proxy of the server: connections arrive at its workload. Label
    /// `reporter="destination"`.
    Inbound,
}

/// How a connection is protected between the two proxies.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Security {
    /// HBONE: both ends verified each other's certificate. Label `mutual_tls`.
    MutualTls,
    /// Not protected by the mesh. Label `unknown`.
    Unknown,
}

/// The two ends of one connection, as far as they are known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// Which side reports.
    pub direction: Direction,
    /// How it is protected.
    pub security: Security,
    /// Address of the client.
    pub source_address: SocketAddr,
    /// Outbound: the next hop that is dialled. Inbound: the TCP destination.
    pub destination_address: SocketAddr,
    /// The client's workload.
    pub source: Option<Arc<Workload>>,
    /// What the client's proxy said about the client; used where `source` is unknown.
    pub source_baggage: Option<Arc<Baggage>>,
    /// The client's identity: verified by TLS (inbound) or presented (outbound); absent without
    /// mutual TLS.
    pub source_identity: Option<SpiffeId>,
    /// The server's workload: the endpoint, waypoint or gateway that is dialled.
    pub destination: Option<Arc<Workload>>,
    /// What the server's proxy said about the server; used where it replaces `destination`.
    pub destination_baggage: Option<Arc<Baggage>>,
    /// The server's identity; absent without mutual TLS.
    pub destination_identity: Option<SpiffeId>,
    /// The service that the client addressed.
    pub service: Option<Arc<Service>>,
    /// The `:authority` of the CONNECT request.
    pub hbone_authority: Option<Box<str>>,
}

impl Connection {
    /// A connection of which only the addresses are known.
    #[must_use]
    pub fn new(direction: Direction, source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            direction,
            security: Security::Unknown,
            source_address: source,
            destination_address: destination,
            source: None,
            source_baggage: None,
            source_identity: None,
            destination: None,
            destination_baggage: None,
            destination_identity: None,
            service: None,
            hbone_authority: None,
        }
    }
}

/// Live byte counters, shared by all connections with the same labels.
///
/// The direction is the same for both reporters (Istio's convention): `received` counts bytes
/// from client to server, `sent` bytes from server to client.
#[derive(Debug, Default)]
pub struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Traffic {
    /// Counts bytes from client to server.
    pub fn add_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes from server to client.
    pub fn add_sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes from client to server.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes from server to client.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Closed<'a> {
    /// The class of the end.
    pub outcome: Outcome,
    /// Bytes from client to server.
    pub received: u64,
    /// Bytes from server to client.
    pub sent: u64,
    /// Time since the connection was accepted.
    pub duration: Duration,
    /// What went wrong, when something did.
    pub error: Option<&'a (dyn Error + 'static)>,
}

impl<'a> Closed<'a> {
    /// The end of a connection.
    #[must_use]
    pub fn new(outcome: Outcome, received: u64, sent: u64, duration: Duration) -> Self {
        Self {
            outcome,
            received,
            sent,
            duration,
            error: None,
        }
    }

    /// The same with the error that caused it.
    #[must_use]
    pub fn with_error(self, error: Option<&'a (dyn Error + 'static)>) -> Self {
        Self { error, ..self }
    }
}

/// How far the connection with a peer is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ConnectionPhase {
    /// In its handshake, which failed.
    Handshake,
    /// After it.
    Open,
}

/// Something that happened to a connection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A listener accepted a socket.
    SocketOpened(Direction),
    /// That socket closed.
    SocketClosed(Direction),
    /// A connection or request ended before its two ends were known: a failed handshake, a
    /// malformed request, an unresolvable destination.
    Rejected {
        /// Which side reports.
        direction: Direction,
        /// Address of the client.
        source: SocketAddr,
        /// Address that the client asked for.
        destination: SocketAddr,
        /// The class of the failure.
        outcome: Outcome,
        /// What went wrong.
        error: &'a (dyn Error + 'static),
    },
    /// A peer's certificate, or one above it, is on a revocation list: it was not let in, or the
    /// connection with it was ended.
    ///
    /// For counting. What that did to the connections carried is reported by itself, as
    /// [`Outcome::CertificateRevoked`]. Source: Istio's `istio_crl_policy_rejections_total`.
    PeerRevoked {
        /// Which side reports.
        direction: Direction,
        /// Address of the peer.
        peer: SocketAddr,
        /// When it was found.
        phase: ConnectionPhase,
    },
    /// A connection's two ends are known; it is about to be dialled.
    Opened(&'a Connection),
    /// A connection that was opened ended, successfully or not. Exactly one for each `Opened`.
    Closed(&'a Connection, Closed<'a>),
}

/// A sink for what a proxy reports. It must return quickly: it is called on the data path.
pub trait Telemetry: fmt::Debug + Send + Sync + 'static {
    /// Takes note of an event.
    fn record(&self, event: &Event<'_>);

    /// The live byte counters for a connection; `None` = nobody wants them.
    ///
    /// Called once, when the connection is opened.
    fn traffic(&self, connection: &Connection) -> Option<Arc<Traffic>> {
        let _ = connection;
        None
    }
}

/// Reports nothing.
impl Telemetry for () {
    fn record(&self, _: &Event<'_>) {}
}
