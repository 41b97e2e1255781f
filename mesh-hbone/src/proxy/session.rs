//! The record of one connection: opened once, closed once.

use std::error::Error as StdError;
use std::sync::Arc;

use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{Closed, Connection, Event, Telemetry};
use tokio::time::Instant;

use super::Error;
use crate::copy::Meter;

/// A connection whose two ends are known, from [`Event::Opened`] to [`Event::Closed`].
///
/// When it is dropped without [`Session::close`], as by the deadline of a drain, it reports that.
#[derive(Debug)]
pub(crate) struct Session {
    telemetry: Arc<dyn Telemetry>,
    connection: Box<Connection>,
    meter: Meter,
    accepted: Instant,
    closed: bool,
}

impl Session {
    /// Reports the connection as opened.
    pub(crate) fn open(
        telemetry: &Arc<dyn Telemetry>,
        accepted: Instant,
        connection: Connection,
    ) -> Self {
        telemetry.record(&Event::Opened(&connection));
        Self {
            meter: Meter::new(telemetry.traffic(&connection)),
            telemetry: telemetry.clone(),
            connection: Box::new(connection),
            accepted,
            closed: false,
        }
    }

    /// What is known of the two ends, for adding what the tunnel tells.
    pub(crate) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Counts its bytes.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Reports the connection as closed.
    pub(crate) fn close(mut self, result: Result<(), &Error>) {
        match result {
            Ok(()) => self.report(Outcome::Completed, None),
            Err(error) => self.report(error.outcome(), Some(error)),
        }
    }

    fn report(&mut self, outcome: Outcome, error: Option<&(dyn StdError + 'static)>) {
        self.closed = true;
        let (received, sent) = (self.meter.to_server(), self.meter.to_client());
        let closed = Closed::new(outcome, received, sent, self.accepted.elapsed());
        let event = Event::Closed(&self.connection, closed.with_error(error));
        self.telemetry.record(&event);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.closed {
            self.report(Outcome::Drained, Some(&Error::Drained));
        }
    }
}
