//! All metrics as one text, with the names and labels of Istio's node proxy.

use std::sync::atomic::{AtomicU64, Ordering};

use mesh_core::telemetry::Direction;

use super::labels;
use super::metrics::Metrics;
use super::process;
use super::series::Series;
use mesh_core::exposition::{Escaped, Format, Kind, Writer};

const DIRECTIONS: [Direction; 2] = [Direction::Outbound, Direction::Inbound];

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn reporter(direction: Direction) -> String {
    format!("reporter=\"{}\"", labels::reporter(direction))
}

impl Metrics {
    /// All metrics as text.
    pub(crate) fn write(&self, format: Format) -> String {
        let mut writer = Writer::new(format, String::new());
        self.write_connections(&mut writer);
        writer.metric(
            "istio_tcp_sockets_open",
            Kind::Gauge,
            "The current number of open TCP sockets (unstable).",
            DIRECTIONS.map(|toward| (reporter(toward), self.sockets_open(toward))),
        );
        self.lookups.write(&mut writer);
        self.write_revocation(&mut writer);
        self.xds.write(&mut writer);
        let version = Escaped(&self.version);
        writer.metric(
            "istio_build",
            Kind::Gauge,
            "Istio component build info.",
            [(format!("component=\"ztunnel\",tag=\"{version}\""), 1)],
        );
        self.write_rejected(&mut writer);
        reloads(
            &mut writer,
            "mesh_config_reloads",
            "Changes of the description of the mesh (unstable).",
            &self.reloads,
        );
        self.guards.write(&mut writer);
        self.upstreams.write(&mut writer);
        self.write_own(&mut writer);
        self.runtimes.write(&mut writer);
        writer.finish()
    }

    fn write_connections(&self, writer: &mut Writer) {
        let all = self.connections.all();
        let mut counter = |name, help, value: fn(&Series) -> u64, shown: fn(&Series) -> bool| {
            let shown = all.iter().filter(|(_, series)| shown(series));
            let samples = shown.map(|(labels, series)| (labels, value(series)));
            writer.metric(name, Kind::Counter, help, samples);
        };
        counter(
            "istio_tcp_connections_opened",
            "The total number of TCP connections opened.",
            |series| read(&series.opened),
            |series| read(&series.opened) > 0,
        );
        counter(
            "istio_tcp_connections_closed",
            "The total number of TCP connections closed.",
            |series| read(&series.closed),
            |series| read(&series.closed) > 0,
        );
        counter(
            "istio_tcp_received_bytes",
            "The total number of bytes received in case of a TCP connection.",
            |series| series.traffic.received(),
            |series| read(&series.opened) > 0,
        );
        counter(
            "istio_tcp_sent_bytes",
            "The total number of bytes sent in case of a TCP connection.",
            |series| series.traffic.sent(),
            |series| read(&series.opened) > 0,
        );
        counter(
            "istio_tcp_connections_failed",
            "The total number of TCP connections that failed (unstable).",
            |series| read(&series.failed),
            |series| read(&series.failed) > 0,
        );
    }

    fn write_revocation(&self, writer: &mut Writer) {
        writer.metric(
            "istio_crl_policy_rejections",
            Kind::Counter,
            "Handshakes that a revoked certificate ended (unstable).",
            DIRECTIONS.map(|toward| (reporter(toward), self.crl_rejections(toward))),
        );
        writer.metric(
            "mesh_crl_connections_ended",
            Kind::Counter,
            "Running connections with peers that new revocation lists ended (unstable).",
            DIRECTIONS.map(|toward| (reporter(toward), self.crl_ends(toward))),
        );
        // Every source of certificates here can be watched; a connection whose watch fails is none.
        writer.metric(
            "istio_crl_untracked_connections",
            Kind::Counter,
            "Connections that a change of the revocation lists cannot end; here all can be (unstable).",
            DIRECTIONS.map(|toward| (reporter(toward), 0)),
        );
        reloads(
            writer,
            "mesh_crl_reloads",
            "Changes of the revocation lists (unstable).",
            &self.crl_reloads,
        );
    }

    fn write_rejected(&self, writer: &mut Writer) {
        let mut rejected: Vec<_> = self
            .rejected
            .read()
            .iter()
            .map(|((direction, outcome), count)| {
                let reporter = reporter(*direction);
                let flags = outcome.response_flags();
                let labels =
                    format!("{reporter},response_flags=\"{flags}\",outcome=\"{outcome:?}\"");
                (labels, read(count))
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
            read(&self.log.dropped),
        );
        one(
            "mesh_log_write_errors",
            Kind::Counter,
            "Writes of the log that failed (unstable).",
            read(&self.log.write_errors),
        );
        one(
            "mesh_label_sets_overflowed",
            Kind::Counter,
            "Times a connection was counted without its labels, of which there are too many (unstable).",
            self.connections.overflowed(),
        );
    }
}

fn reloads(writer: &mut Writer, name: &str, help: &str, [refused, taken]: &[AtomicU64; 2]) {
    let samples = [
        ("result=\"accepted\"", read(taken)),
        ("result=\"rejected\"", read(refused)),
    ];
    writer.metric(name, Kind::Counter, help, samples);
}
