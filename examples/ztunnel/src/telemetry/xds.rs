//! Counters of the connection to the control plane.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_xds::ads::Termination;
use parking_lot::Mutex;

use mesh_core::exposition::{Escaped, Kind, Writer};

/// The most type URLs that are told apart; a control plane chooses them.
const MOST_TYPES: usize = 16;

/// Why streams end.
const REASONS: [Termination; 4] = [
    Termination::ConnectionError,
    Termination::Error,
    Termination::Reconnect,
    Termination::Complete,
];

/// What is counted of the control plane.
#[derive(Debug, Default)]
pub(crate) struct XdsCounters {
    terminations: [AtomicU64; 4],
    /// Messages and bytes by type URL.
    messages: Mutex<BTreeMap<Box<str>, (u64, u64)>>,
    rejected: AtomicU64,
}

impl XdsCounters {
    /// Counts the end of a stream.
    pub(crate) fn ended(&self, why: Termination) {
        let counts = REASONS.iter().zip(&self.terminations);
        for (_, count) in counts.filter(|(each, _)| **each == why) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a message with resources of this type.
    pub(crate) fn message(&self, type_url: &str, bytes: u64) {
        let mut messages = self.messages.lock();
        let full = messages.len() >= MOST_TYPES && !messages.contains_key(type_url);
        let key = if full { "other" } else { type_url };
        let (count, sum) = match messages.get_mut(key) {
            Some(counts) => counts,
            None => messages.entry(key.into()).or_default(),
        };
        *count += 1;
        *sum = sum.saturating_add(bytes);
    }

    /// Counts resources that were refused.
    pub(crate) fn rejected(&self, resources: u64) {
        self.rejected.fetch_add(resources, Ordering::Relaxed);
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let ends = REASONS.iter().zip(&self.terminations);
        let ends = ends.map(|(why, count)| {
            let labels = format!("reason=\"{}\"", why.as_str());
            (labels, count.load(Ordering::Relaxed))
        });
        writer.metric(
            "istio_xds_connection_terminations",
            Kind::Counter,
            "The total number of streams to the control plane that ended (unstable).",
            ends,
        );
        let messages = self.messages.lock().clone();
        let url = |url: &str| format!("url=\"{}\"", Escaped(url));
        writer.metric(
            "istio_xds_message",
            Kind::Counter,
            "The total number of messages received from the control plane (unstable).",
            messages.iter().map(|(of, (count, _))| (url(of), *count)),
        );
        writer.metric(
            "istio_xds_message_bytes",
            Kind::Counter,
            "The total number of bytes received from the control plane (unstable).",
            messages.iter().map(|(of, (_, bytes))| (url(of), *bytes)),
        );
        writer.metric(
            "mesh_xds_resources_rejected",
            Kind::Counter,
            "Resources of the control plane that were refused; their last good version stays (unstable).",
            [("", self.rejected.load(Ordering::Relaxed))],
        );
    }
}
