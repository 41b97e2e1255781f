//! Pauses after failed accepts.

use std::io;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// The pause before the next accept: none, or doubling from failure to failure.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    pause: Duration,
    /// Failures since the last success.
    failures: u64,
}

impl Backoff {
    /// Takes note of a failure and says so, once for each series.
    pub(super) fn failed(&mut self, error: &io::Error) {
        if is_of_one_connection(error.kind()) {
            tracing::debug!(%error, "a connection ended before it was accepted");
            return;
        }
        if self.failures == 0 {
            tracing::warn!(%error, "accepting connections fails, retrying");
        }
        self.failures = self.failures.saturating_add(1);
        self.pause = self.pause.saturating_mul(2).clamp(FIRST, LONGEST);
    }

    /// Takes note of a success.
    pub(super) fn reset(&mut self) {
        if self.failures > 0 {
            tracing::info!(
                failures = self.failures,
                "accepting connections succeeds again"
            );
        }
        *self = Self::default();
    }

    /// Waits.
    pub(super) async fn pause(&self) {
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause).await;
        }
    }
}

/// Whether an error is about the connection that was to be accepted, not about the listener.
///
/// Source: accept(2), which passes on what happened to the connection.
fn is_of_one_connection(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
