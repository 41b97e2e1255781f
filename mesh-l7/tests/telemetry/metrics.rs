//! Istio's standard metrics: names, types, labels. Source: Istio's documentation of standard metrics, and
//! the order and defaults of Istio's waypoints (`istio_stats`).

use std::sync::Arc;
use std::time::Duration;

use mesh_core::baggage::Baggage;
use mesh_core::exposition::{Format, Writer};
use mesh_core::model::{Service, ServiceSpec, Workload, WorkloadSpec};
use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{Closed, Connection, Direction, Event, Telemetry};
use mesh_l7::downstream::Downstream;
use mesh_l7::record::{Entry, Flags};
use mesh_l7::telemetry::{Metrics, MetricsSettings, Sink};

use super::stack::{Two, downstream, entry, samples, target};

fn metrics() -> Metrics {
    Metrics::new(MetricsSettings::default())
}

/// Name and value of each label of the only sample.
fn labels(metrics: &Metrics, name: &str) -> Vec<(String, String)> {
    let samples = samples(metrics, name);
    assert_eq!(samples.len(), 1, "{name}: {samples:#?}");
    let (_, rest) = samples[0].split_once('{').unwrap();
    let (labels, _) = rest.split_once('}').unwrap();
    let pairs = labels.split(',').map(|pair| pair.split_once('=').unwrap());
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
    pairs.collect()
}

fn label(metrics: &Metrics, name: &str, label: &str) -> String {
    let labels = labels(metrics, name);
    let found = labels.into_iter().find(|(name, _)| name == label);
    found.unwrap_or_else(|| panic!("no label {label}")).1
}

const ENDS: [(&str, &str); 20] = [
    ("reporter", "waypoint"),
    ("source_workload", "client"),
    ("source_canonical_service", "client-app"),
    ("source_canonical_revision", "client-v1"),
    ("source_workload_namespace", "client-ns"),
    ("source_principal", "spiffe://td/ns/client-ns/sa/client-sa"),
    ("source_app", "client-app"),
    ("source_version", "client-v1"),
    ("source_cluster", "client-c1"),
    ("destination_workload", "server"),
    ("destination_workload_namespace", "server-ns"),
    (
        "destination_principal",
        "spiffe://td/ns/server-ns/sa/server-sa",
    ),
    ("destination_app", "server-app"),
    ("destination_version", "server-v1"),
    ("destination_service", "web.shop.svc.cluster.local"),
    ("destination_canonical_service", "server-app"),
    ("destination_canonical_revision", "server-v1"),
    ("destination_service_name", "web"),
    ("destination_service_namespace", "shop"),
    ("destination_cluster", "server-c1"),
];

fn with(outcome: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = ENDS.iter().chain(outcome);
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_request_is_counted_with_istios_labels_in_istios_order() {
    let metrics = metrics();
    Sink::complete(&metrics, &entry(&Two::default()));
    let expected = with(&[
        ("request_protocol", "http"),
        ("response_code", "200"),
        ("grpc_response_status", ""),
        ("response_flags", "-"),
        ("connection_security_policy", "mutual_tls"),
    ]);
    assert_eq!(labels(&metrics, "istio_requests_total"), expected);
    for name in [
        "istio_request_duration_milliseconds_count",
        "istio_request_bytes_sum",
        "istio_response_bytes_count",
    ] {
        assert_eq!(labels(&metrics, name), expected, "{name}");
    }
    assert_eq!(samples(&metrics, "istio_request_messages_total"), [""; 0]);
}

#[test]
fn a_request_of_grpc_also_counts_its_messages_without_an_outcome() {
    let metrics = metrics();
    let mut entry = entry(&Two::default());
    entry.grpc = true;
    entry.grpc_status = Some(5);
    (entry.request_messages, entry.response_messages) = (3, 1);
    Sink::complete(&metrics, &entry);
    let expected = with(&[
        ("request_protocol", "grpc"),
        ("response_code", "200"),
        ("grpc_response_status", "5"),
        ("response_flags", "-"),
        ("connection_security_policy", "mutual_tls"),
    ]);
    assert_eq!(labels(&metrics, "istio_requests_total"), expected);
    for (name, count) in [
        ("istio_request_messages_total", " 3"),
        ("istio_response_messages_total", " 1"),
    ] {
        assert_eq!(labels(&metrics, name), with(&[]), "{name}");
        assert!(samples(&metrics, name)[0].ends_with(count), "{name}");
    }
}

#[test]
fn what_is_not_known_is_said_so() {
    let metrics = metrics();
    Sink::complete(&metrics, &Entry::new(std::time::Instant::now()));
    for (name, value) in labels(&metrics, "istio_requests_total") {
        let expected = match &*name {
            "reporter" => "waypoint",
            // Istio's default for the client's side only.
            "source_canonical_revision" => "latest",
            "request_protocol" => "http",
            // None was produced.
            "response_code" => "0",
            "grpc_response_status" => "",
            "response_flags" => "-",
            "connection_security_policy" => "none",
            _ => "unknown",
        };
        assert_eq!(value, expected, "{name}");
    }
}

#[test]
fn labels_say_what_is_closest_to_the_truth() {
    let two = Two::default();
    let base = || entry(&two);
    let with_downstream = |downstream: Downstream| {
        let mut entry = base();
        entry.downstream = Some(Arc::new(downstream));
        entry
    };
    let name = "istio_requests_total";
    let check = |what: &str, entry: Entry, expected: &[(&str, &str)]| {
        let metrics = Metrics::new(MetricsSettings {
            workloads: Some(Arc::new(Two::default())),
            ..MetricsSettings::default()
        });
        Sink::complete(&metrics, &entry);
        for (of, value) in expected {
            assert_eq!(label(&metrics, name, of), *value, "{what}: {of}");
        }
    };

    let mut entry = base();
    entry.target = Some(target("other.shop.svc.cluster.local"));
    check(
        "the service that was chosen goes before the one that was addressed",
        entry,
        &[("destination_service_name", "other")],
    );
    let mut entry = base();
    entry.target = Some(target("api.example.com"));
    check(
        "a host name that is not one of Kubernetes is a name",
        entry,
        &[("destination_service_name", "api.example.com")],
    );
    let mut entry = base();
    entry.target = Some(target("named.example"));
    check(
        "the mesh knows names of services",
        entry,
        &[("destination_service_name", "the-name")],
    );
    let mut plain = downstream();
    plain.service = None;
    check(
        "a workload is a service by its canonical name",
        with_downstream(plain),
        &[
            ("destination_service", "server-app"),
            ("destination_service_name", "server-app"),
            ("destination_service_namespace", "server-ns"),
        ],
    );
    check(
        "without a certificate there is no principal and no mutual TLS",
        with_downstream(downstream().with_identity(None)),
        &[
            ("source_principal", "unknown"),
            ("source_workload_namespace", "client-ns"),
            ("connection_security_policy", "none"),
        ],
    );
    check(
        "the certificate's namespace goes before the workload's",
        with_downstream(downstream().with_identity("spiffe://td/ns/a/sa/b".parse().ok())),
        &[("source_workload_namespace", "a")],
    );
    let baggage = Baggage {
        workload_name: "far".into(),
        canonical_name: "far-app".into(),
        ..Baggage::default()
    };
    let mut entry = with_downstream(downstream().with_baggage(Some(Arc::new(baggage))));
    check(
        "the workload goes before its proxy's word",
        entry.clone(),
        &[("source_workload", "client")],
    );
    entry.source = None;
    check(
        "its proxy's word goes before nothing",
        entry,
        &[
            ("source_workload", "far"),
            ("source_app", "far-app"),
            ("source_canonical_revision", "latest"),
        ],
    );
    let mut entry = base();
    entry.destination = Some(Arc::new(Workload::new(WorkloadSpec {
        workload_name: "bare".into(),
        ..WorkloadSpec::default()
    })));
    check(
        "the server's revision stays unknown",
        entry,
        &[
            ("destination_workload", "bare"),
            ("destination_canonical_revision", "unknown"),
        ],
    );
    let mut entry = base();
    entry.status = None;
    entry.flags = Flags::CLIENT_GONE;
    check(
        "no answer",
        entry,
        &[("response_code", "0"), ("response_flags", "DC")],
    );
}

#[test]
fn equal_labels_are_one_series_though_the_workloads_are_new() {
    let metrics = metrics();
    for _ in 0..3 {
        Sink::complete(&metrics, &entry(&Two::default()));
    }
    let samples = samples(&metrics, "istio_requests_total");
    assert_eq!(samples.len(), 1);
    assert!(samples[0].ends_with("} 3"), "{samples:?}");
}

#[test]
fn counts_of_all_threads_are_added_up() {
    let metrics = Arc::new(metrics());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let metrics = metrics.clone();
            std::thread::spawn(move || {
                let two = Two::default();
                for _ in 0..100 {
                    Sink::complete(&*metrics, &entry(&two));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let samples = samples(&metrics, "istio_request_bytes_count");
    assert!(samples[0].ends_with("} 800"), "{samples:?}");
}

#[test]
fn a_histogram_has_envoys_buckets() {
    let metrics = metrics();
    let mut entry = entry(&Two::default());
    entry.ended = Some(Duration::from_micros(7_300));
    (entry.request_bytes, entry.response_bytes) = (3, 70_000);
    Sink::complete(&metrics, &entry);
    let bounds = [
        "0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000",
        "30000", "60000", "300000", "600000", "1800000", "3600000", "+Inf",
    ];
    for (name, first, sum) in [
        ("istio_request_duration_milliseconds", "10", "7.3"),
        ("istio_request_bytes", "5", "3"),
        ("istio_response_bytes", "300000", "70000"),
    ] {
        let buckets = samples(&metrics, &format!("{name}_bucket"));
        let first = bounds.iter().position(|bound| *bound == first).unwrap();
        assert_eq!(buckets.len(), bounds.len(), "{name}");
        for (at, (bucket, bound)) in buckets.iter().zip(bounds).enumerate() {
            let count = u8::from(at >= first);
            let end = format!(",le=\"{bound}\"}} {count}");
            assert!(bucket.ends_with(&end), "{name}: {bucket}");
        }
        let sums = samples(&metrics, &format!("{name}_sum"));
        assert!(sums[0].ends_with(&format!("}} {sum}")), "{sums:?}");
    }
}

#[test]
fn names_and_types_are_istios_in_both_formats() {
    let metrics = metrics();
    let mut entry = entry(&Two::default());
    entry.grpc = true;
    Sink::complete(&metrics, &entry);
    let connection = connection();
    metrics.record(&Event::Opened(&connection));
    let end = Closed::new(Outcome::Completed, 0, 0, Duration::ZERO);
    metrics.record(&Event::Closed(&connection, end));
    let page = |format| {
        let mut writer = Writer::new(format, String::new());
        metrics.write(&mut writer);
        writer.finish()
    };
    let (text, open) = (page(Format::Prometheus), page(Format::OpenMetrics));
    for (family, counter) in [
        ("istio_requests", true),
        ("istio_request_duration_milliseconds", false),
        ("istio_request_bytes", false),
        ("istio_response_bytes", false),
        ("istio_request_messages", true),
        ("istio_response_messages", true),
        ("istio_tcp_connections_opened", true),
        ("istio_tcp_connections_closed", true),
        ("istio_tcp_sent_bytes", true),
        ("istio_tcp_received_bytes", true),
    ] {
        let (in_text, in_open, sample) = if counter {
            (
                format!("# TYPE {family}_total counter\n"),
                format!("# TYPE {family} counter\n"),
                format!("\n{family}_total{{reporter="),
            )
        } else {
            let both = format!("# TYPE {family} histogram\n");
            let sample = format!("\n{family}_bucket{{reporter=");
            (both.clone(), both, sample)
        };
        assert!(text.contains(&in_text), "{in_text}");
        assert!(open.contains(&in_open), "{in_open}");
        assert!(text.contains(&sample) && open.contains(&sample), "{sample}");
    }
    assert!(!text.contains("_total_total") && !open.contains("_total_total"));
    assert!(open.ends_with("# EOF\n"));
}

#[test]
fn too_many_sets_of_labels_are_counted_together() {
    let metrics = Metrics::new(MetricsSettings {
        most_series: 2,
        ..MetricsSettings::default()
    });
    let two = Two::default();
    for status in [200, 201, 202, 203, 200] {
        let mut entry = entry(&two);
        entry.status = http::StatusCode::from_u16(status).ok();
        Sink::complete(&metrics, &entry);
    }
    let samples = samples(&metrics, "istio_requests_total");
    assert_eq!(samples.len(), 3, "{samples:#?}");
    let overflow = &samples[0];
    assert!(overflow.contains("{reporter=\"waypoint\",source_workload=\"_overflow\","));
    assert!(overflow.ends_with("connection_security_policy=\"_overflow\"} 2"));
    let counted = super::stack::samples(&metrics, "mesh_label_sets_overflowed_total");
    assert_eq!(counted, ["mesh_label_sets_overflowed_total 2"]);
}

fn connection() -> Connection {
    let two = Two::default();
    let address = |at: u8, port| std::net::SocketAddr::from(([10, 0, 0, at], port));
    let mut connection = Connection::new(Direction::Inbound, address(1, 1), address(2, 80));
    connection.source_identity = downstream().identity;
    connection.source = Some(two.client);
    connection.destination = Some(two.server);
    connection.service = Some(Arc::new(Service::new(ServiceSpec {
        name: "web".into(),
        namespace: "shop".into(),
        hostname: "web.shop.svc.cluster.local".into(),
        ..ServiceSpec::default()
    })));
    connection
}

#[test]
fn a_connection_is_counted_without_status() {
    let metrics = metrics();
    let connection = connection();
    metrics.record(&Event::Opened(&connection));
    let traffic = metrics.traffic(&connection).unwrap();
    traffic.add_received(11);
    traffic.add_sent(22);
    let end = Closed::new(Outcome::Completed, 11, 22, Duration::ZERO);
    metrics.record(&Event::Closed(&connection, end));
    let expected = with(&[
        ("request_protocol", "tcp"),
        ("response_flags", "-"),
        ("connection_security_policy", "mutual_tls"),
    ]);
    for (name, value) in [
        ("istio_tcp_connections_opened_total", " 1"),
        ("istio_tcp_connections_closed_total", " 1"),
        ("istio_tcp_received_bytes_total", " 11"),
        ("istio_tcp_sent_bytes_total", " 22"),
    ] {
        assert_eq!(labels(&metrics, name), expected, "{name}");
        assert!(samples(&metrics, name)[0].ends_with(value), "{name}");
    }
}

#[test]
fn the_build_and_what_happened_on_the_way_are_shown() {
    let metrics = Metrics::new(MetricsSettings {
        version: "1.30\"x".into(),
        ..MetricsSettings::default()
    });
    assert_eq!(
        samples(&metrics, "istio_build"),
        ["istio_build{component=\"proxy\",tag=\"1.30\\\"x\"} 1"]
    );
    let two = Two::default();
    let with = |change: &dyn Fn(&mut Entry)| {
        let mut entry = entry(&two);
        change(&mut entry);
        Sink::complete(&metrics, &entry);
    };
    with(&|_| {});
    with(&|entry| entry.retries = 2);
    with(&|entry| {
        entry.retries = 1;
        entry.status = http::StatusCode::from_u16(503).ok();
        entry.flags = Flags::RETRIES_EXHAUSTED.and(Flags::UPSTREAM_CONNECT);
    });
    with(&|entry| entry.not_retried = Some("retry_overflow"));
    with(&|entry| entry.flags = Flags::OVERFLOW);
    with(&|entry| entry.flags = Flags::RATE_LIMITED);
    with(&|entry| entry.flags = Flags::FAULT_DELAY.and(Flags::FAULT_ABORT));
    for (name, value) in [
        ("mesh_upstream_rq_retry_total", 3),
        ("mesh_upstream_rq_retry_success_total", 1),
        ("mesh_upstream_rq_retry_limit_exceeded_total", 1),
        ("mesh_upstream_rq_retry_overflow_total", 1),
        ("mesh_upstream_rq_overflow_total", 1),
        ("mesh_ratelimit_over_total", 1),
        ("mesh_fault_aborts_total", 1),
        ("mesh_fault_delays_total", 1),
    ] {
        assert_eq!(samples(&metrics, name), [format!("{name} {value}")]);
    }
}
