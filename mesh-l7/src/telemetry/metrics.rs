//! Istio's standard metrics of requests and connections.

mod connections;
mod events;
mod histogram;
mod key;
mod page;
mod requests;
mod series;
mod shard;

use std::sync::Arc;

use mesh_core::telemetry::{Connection, Event, Telemetry, Traffic};

use super::sink::Sink;
use super::workloads::Workloads;
use crate::record::Entry;
use connections::Connections;
use events::Events;
use requests::Requests;

/// Istio's standard metrics, as a waypoint reports them: a [`Sink`] of requests and a
/// [`Telemetry`] of TCP connections.
///
/// | metric | of |
/// |---|---|
/// | `istio_requests_total` | requests of HTTP and gRPC |
/// | `istio_request_duration_milliseconds` | the same, from the head of the request to the end of both directions; a histogram |
/// | `istio_request_bytes`, `istio_response_bytes` | the same, with heads as HTTP/1 writes them; histograms |
/// | `istio_request_messages_total`, `istio_response_messages_total` | gRPC, without the labels of the outcome |
/// | `istio_tcp_connections_opened_total`, `..._closed_total`, `istio_tcp_received_bytes_total`, `istio_tcp_sent_bytes_total` | connections |
/// | `istio_build` | the version of this process |
/// | `mesh_upstream_rq_*_total`, `mesh_ratelimit_over_total`, `mesh_fault_*_total` | retries, circuit breakers, rate limits, faults; without labels |
/// | `mesh_label_sets_overflowed_total` | how often labels were not kept because there are too many sets of them |
///
/// Labels are those of Istio, in its order, with `reporter="waypoint"`. Values come from the mesh and from closed
/// sets, never from a request's bytes: `destination_service` is never its `host`.
///
/// Counters are interned: a request finds its own by comparing a few pointers, in a part of the table that
/// its thread has for itself as a rule. Fetching metrics adds the parts up.
#[derive(Debug)]
pub struct Metrics {
    requests: Requests,
    connections: Connections,
    events: Events,
    version: Box<str>,
}

/// How metrics are kept.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data, with a default")]
pub struct MetricsSettings {
    /// How many parts the counters of requests are kept in: as many as there are threads that serve. At
    /// least 1; default: the processors that there are, 16 at most.
    pub shards: usize,
    /// How many sets of labels are told apart, of requests, of messages and of connections each; the others
    /// are counted with `_overflow` in place of their values. Default 10,000, at 1 KiB for the labels and half of one
    /// for the counters in each part.
    pub most_series: usize,
    /// Where short names of services come from; without it, the first part of a name of Kubernetes, or
    /// else the whole.
    pub workloads: Option<Arc<dyn Workloads>>,
    /// The version of this process, for `istio_build`. Default `unknown`, as Istio has it.
    pub version: Box<str>,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            shards: processors.min(16),
            most_series: 10_000,
            workloads: None,
            version: "unknown".into(),
        }
    }
}

impl Metrics {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(settings: MetricsSettings) -> Self {
        Self {
            connections: Connections::new(settings.most_series),
            events: Events::default(),
            version: settings.version,
            requests: Requests::new(settings.shards, settings.most_series, settings.workloads),
        }
    }
}

impl Sink for Metrics {
    fn complete(&self, entry: &Entry) {
        self.events.count(entry);
        self.requests.record(entry);
    }
}

impl Telemetry for Metrics {
    fn record(&self, event: &Event<'_>) {
        self.connections.record(event);
    }

    fn traffic(&self, connection: &Connection) -> Option<Arc<Traffic>> {
        Some(self.connections.traffic(connection))
    }
}
