//! Figures about connections to services with a traffic policy.

use std::sync::Arc;

use mesh_core::exposition::{Escaped, Kind, Writer};
use mesh_hbone::proxy::{MeshTraffic, TrafficCounts};
use parking_lot::RwLock;

/// The policy of the process.
#[derive(Debug, Default)]
pub(crate) struct TrafficPolicies(RwLock<Option<Arc<MeshTraffic>>>);

type Figure = (&'static str, Kind, &'static str, fn(&TrafficCounts) -> u64);

const FIGURES: [Figure; 8] = [
    (
        "mesh_upstream_connections_active",
        Kind::Gauge,
        "Connections to services with a traffic policy, those that are being made among them (unstable).",
        |counts| counts.connections.into(),
    ),
    (
        "mesh_upstream_connections_overflow",
        Kind::Counter,
        "Connections that were refused because there were as many as may be (unstable).",
        |counts| counts.overflows,
    ),
    (
        "mesh_upstream_connections_rate_limited",
        Kind::Counter,
        "Connections that were refused because there were too many new ones (unstable).",
        |counts| counts.rate_limited,
    ),
    (
        "mesh_upstream_connect_failures",
        Kind::Counter,
        "Attempts to connect to an endpoint that failed (unstable).",
        |counts| counts.failures,
    ),
    (
        "mesh_upstream_connect_retries",
        Kind::Counter,
        "Attempts to connect after the first one of a connection (unstable).",
        |counts| counts.retries,
    ),
    (
        "mesh_upstream_ejections",
        Kind::Counter,
        "Times that an endpoint was taken out after failed attempts (unstable).",
        |counts| counts.ejections,
    ),
    (
        "mesh_upstream_endpoints",
        Kind::Gauge,
        "Endpoints that connections are spread over (unstable).",
        |counts| counts.endpoints as u64,
    ),
    (
        "mesh_upstream_endpoints_ejected",
        Kind::Gauge,
        "Of these, those that are taken out now (unstable).",
        |counts| counts.ejected as u64,
    ),
];

impl TrafficPolicies {
    /// Shows a policy from now on.
    pub(crate) fn show(&self, policy: &Arc<MeshTraffic>) {
        *self.0.write() = Some(policy.clone());
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let counts = self.0.read().as_ref().map(|policy| policy.counts());
        let mut all: Vec<(String, TrafficCounts)> = counts
            .unwrap_or_default()
            .into_iter()
            .map(|counts| (labels(&counts), counts))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, kind, help, value) in FIGURES {
            let samples = all.iter().map(|(labels, counts)| (labels, value(counts)));
            writer.metric(name, kind, help, samples);
        }
    }
}

fn labels(counts: &TrafficCounts) -> String {
    let service = &counts.service;
    let (namespace, hostname) = (Escaped(&service.namespace), Escaped(&service.hostname));
    let port = counts.port;
    format!(
        "destination_service=\"{hostname}\",destination_service_namespace=\"{namespace}\",destination_port=\"{port}\""
    )
}
