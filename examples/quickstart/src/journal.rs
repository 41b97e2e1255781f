//! What the proxies report, as text.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{Direction, Event, Telemetry};
use tokio::sync::mpsc;

/// Takes what the proxies report and passes on each connection that ended.
#[derive(Debug)]
pub(crate) struct Journal(mpsc::UnboundedSender<Entry>);

/// Connections, in the order in which they ended.
pub(crate) type Entries = mpsc::UnboundedReceiver<Entry>;

/// A connection that ended, as one of its two proxies saw it.
#[derive(Debug)]
pub(crate) struct Entry {
    direction: Direction,
    caller: String,
    callee: String,
    dialled: SocketAddr,
    authority: String,
    sent: u64,
    received: u64,
    duration: Duration,
    outcome: Outcome,
    error: Option<String>,
}

impl Journal {
    pub(crate) fn new() -> (Arc<Self>, Entries) {
        let (sender, entries) = mpsc::unbounded_channel();
        (Arc::new(Self(sender)), entries)
    }
}

impl Telemetry for Journal {
    fn record(&self, event: &Event<'_>) {
        let Event::Closed(connection, closed) = event else {
            return;
        };
        let name = |id: &Option<_>| {
            id.as_ref()
                .map_or("unknown".to_owned(), ToString::to_string)
        };
        // When nobody reads any more, the program is about to end.
        let _ = self.0.send(Entry {
            direction: connection.direction,
            caller: name(&connection.source_identity),
            callee: name(&connection.destination_identity),
            dialled: connection.destination_address,
            authority: connection
                .hbone_authority
                .as_deref()
                .unwrap_or("-")
                .to_owned(),
            received: closed.received,
            sent: closed.sent,
            duration: closed.duration,
            outcome: closed.outcome,
            error: closed.error.map(ToString::to_string),
        });
    }
}

impl Entry {
    /// Whether the caller's proxy reports it.
    pub(crate) fn is_callers(&self) -> bool {
        self.direction == Direction::Outbound
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            caller,
            callee,
            dialled,
            authority,
            sent,
            received,
            ..
        } = self;
        if self.is_callers() {
            writeln!(f, "  caller's proxy  I am     {caller}")?;
            writeln!(f, "                  peer is  {callee} (verified)")?;
            writeln!(
                f,
                "                  path     SOCKS5 -> HBONE to {dialled} -> CONNECT {authority}"
            )?;
        } else {
            writeln!(f, "  hello's proxy   I am     {callee}")?;
            writeln!(f, "                  peer is  {caller} (verified)")?;
            writeln!(
                f,
                "                  path     HBONE -> CONNECT {authority} -> the application"
            )?;
        }
        let milliseconds = self.duration.as_secs_f64() * 1e3;
        write!(
            f,
            "                  bytes    {received} there, {sent} back in {milliseconds:.1} ms"
        )?;
        write!(f, "\n                  end      {:?}", self.outcome)?;
        self.error
            .as_ref()
            .map_or(Ok(()), |error| write!(f, ": {error}"))
    }
}
