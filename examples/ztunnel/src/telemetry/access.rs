//! Lines of the access log.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use mesh_core::telemetry::{Closed, Connection, Direction};
use tracing::Level;

use super::end::End;
use super::rate::PerSecond;
use process::logging::Chain;

/// Logs a line with the two ends of a connection and further fields.
macro_rules! line {
    ($level:expr, $connection:ident, $message:literal, { $($more:tt)* }) => {
        // The ends are looked at only when somebody reads the line.
        if tracing::enabled!(target: "access", $level) {
            let source = End::source($connection);
            let destination = End::destination($connection);
            let identity = |id: &Option<mesh_core::identity::SpiffeId>| {
                id.as_ref().map(ToString::to_string)
            };
            let service = $connection.service.as_deref().map(|s| s.spec().hostname.as_str());
            tracing::event!(
                target: "access",
                $level,
                {
                    src.addr = display($connection.source_address),
                    src.workload = source.and_then(|end| end.log_name()),
                    src.namespace = source.and_then(|end| known(end.namespace)),
                    src.identity = identity(&$connection.source_identity),
                    src.cluster = source.and_then(|end| known(end.cluster)),
                    dst.addr = display($connection.destination_address),
                    dst.hbone_addr = $connection.hbone_authority.as_deref().map(display),
                    dst.service = service.and_then(known),
                    dst.workload = destination.and_then(|end| end.log_name()),
                    dst.namespace = destination.and_then(|end| known(end.namespace)),
                    dst.identity = identity(&$connection.destination_identity),
                    dst.cluster = destination.and_then(|end| known(end.cluster)),
                    direction = direction($connection.direction),
                    $($more)*
                },
                $message
            );
        }
    };
}

fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        _ => "outbound",
    }
}

pub(super) fn opened(connection: &Connection) {
    line!(Level::DEBUG, connection, "connection opened", {});
}

pub(super) fn closed(connection: &Connection, end: &Closed<'_>) {
    // Outbound: sent by the client. Inbound: sent by the server.
    let (sent, received) = match connection.direction {
        Direction::Inbound => (end.sent, end.received),
        _ => (end.received, end.sent),
    };
    let duration = format!("{}ms", end.duration.as_millis());
    let error = end.error.map(|error| Chain(error).to_string());
    if end.outcome.is_failure() {
        let error = error.unwrap_or_else(|| format!("{:?}", end.outcome));
        line!(Level::ERROR, connection, "connection complete", {
            bytes_sent = sent, bytes_recv = received, duration = duration,
            response_flags = end.outcome.response_flags(), error = error,
        });
    } else {
        line!(Level::INFO, connection, "connection complete", {
            bytes_sent = sent, bytes_recv = received, duration = duration, error = error,
        });
    }
}

/// Anybody can cause these lines; all of them are counted by a metric.
static REJECTED: PerSecond = PerSecond::new(100);

pub(super) fn rejected(
    toward: Direction,
    source: SocketAddr,
    destination: SocketAddr,
    error: &(dyn Error + 'static),
) {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    if !REJECTED.admit(u32::try_from(since.as_secs()).unwrap_or(u32::MAX)) {
        return;
    }
    tracing::event!(
        target: "access",
        Level::WARN,
        {
            src.addr = display(source),
            dst.addr = display(destination),
            direction = direction(toward),
            error,
        },
        "connection failed"
    );
}
