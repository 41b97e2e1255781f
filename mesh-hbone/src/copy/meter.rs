//! Counting the bytes of one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_core::telemetry::Traffic;

/// The bytes that one connection has carried, readable while it runs and after it was cut.
#[derive(Debug, Default)]
pub struct Meter {
    to_server: AtomicU64,
    to_client: AtomicU64,
    traffic: Option<Arc<Traffic>>,
}

impl Meter {
    /// A meter that also adds to live counters shared with other connections.
    #[must_use]
    pub fn new(traffic: Option<Arc<Traffic>>) -> Self {
        Self {
            traffic,
            ..Self::default()
        }
    }

    /// Bytes from client to server.
    #[must_use]
    pub fn to_server(&self) -> u64 {
        self.to_server.load(Ordering::Relaxed)
    }

    /// Bytes from server to client.
    #[must_use]
    pub fn to_client(&self) -> u64 {
        self.to_client.load(Ordering::Relaxed)
    }

    pub(super) fn add_to_server(&self, bytes: u64) {
        self.to_server.fetch_add(bytes, Ordering::Relaxed);
        if let Some(traffic) = &self.traffic {
            traffic.add_received(bytes);
        }
    }

    pub(super) fn add_to_client(&self, bytes: u64) {
        self.to_client.fetch_add(bytes, Ordering::Relaxed);
        if let Some(traffic) = &self.traffic {
            traffic.add_sent(bytes);
        }
    }
}
