//! Counting TCP connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use mesh_core::telemetry::{Connection, Event, Traffic};
use parking_lot::RwLock;

use super::super::end::End;
use super::super::labels::{self, Ends, Outcome, Service};
use crate::record::Flags;

/// The counters of all connections with the same labels.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) opened: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(super) traffic: Arc<Traffic>,
}

/// All counters of connections. Sets of labels are never forgotten, since counters never go back.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    by_labels: RwLock<HashMap<Arc<str>, Arc<Series>, foldhash::fast::RandomState>>,
    overflow: Arc<Series>,
    overflowed: AtomicU64,
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            by_labels: RwLock::default(),
            overflow: Arc::default(),
            overflowed: AtomicU64::new(0),
        }
    }

    pub(super) fn record(&self, event: &Event<'_>) {
        match event {
            Event::Opened(connection) => {
                let series = self.of(connection, "-");
                series.opened.fetch_add(1, Ordering::Relaxed);
            }
            Event::Closed(connection, end) => {
                let series = self.of(connection, &flags(end.outcome).to_string());
                series.closed.fetch_add(1, Ordering::Relaxed);
            }
            // Sockets and what never became a connection are not in these metrics.
            _ => {}
        }
    }

    /// Where the bytes of a connection are counted while it runs.
    pub(super) fn traffic(&self, connection: &Connection) -> Arc<Traffic> {
        self.of(connection, "-").traffic.clone()
    }

    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// All counters with their labels, in the order of the labels.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<Series>)> {
        let mut all: Vec<_> = self
            .by_labels
            .read()
            .iter()
            .map(|(labels, series)| (labels.clone(), series.clone()))
            .collect();
        if self.overflowed() > 0 {
            let mut names = String::new();
            let outcome = Some(Outcome::Connection(""));
            labels::write(&Ends::default(), outcome, &mut names);
            let labels = labels::overflow(&names);
            all.push((labels.into(), self.overflow.clone()));
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    fn of(&self, connection: &Connection, flags: &str) -> Arc<Series> {
        let mut text = String::with_capacity(1024);
        labels::write(
            &ends(connection),
            Some(Outcome::Connection(flags)),
            &mut text,
        );
        if let Some(series) = self.by_labels.read().get(&*text) {
            return series.clone();
        }
        let mut by_labels = self.by_labels.write();
        if by_labels.len() >= self.most && !by_labels.contains_key(&*text) {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return self.overflow.clone();
        }
        by_labels.entry(text.into()).or_default().clone()
    }
}

/// Envoy's response flags of a TCP proxy. Policy that denies sets none.
fn flags(outcome: mesh_core::outcome::Outcome) -> Flags {
    use mesh_core::outcome::Outcome;
    match outcome {
        Outcome::Overflow => Flags::OVERFLOW,
        Outcome::NoEndpoint => Flags::NO_HOST,
        Outcome::ConnectFailure
        | Outcome::ConnectTimeout
        | Outcome::Refused
        | Outcome::TlsFailure
        | Outcome::Http2Failure
        | Outcome::IdentityFailure
        | Outcome::CertificateRevoked => Flags::UPSTREAM_CONNECT,
        _ => Flags::NONE,
    }
}

fn ends(connection: &Connection) -> Ends<'_> {
    let destination = connection.destination.as_deref();
    let service = connection.service.as_deref().map(|service| service.spec());
    let identity = connection.destination_identity.clone();
    Ends {
        source: End::of(
            connection.source.as_deref(),
            connection.source_baggage.as_deref(),
        ),
        source_identity: connection.source_identity.as_ref(),
        destination: End::of(destination, connection.destination_baggage.as_deref()),
        destination_identity: identity.or_else(|| destination?.identity()),
        service: service.map_or_else(Service::default, |spec| Service {
            hostname: &spec.hostname,
            namespace: &spec.namespace,
            name: &spec.name,
        }),
    }
}
