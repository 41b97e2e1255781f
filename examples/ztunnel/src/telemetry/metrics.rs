//! The counters of the process.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{Connection, ConnectionPhase, Direction, Event, Telemetry, Traffic};
use parking_lot::RwLock;

use super::access;
use super::guards::Guards;
use super::lookups::Lookups;
use super::runtimes::Runtimes;
use super::series::SeriesTable;
use super::traffic::TrafficPolicies;
use super::xds::XdsCounters;
use process::logging::LogCounters;

/// The metrics of the process, and the access log.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(super) connections: SeriesTable,
    sockets_open: [AtomicI64; 2],
    /// Connections that are opened and not closed.
    running: AtomicI64,
    pub(super) rejected: RwLock<HashMap<(Direction, Outcome), AtomicU64>>,
    /// Reloads of the mesh that were refused and that were taken over.
    pub(super) reloads: [AtomicU64; 2],
    /// The same of the revocation lists.
    pub(super) crl_reloads: [AtomicU64; 2],
    /// Handshakes that a revoked certificate ended, outbound and inbound.
    crl_rejections: [AtomicU64; 2],
    /// Running connections with peers that new revocation lists ended.
    crl_ends: [AtomicU64; 2],
    pub(super) lookups: Lookups,
    pub(super) xds: XdsCounters,
    pub(super) runtimes: Runtimes,
    pub(super) guards: Guards,
    pub(super) upstreams: TrafficPolicies,
    pub(super) log: Arc<LogCounters>,
    pub(super) version: String,
}

/// A counter for each direction.
pub(super) fn toward<T>([outbound, inbound]: &[T; 2], direction: Direction) -> &T {
    match direction {
        Direction::Inbound => inbound,
        _ => outbound,
    }
}

fn count_reload([refused, taken]: &[AtomicU64; 2], taken_over: bool) {
    let count = if taken_over { taken } else { refused };
    count.fetch_add(1, Ordering::Relaxed);
}

impl Metrics {
    /// No connections yet. `version` is the value of the label `tag` of the build metric.
    pub(crate) fn new(version: String, log: Arc<LogCounters>) -> Self {
        Self {
            connections: SeriesTable::default(),
            sockets_open: Default::default(),
            running: AtomicI64::new(0),
            rejected: RwLock::default(),
            reloads: Default::default(),
            crl_reloads: Default::default(),
            crl_rejections: Default::default(),
            crl_ends: Default::default(),
            lookups: Lookups::default(),
            xds: XdsCounters::default(),
            runtimes: Runtimes::default(),
            guards: Guards::default(),
            upstreams: TrafficPolicies::default(),
            log,
            version,
        }
    }

    /// How many connections are running.
    pub(crate) fn running(&self) -> i64 {
        self.running.load(Ordering::Relaxed)
    }

    /// Counts a reload of the mesh.
    pub(crate) fn count_reload(&self, taken_over: bool) {
        count_reload(&self.reloads, taken_over);
    }

    /// Counts a reload of the revocation lists.
    pub(crate) fn count_crl_reload(&self, taken_over: bool) {
        count_reload(&self.crl_reloads, taken_over);
    }

    /// What is counted of the control plane.
    pub(crate) fn xds(&self) -> &XdsCounters {
        &self.xds
    }

    /// What is shown of the workers' runtimes.
    pub(crate) fn runtimes(&self) -> &Runtimes {
        &self.runtimes
    }

    /// What is shown of policies.
    pub(crate) fn guards(&self) -> &Guards {
        &self.guards
    }

    /// What is shown of traffic policies.
    pub(crate) fn upstreams(&self) -> &TrafficPolicies {
        &self.upstreams
    }

    pub(super) fn sockets_open(&self, direction: Direction) -> i64 {
        toward(&self.sockets_open, direction).load(Ordering::Relaxed)
    }

    pub(super) fn crl_rejections(&self, direction: Direction) -> u64 {
        toward(&self.crl_rejections, direction).load(Ordering::Relaxed)
    }

    pub(super) fn crl_ends(&self, direction: Direction) -> u64 {
        toward(&self.crl_ends, direction).load(Ordering::Relaxed)
    }

    fn count_rejected(&self, direction: Direction, outcome: Outcome) {
        let key = (direction, outcome);
        if let Some(count) = self.rejected.read().get(&key) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut rejected = self.rejected.write();
        rejected
            .entry(key)
            .or_default()
            .fetch_add(1, Ordering::Relaxed);
    }
}

impl Telemetry for Metrics {
    fn record(&self, event: &Event<'_>) {
        match event {
            Event::SocketOpened(direction) => {
                toward(&self.sockets_open, *direction).fetch_add(1, Ordering::Relaxed);
            }
            Event::SocketClosed(direction) => {
                toward(&self.sockets_open, *direction).fetch_sub(1, Ordering::Relaxed);
            }
            Event::Rejected {
                direction,
                source,
                destination,
                outcome,
                error,
            } => {
                self.count_rejected(*direction, *outcome);
                access::rejected(*direction, *source, *destination, *error);
            }
            Event::PeerRevoked {
                direction, phase, ..
            } => {
                let counts = match phase {
                    ConnectionPhase::Handshake => &self.crl_rejections,
                    _ => &self.crl_ends,
                };
                toward(counts, *direction).fetch_add(1, Ordering::Relaxed);
            }
            Event::Opened(connection) => {
                let series = self.connections.of(connection, "-");
                series.opened.fetch_add(1, Ordering::Relaxed);
                self.running.fetch_add(1, Ordering::Relaxed);
                access::opened(connection);
            }
            Event::Closed(connection, closed) => {
                let flags = closed.outcome.response_flags();
                let series = self.connections.of(connection, flags);
                series.closed.fetch_add(1, Ordering::Relaxed);
                self.running.fetch_sub(1, Ordering::Relaxed);
                if closed.outcome.is_failure() {
                    series.failed.fetch_add(1, Ordering::Relaxed);
                }
                access::closed(connection, closed);
            }
            _ => {}
        }
    }

    fn traffic(&self, connection: &Connection) -> Option<Arc<Traffic>> {
        Some(self.connections.of(connection, "-").traffic.clone())
    }
}
