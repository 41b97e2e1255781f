//! The graceful end: take nothing new, finish what runs, cut what is left at the deadline.

use std::time::Duration;

use mesh_core::drain::Trigger;

use crate::telemetry::Metrics;

/// Time for cut connections to say so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Drains all participants of `trigger`, for at most `deadline`.
pub(crate) async fn drain(trigger: &Trigger, deadline: Duration, metrics: &Metrics) {
    trigger.drain();
    let finished = tokio::time::timeout(deadline, trigger.finished()).await;
    if finished.is_ok() {
        tracing::info!(connections_cut = 0_u64, "drained");
        return;
    }
    let cut = metrics.running();
    trigger.force();
    let _ = tokio::time::timeout(LAST_WORDS, trigger.finished()).await;
    tracing::warn!(
        connections_cut = cut,
        "drain deadline passed, connections were cut"
    );
}
