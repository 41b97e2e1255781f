//! How long connections live.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Ends when a connection that begins now has lived for this long; never without a limit.
pub(super) async fn over(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep_until(far(limit)).await,
        None => std::future::pending().await,
    }
}

/// A time from now, or one that is as far as makes no difference.
pub(super) fn far(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after)
        .unwrap_or_else(|| now + Duration::from_secs(86_400 * 365))
}
