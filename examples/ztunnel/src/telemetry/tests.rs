//! Tests of metrics: names, labels and directions of Istio's node proxy.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::baggage::Baggage;
use mesh_core::model::{Locality, Service, ServiceSpec, Workload, WorkloadSpec};
use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{Closed, Connection, Direction, Event, Security, Telemetry};

use super::{Exposition, Metrics};

mod table;

fn metrics() -> Metrics {
    Metrics::new("v\"1".to_owned(), Arc::default())
}

fn workload(name: &str) -> Arc<Workload> {
    Arc::new(Workload::new(WorkloadSpec {
        name: format!("{name}-1").into(),
        namespace: "ns".into(),
        trust_domain: "td".into(),
        service_account: name.into(),
        workload_name: name.into(),
        canonical_name: format!("{name}-app").into(),
        canonical_revision: "v1".into(),
        cluster_id: "c1".into(),
        locality: Locality {
            region: "eu".into(),
            ..Locality::default()
        },
        ..WorkloadSpec::default()
    }))
}

fn connection(direction: Direction) -> Connection {
    let address = |port| std::net::SocketAddr::from(([10, 0, 0, 1], port));
    let mut connection = Connection::new(direction, address(1), address(15008));
    connection.security = Security::MutualTls;
    connection.source = Some(workload("client"));
    connection.source_identity = "spiffe://td/ns/ns/sa/client".parse().ok();
    connection.destination = Some(workload("server"));
    connection.destination_identity = "spiffe://td/ns/ns/sa/server".parse().ok();
    connection.service = Some(Arc::new(Service::new(ServiceSpec {
        name: "server".into(),
        namespace: "ns".into(),
        hostname: "server.ns.svc".into(),
        ..ServiceSpec::default()
    })));
    connection
}

const LABELS: &str = "reporter=\"source\",source_workload=\"client\",\
    source_canonical_service=\"client-app\",source_canonical_revision=\"v1\",\
    source_workload_namespace=\"ns\",source_principal=\"spiffe://td/ns/ns/sa/client\",\
    source_app=\"client-app\",source_version=\"v1\",source_cluster=\"c1\",\
    destination_service=\"server.ns.svc\",destination_service_namespace=\"ns\",\
    destination_service_name=\"server\",destination_workload=\"server\",\
    destination_canonical_service=\"server-app\",destination_canonical_revision=\"v1\",\
    destination_workload_namespace=\"ns\",\
    destination_principal=\"spiffe://td/ns/ns/sa/server\",destination_app=\"server-app\",\
    destination_version=\"v1\",destination_cluster=\"c1\",request_protocol=\"tcp\",\
    response_flags=\"FLAGS\",connection_security_policy=\"mutual_tls\",source_region=\"eu\",\
    source_zone=\"unknown\",destination_region=\"eu\",destination_zone=\"unknown\"";

fn sample(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.write(Exposition::Prometheus);
    let of_name = |line: &&str| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    text.lines().filter(of_name).map(str::to_owned).collect()
}

#[test]
fn a_connection_is_counted_with_the_labels_in_istios_order() {
    let metrics = metrics();
    let connection = connection(Direction::Outbound);
    metrics.record(&Event::Opened(&connection));
    let traffic = metrics.traffic(&connection).unwrap();
    traffic.add_received(11);
    traffic.add_sent(22);
    let end = Closed::new(Outcome::Completed, 11, 22, Duration::ZERO);
    metrics.record(&Event::Closed(&connection, end));
    let labels = LABELS.replace("FLAGS", "-");
    for (name, value) in [
        ("istio_tcp_connections_opened_total", 1),
        ("istio_tcp_connections_closed_total", 1),
        ("istio_tcp_received_bytes_total", 11),
        ("istio_tcp_sent_bytes_total", 22),
    ] {
        assert_eq!(
            sample(&metrics, name),
            [format!("{name}{{{labels}}} {value}")]
        );
    }
    assert_eq!(
        sample(&metrics, "istio_tcp_connections_failed_total"),
        [""; 0]
    );
}

#[test]
fn a_failed_connection_is_closed_and_failed_with_its_flags() {
    let metrics = metrics();
    let connection = connection(Direction::Outbound);
    metrics.record(&Event::Opened(&connection));
    let end = Closed::new(Outcome::TlsFailure, 0, 0, Duration::ZERO);
    metrics.record(&Event::Closed(&connection, end));
    for (name, flags) in [
        ("istio_tcp_connections_opened_total", "-"),
        ("istio_tcp_connections_closed_total", "TLS_FAILURE"),
        ("istio_tcp_connections_failed_total", "TLS_FAILURE"),
    ] {
        let labels = LABELS.replace("FLAGS", flags);
        assert_eq!(sample(&metrics, name), [format!("{name}{{{labels}}} 1")]);
    }
}

#[test]
fn what_is_not_known_is_said_so_and_has_no_locality() {
    let metrics = metrics();
    let address = std::net::SocketAddr::from(([10, 0, 0, 1], 1));
    let unknown = Connection::new(Direction::Inbound, address, address);
    metrics.record(&Event::Opened(&unknown));
    let opened = sample(&metrics, "istio_tcp_connections_opened_total").join("\n");
    assert!(opened.contains("reporter=\"destination\",source_workload=\"unknown\""));
    assert!(
        opened.ends_with("connection_security_policy=\"unknown\"} 1"),
        "{opened}"
    );
}

#[test]
fn baggage_stands_in_for_an_unknown_client_and_replaces_the_server() {
    let metrics = metrics();
    let mut connection = connection(Direction::Inbound);
    let baggage = |name: &str| {
        Some(Arc::new(Baggage {
            workload_name: name.into(),
            canonical_name: "canonical".into(),
            ..Baggage::default()
        }))
    };
    connection.source_baggage = baggage("ignored");
    connection.destination_baggage = baggage("remote");
    metrics.record(&Event::Opened(&connection));
    let opened = sample(&metrics, "istio_tcp_connections_opened_total").join("");
    assert!(opened.contains("source_workload=\"client\""), "{opened}");
    assert!(
        opened.contains("destination_workload=\"remote\""),
        "{opened}"
    );
    assert!(opened.contains("destination_app=\"canonical\""), "{opened}");
}

#[test]
fn sockets_rejections_and_the_build_are_shown() {
    let metrics = metrics();
    metrics.record(&Event::SocketOpened(Direction::Inbound));
    metrics.record(&Event::SocketOpened(Direction::Inbound));
    metrics.record(&Event::SocketClosed(Direction::Inbound));
    let address = std::net::SocketAddr::from(([10, 0, 0, 1], 1));
    metrics.record(&Event::Rejected {
        direction: Direction::Inbound,
        source: address,
        destination: address,
        outcome: Outcome::TlsFailure,
        error: &std::fmt::Error,
    });
    assert_eq!(
        sample(&metrics, "istio_tcp_sockets_open"),
        [
            "istio_tcp_sockets_open{reporter=\"source\"} 0",
            "istio_tcp_sockets_open{reporter=\"destination\"} 1"
        ]
    );
    assert_eq!(
        sample(&metrics, "mesh_connections_rejected_total"),
        ["mesh_connections_rejected_total{reporter=\"destination\",\
          response_flags=\"TLS_FAILURE\",outcome=\"TlsFailure\"} 1"]
    );
    assert_eq!(
        sample(&metrics, "istio_build"),
        ["istio_build{component=\"ztunnel\",tag=\"v\\\"1\"} 1"]
    );
    assert_eq!(sample(&metrics, "process_open_fds").len(), 1);
    assert_eq!(
        sample(&metrics, "mesh_log_lines_dropped_total"),
        ["mesh_log_lines_dropped_total 0"]
    );
}
