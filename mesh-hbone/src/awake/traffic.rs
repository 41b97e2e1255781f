//! What the sockets of a worker receive.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// What the sockets of a worker have received. Written by one thread.
#[derive(Debug)]
pub(super) struct Traffic {
    reads: AtomicU64,
    /// The number of reads that wakes whoever waits; [`NOBODY`] when nobody does.
    awaited: AtomicU64,
    woken: Notify,
}

/// More reads than there ever are.
const NOBODY: u64 = u64::MAX;

impl Default for Traffic {
    fn default() -> Self {
        Self {
            reads: AtomicU64::new(0),
            awaited: AtomicU64::new(NOBODY),
            woken: Notify::new(),
        }
    }
}

impl Traffic {
    /// Something was received.
    pub(super) fn mark(&self) {
        let reads = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
        if reads >= self.awaited.load(Ordering::Relaxed) {
            self.woken.notify_one();
        }
    }

    /// How often something was received.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Whether the worker waits for something to be received.
    #[cfg(test)]
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) != NOBODY
    }

    /// Waits until something is received beyond this many reads.
    pub(super) async fn wait_beyond(&self, reads: u64) {
        self.awaited
            .store(reads.saturating_add(1), Ordering::Relaxed);
        // What a wake-up of before has left behind may be taken for a new one.
        while self.reads() <= reads {
            self.woken.notified().await;
        }
        self.awaited.store(NOBODY, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task};

    use super::Traffic;

    #[test]
    fn who_waits_is_woken_by_the_read_it_waits_for_and_by_none_before() {
        let traffic = Traffic::default();
        traffic.mark();
        let mut waiting = task::spawn(traffic.wait_beyond(3));
        assert_pending!(waiting.poll());
        for reads in 2..=3 {
            traffic.mark();
            assert!(!waiting.is_woken(), "{reads} reads");
        }
        traffic.mark();
        assert!(waiting.is_woken());
        assert_ready!(waiting.poll());
        assert_eq!(traffic.reads(), 4);
    }
}
