//! Tests from the examples of the two formats' specifications.

use super::{Buckets, Format, Kind, Writer};

fn write(format: Format) -> String {
    let mut writer = Writer::new(format, String::new());
    writer.metric(
        "a_bytes",
        Kind::Counter,
        "Bytes.",
        [("x=\"1\"", 7), ("x=\"2\"", 8)],
    );
    writer.metric("b", Kind::Gauge, "Things.", [("", 3)]);
    writer.metric("c", Kind::Gauge, "None.", [("", 3); 0]);
    writer.finish()
}

#[test]
fn counters_end_in_total() {
    assert_eq!(
        write(Format::Prometheus),
        "# HELP a_bytes_total Bytes.\n# TYPE a_bytes_total counter\n\
         a_bytes_total{x=\"1\"} 7\na_bytes_total{x=\"2\"} 8\n\
         # HELP b Things.\n# TYPE b gauge\nb 3\n"
    );
    assert_eq!(
        write(Format::OpenMetrics),
        "# HELP a_bytes Bytes.\n# TYPE a_bytes counter\n\
         a_bytes_total{x=\"1\"} 7\na_bytes_total{x=\"2\"} 8\n\
         # HELP b Things.\n# TYPE b gauge\nb 3\n# EOF\n"
    );
}

#[test]
fn buckets_of_histograms_contain_those_below_them() {
    let buckets = Buckets {
        bounds: &[0.5, 1.0, 25.0],
        counts: &[1, 0, 2, 4],
        sum: 123.25,
    };
    let write = |format, labels: &'static str| {
        let mut writer = Writer::new(format, String::new());
        writer.histogram("d_ms", "Time.", [(labels, buckets)]);
        writer.histogram("e", "None.", [("", buckets); 0]);
        writer.finish()
    };
    assert_eq!(
        write(Format::Prometheus, ""),
        "# HELP d_ms Time.\n# TYPE d_ms histogram\n\
         d_ms_bucket{le=\"0.5\"} 1\nd_ms_bucket{le=\"1\"} 1\nd_ms_bucket{le=\"25\"} 3\n\
         d_ms_bucket{le=\"+Inf\"} 7\nd_ms_sum 123.25\nd_ms_count 7\n"
    );
    assert_eq!(
        write(Format::OpenMetrics, "x=\"1\""),
        "# HELP d_ms Time.\n# TYPE d_ms histogram\n\
         d_ms_bucket{x=\"1\",le=\"0.5\"} 1\nd_ms_bucket{x=\"1\",le=\"1.0\"} 1\n\
         d_ms_bucket{x=\"1\",le=\"25.0\"} 3\nd_ms_bucket{x=\"1\",le=\"+Inf\"} 7\n\
         d_ms_sum{x=\"1\"} 123.25\nd_ms_count{x=\"1\"} 7\n# EOF\n"
    );
}

#[test]
fn openmetrics_is_written_when_asked_for() {
    for (accept, format) in [
        ("", Format::Prometheus),
        ("text/plain;version=0.0.4", Format::Prometheus),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
            Format::OpenMetrics,
        ),
    ] {
        assert_eq!(Format::for_accept(accept), format, "{accept}");
    }
}
