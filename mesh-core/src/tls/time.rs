//! The clock as TLS wants it.

use std::sync::Arc;

use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;

use crate::clock::WallClock;

/// A [`WallClock`] as rustls wants it.
#[derive(Debug)]
pub(super) struct Time(pub(super) Arc<dyn WallClock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let time = self.0.now().duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(time))
    }
}
