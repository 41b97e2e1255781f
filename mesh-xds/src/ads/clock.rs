//! The time.

use std::time::Instant;

/// The time of tokio's clock, which tests pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
