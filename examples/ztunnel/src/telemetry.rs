//! What the data plane reports, as metrics and as an access log.

mod access;
mod end;
mod exposition;
mod labels;
mod process;
mod rate;
mod series;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{Connection, Direction, Event, Telemetry, Traffic};
use parking_lot::RwLock;

use crate::logging::LogCounters;
pub(crate) use exposition::Exposition;
use exposition::{Kind, Writer};
use series::{Series, SeriesTable};

/// The metrics of the process, and the access log.
#[derive(Debug)]
pub(crate) struct Metrics {
    connections: SeriesTable,
    sockets_open: [AtomicI64; 2],
    /// Connections that are opened and not closed.
    running: AtomicI64,
    rejected: RwLock<HashMap<(Direction, Outcome), AtomicU64>>,
    /// Reloads of the mesh that were refused and that were taken over.
    reloads: [AtomicU64; 2],
    log: Arc<LogCounters>,
    version: String,
}

impl Metrics {
    /// No connections yet. `version` is the value of the label `tag` of the build metric.
    pub(crate) fn new(version: String, log: Arc<LogCounters>) -> Self {
        Self {
            connections: SeriesTable::default(),
            sockets_open: Default::default(),
            running: AtomicI64::new(0),
            rejected: RwLock::default(),
            reloads: Default::default(),
            log,
            version,
        }
    }

    /// How many connections are running.
    pub(crate) fn running(&self) -> i64 {
        self.running.load(Ordering::Relaxed)
    }

    /// Counts a reload of the mesh.
    pub(crate) fn count_reload(&self, taken_over: bool) {
        let [refused, taken] = &self.reloads;
        let count = if taken_over { taken } else { refused };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn sockets_open(&self, direction: Direction) -> &AtomicI64 {
        let [outbound, inbound] = &self.sockets_open;
        match direction {
            Direction::Inbound => inbound,
            _ => outbound,
        }
    }

    fn count_rejected(&self, direction: Direction, outcome: Outcome) {
        let key = (direction, outcome);
        if let Some(count) = self.rejected.read().get(&key) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut rejected = self.rejected.write();
        rejected
            .entry(key)
            .or_default()
            .fetch_add(1, Ordering::Relaxed);
    }

    /// All metrics as text.
    pub(crate) fn write(&self, format: Exposition) -> String {
        let mut writer = Writer::new(format);
        self.write_connections(&mut writer);
        let sockets = [Direction::Outbound, Direction::Inbound].map(|direction| {
            let open = self.sockets_open(direction).load(Ordering::Relaxed);
            (
                format!("reporter=\"{}\"", labels::reporter(direction)),
                open,
            )
        });
        writer.metric(
            "istio_tcp_sockets_open",
            Kind::Gauge,
            "The current number of open TCP sockets (unstable).",
            sockets,
        );
        let build = format!(
            "component=\"ztunnel\",tag=\"{}\"",
            labels::Escaped(&self.version)
        );
        writer.metric(
            "istio_build",
            Kind::Gauge,
            "Istio component build info.",
            [(build, 1)],
        );
        self.write_rejected(&mut writer);
        let [refused, taken] = self.reloads.each_ref().map(|n| n.load(Ordering::Relaxed));
        writer.metric(
            "mesh_config_reloads",
            Kind::Counter,
            "Changes of the description of the mesh (unstable).",
            [
                ("result=\"accepted\"", taken),
                ("result=\"rejected\"", refused),
            ],
        );
        self.write_own(&mut writer);
        writer.finish()
    }

    fn write_connections(&self, writer: &mut Writer) {
        let all = self.connections.all();
        let mut counter = |name, help, read: fn(&Series) -> u64, shown: fn(&Series) -> bool| {
            let shown = all.iter().filter(|(_, series)| shown(series));
            let samples = shown.map(|(labels, series)| (labels, read(series)));
            writer.metric(name, Kind::Counter, help, samples);
        };
        counter(
            "istio_tcp_connections_opened",
            "The total number of TCP connections opened.",
            |series| series.opened.load(Ordering::Relaxed),
            |series| series.opened.load(Ordering::Relaxed) > 0,
        );
        counter(
            "istio_tcp_connections_closed",
            "The total number of TCP connections closed.",
            |series| series.closed.load(Ordering::Relaxed),
            |series| series.closed.load(Ordering::Relaxed) > 0,
        );
        counter(
            "istio_tcp_received_bytes",
            "The total number of bytes received in case of a TCP connection.",
            |series| series.traffic.received(),
            |series| series.opened.load(Ordering::Relaxed) > 0,
        );
        counter(
            "istio_tcp_sent_bytes",
            "The total number of bytes sent in case of a TCP connection.",
            |series| series.traffic.sent(),
            |series| series.opened.load(Ordering::Relaxed) > 0,
        );
        counter(
            "istio_tcp_connections_failed",
            "The total number of TCP connections that failed (unstable).",
            |series| series.failed.load(Ordering::Relaxed),
            |series| series.failed.load(Ordering::Relaxed) > 0,
        );
    }

    fn write_rejected(&self, writer: &mut Writer) {
        let mut rejected: Vec<_> = self
            .rejected
            .read()
            .iter()
            .map(|((direction, outcome), count)| {
                let reporter = labels::reporter(*direction);
                let flags = outcome.response_flags();
                let labels = format!(
                    "reporter=\"{reporter}\",response_flags=\"{flags}\",outcome=\"{outcome:?}\""
                );
                (labels, count.load(Ordering::Relaxed))
            })
            .collect();
        rejected.sort();
        writer.metric(
            "mesh_connections_rejected",
            Kind::Counter,
            "Connections and requests that ended before both their ends were known (unstable).",
            rejected,
        );
    }

    /// Metrics of the process and of the metrics and the log themselves.
    fn write_own(&self, writer: &mut Writer) {
        let mut one = |name, kind, help, value: u64| writer.metric(name, kind, help, [("", value)]);
        if let Some(open) = process::open_files() {
            one(
                "process_open_fds",
                Kind::Gauge,
                "Number of open file descriptors.",
                open,
            );
        }
        if let Some(most) = process::most_open_files() {
            one(
                "process_max_fds",
                Kind::Gauge,
                "Maximum number of open file descriptors.",
                most,
            );
        }
        one(
            "mesh_log_lines_dropped",
            Kind::Counter,
            "Lines of the log that were dropped because it is written too slowly (unstable).",
            self.log.dropped.load(Ordering::Relaxed),
        );
        one(
            "mesh_log_write_errors",
            Kind::Counter,
            "Writes of the log that failed (unstable).",
            self.log.write_errors.load(Ordering::Relaxed),
        );
        one(
            "mesh_label_sets_overflowed",
            Kind::Counter,
            "Times a connection was counted without its labels, of which there are too many (unstable).",
            self.connections.overflowed(),
        );
    }
}

impl Telemetry for Metrics {
    fn record(&self, event: &Event<'_>) {
        match event {
            Event::SocketOpened(direction) => {
                self.sockets_open(*direction)
                    .fetch_add(1, Ordering::Relaxed);
            }
            Event::SocketClosed(direction) => {
                self.sockets_open(*direction)
                    .fetch_sub(1, Ordering::Relaxed);
            }
            Event::Rejected {
                direction,
                source,
                destination,
                outcome,
                error,
            } => {
                self.count_rejected(*direction, *outcome);
                access::rejected(*direction, *source, *destination, *error);
            }
            Event::Opened(connection) => {
                let series = self.connections.of(connection, "-");
                series.opened.fetch_add(1, Ordering::Relaxed);
                self.running.fetch_add(1, Ordering::Relaxed);
                access::opened(connection);
            }
            Event::Closed(connection, closed) => {
                let series = self
                    .connections
                    .of(connection, closed.outcome.response_flags());
                series.closed.fetch_add(1, Ordering::Relaxed);
                self.running.fetch_sub(1, Ordering::Relaxed);
                if closed.outcome.is_failure() {
                    series.failed.fetch_add(1, Ordering::Relaxed);
                }
                access::closed(connection, closed);
            }
            _ => {}
        }
    }

    fn traffic(&self, connection: &Connection) -> Option<Arc<Traffic>> {
        Some(self.connections.of(connection, "-").traffic.clone())
    }
}
