//! What the sockets of a worker receive.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

/// What the sockets of a worker have received. Written by one thread.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    reads: AtomicU64,
    asleep: AtomicBool,
    woken: Notify,
}

impl Traffic {
    /// Something was received.
    pub(super) fn mark(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.asleep.load(Ordering::Relaxed) {
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
        self.asleep.load(Ordering::Relaxed)
    }

    /// Waits until something is received.
    pub(super) async fn wait(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        self.woken.notified().await;
        self.asleep.store(false, Ordering::Relaxed);
    }
}
