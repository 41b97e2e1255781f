//! All metrics as text.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mesh_core::exposition::{Escaped, Kind, Writer};

use super::Metrics;
use super::connections::Series;
use super::histogram::Histogram;
use super::requests::Sums;
use super::shard::{Cells, MessageCells};

impl Metrics {
    /// Writes all metrics. A set of labels is shown once it has counted something.
    pub fn write<W: Write>(&self, writer: &mut Writer<W>) {
        let sums = self.requests.sums();
        requests(&sums, writer);
        messages(&sums, writer);
        connections(&self.connections.all(), writer);
        let version = Escaped(&self.version);
        writer.metric(
            "istio_build",
            Kind::Gauge,
            "Istio component build info.",
            [(format!("component=\"proxy\",tag=\"{version}\""), 1)],
        );
        self.events.write(writer);
        let connections = self.connections.overflowed();
        let overflowed = self.requests.overflowed().saturating_add(connections);
        writer.metric(
            "mesh_label_sets_overflowed",
            Kind::Counter,
            "Times something was counted without its labels, of which there are too many (unstable).",
            [("", overflowed)],
        );
    }
}

fn requests<W: Write>(sums: &Sums, writer: &mut Writer<W>) {
    let all = &sums.requests;
    writer.metric(
        "istio_requests",
        Kind::Counter,
        "The total number of requests.",
        all.iter().map(|(labels, cells)| (labels, cells.requests)),
    );
    let mut histogram = |name, help, of: fn(&Cells) -> &Histogram| {
        let samples = all.iter();
        let samples = samples.map(|(labels, cells)| (labels, of(cells).buckets()));
        writer.histogram(name, help, samples);
    };
    histogram(
        "istio_request_duration_milliseconds",
        "The duration of requests, in milliseconds.",
        |cells| &cells.duration,
    );
    histogram(
        "istio_request_bytes",
        "The size of requests, in bytes.",
        |cells| &cells.request_bytes,
    );
    histogram(
        "istio_response_bytes",
        "The size of responses, in bytes.",
        |cells| &cells.response_bytes,
    );
}

fn messages<W: Write>(sums: &Sums, writer: &mut Writer<W>) {
    let mut counter = |name, help, of: fn(&MessageCells) -> u64| {
        let samples = sums.messages.iter();
        let samples = samples.map(|(labels, cells)| (labels, of(cells)));
        writer.metric(name, Kind::Counter, help, samples);
    };
    counter(
        "istio_request_messages",
        "The total number of gRPC messages in requests.",
        |cells| cells.requests,
    );
    counter(
        "istio_response_messages",
        "The total number of gRPC messages in responses.",
        |cells| cells.responses,
    );
}

fn connections<W: Write>(all: &[(Arc<str>, Arc<Series>)], writer: &mut Writer<W>) {
    let opened = |series: &Series| series.opened.load(Ordering::Relaxed);
    let closed = |series: &Series| series.closed.load(Ordering::Relaxed);
    let mut counter = |name, help, of: fn(&Series) -> u64, shown: fn(&Series) -> u64| {
        let samples = all.iter().filter(|(_, series)| shown(series) > 0);
        let samples = samples.map(|(labels, series)| (labels, of(series)));
        writer.metric(name, Kind::Counter, help, samples);
    };
    counter(
        "istio_tcp_connections_opened",
        "The total number of TCP connections opened.",
        opened,
        opened,
    );
    counter(
        "istio_tcp_connections_closed",
        "The total number of TCP connections closed.",
        closed,
        closed,
    );
    counter(
        "istio_tcp_received_bytes",
        "The total number of bytes received in case of a TCP connection.",
        |series| series.traffic.received(),
        opened,
    );
    counter(
        "istio_tcp_sent_bytes",
        "The total number of bytes sent in case of a TCP connection.",
        |series| series.traffic.sent(),
        opened,
    );
}
