//! What happened to requests on their way, beyond Istio's metrics.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_core::exposition::{Kind, Writer};

use crate::record::{Entry, Flags};

/// Counters of all requests together; most requests touch none.
#[derive(Debug, Default)]
pub(super) struct Events {
    retries: AtomicU64,
    retry_successes: AtomicU64,
    retries_exhausted: AtomicU64,
    retry_overflows: AtomicU64,
    overflows: AtomicU64,
    rate_limited: AtomicU64,
    aborts: AtomicU64,
    delays: AtomicU64,
}

impl Events {
    pub(super) fn count(&self, entry: &Entry) {
        let flagged = |flag| u64::from(entry.flags.contains(flag));
        let answered = entry.status.is_some_and(|status| !status.is_server_error());
        let overflow = entry.not_retried == Some("retry_overflow");
        for (counter, more) in [
            (&self.retries, u64::from(entry.retries)),
            (
                &self.retry_successes,
                u64::from(entry.retries > 0 && answered),
            ),
            (&self.retries_exhausted, flagged(Flags::RETRIES_EXHAUSTED)),
            (&self.retry_overflows, u64::from(overflow)),
            (&self.overflows, flagged(Flags::OVERFLOW)),
            (&self.rate_limited, flagged(Flags::RATE_LIMITED)),
            (&self.aborts, flagged(Flags::FAULT_ABORT)),
            (&self.delays, flagged(Flags::FAULT_DELAY)),
        ] {
            if more > 0 {
                counter.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn write<W: Write>(&self, writer: &mut Writer<W>) {
        let mut counter = |name, help, of: &AtomicU64| {
            let value = of.load(Ordering::Relaxed);
            writer.metric(name, Kind::Counter, help, [("", value)]);
        };
        counter(
            "mesh_upstream_rq_retry",
            "Times a request was sent again (unstable).",
            &self.retries,
        );
        counter(
            "mesh_upstream_rq_retry_success",
            "Requests that were sent again and answered with a status below 500 (unstable).",
            &self.retry_successes,
        );
        counter(
            "mesh_upstream_rq_retry_limit_exceeded",
            "Requests that were sent again as often as allowed, in vain (unstable).",
            &self.retries_exhausted,
        );
        counter(
            "mesh_upstream_rq_retry_overflow",
            "Requests that were not sent again because too many were (unstable).",
            &self.retry_overflows,
        );
        counter(
            "mesh_upstream_rq_overflow",
            "Requests that a circuit breaker refused (unstable).",
            &self.overflows,
        );
        counter(
            "mesh_ratelimit_over",
            "Requests that were over a rate limit (unstable).",
            &self.rate_limited,
        );
        counter(
            "mesh_fault_aborts",
            "Requests that were answered with a fault on purpose (unstable).",
            &self.aborts,
        );
        counter(
            "mesh_fault_delays",
            "Requests that were delayed on purpose (unstable).",
            &self.delays,
        );
    }
}
