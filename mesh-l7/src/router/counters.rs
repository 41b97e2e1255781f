//! What happens beside requests, and is told by no response.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happens beside requests, since the start.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Copies for mirrors that were answered, whatever the answer.
    pub mirrors_sent: AtomicU64,
    /// Copies that found no host, fell behind, or were not answered in time.
    pub mirrors_failed: AtomicU64,
    /// Copies that were not begun because there were too many at once.
    pub mirrors_refused: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
