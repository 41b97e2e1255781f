//! The table of Istio's node proxy: names, types and labels of the metrics of a dedicated proxy.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{Closed, Connection, Direction, Event, Telemetry};

use super::{connection, metrics};
use crate::telemetry::Exposition;

const END: [&str; 8] = [
    "workload",
    "canonical_service",
    "canonical_revision",
    "workload_namespace",
    "principal",
    "app",
    "version",
    "cluster",
];

/// The labels of traffic, in their order; the last four only when an end is known.
const TRAFFIC: &str = "reporter,source_workload,source_canonical_service,\
    source_canonical_revision,source_workload_namespace,source_principal,source_app,\
    source_version,source_cluster,destination_service,destination_service_namespace,\
    destination_service_name,destination_workload,destination_canonical_service,\
    destination_canonical_revision,destination_workload_namespace,destination_principal,\
    destination_app,destination_version,destination_cluster,request_protocol,response_flags,\
    connection_security_policy,source_region,source_zone,destination_region,destination_zone";

const URL: &str = "type.googleapis.com/istio.workload.Address";

/// Name, type, labels and whether the description says that it is unstable.
const TABLE: &[(&str, &str, &str, bool)] = &[
    (
        "istio_tcp_connections_opened_total",
        "counter",
        TRAFFIC,
        false,
    ),
    (
        "istio_tcp_connections_closed_total",
        "counter",
        TRAFFIC,
        false,
    ),
    ("istio_tcp_received_bytes_total", "counter", TRAFFIC, false),
    ("istio_tcp_sent_bytes_total", "counter", TRAFFIC, false),
    (
        "istio_tcp_connections_failed_total",
        "counter",
        TRAFFIC,
        true,
    ),
    ("istio_tcp_sockets_open", "gauge", "reporter", true),
    (
        "istio_on_demand_dns_total",
        "counter",
        "source_workload,source_canonical_service,source_canonical_revision,\
         source_workload_namespace,source_principal,source_app,source_version,source_cluster,\
         hostname",
        true,
    ),
    (
        "istio_crl_policy_rejections_total",
        "counter",
        "reporter",
        true,
    ),
    (
        "istio_crl_untracked_connections_total",
        "counter",
        "reporter",
        true,
    ),
    ("istio_build", "gauge", "component,tag", false),
    (
        "istio_xds_connection_terminations_total",
        "counter",
        "reason",
        true,
    ),
    ("istio_xds_message_total", "counter", "url", true),
    ("istio_xds_message_bytes_total", "counter", "url", true),
    ("process_open_fds", "gauge", "", false),
    ("process_max_fds", "gauge", "", false),
    ("tokio_num_workers", "gauge", "", false),
    ("tokio_global_queue_depth", "gauge", "", false),
    ("tokio_num_alive_tasks", "gauge", "", false),
    (
        "tokio_worker_total_busy_duration_seconds_total",
        "counter",
        "worker",
        false,
    ),
    ("tokio_worker_park_count_total", "counter", "worker", false),
    (
        "tokio_worker_park_unpark_count_total",
        "counter",
        "worker",
        false,
    ),
];

/// One sample of the page.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Sample {
    fn names(&self) -> String {
        let names: Vec<_> = self.labels.iter().map(|(name, _)| name.as_str()).collect();
        names.join(",")
    }

    fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(label, _)| label == name);
        found.map_or("absent", |(_, value)| value)
    }
}

fn parse(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').unwrap();
    let label = |text: &str| {
        let (name, value) = text.split_once("=\"").unwrap();
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    };
    let labels = labels.split("\",").filter(|label| !label.is_empty());
    Sample {
        name: name.to_owned(),
        labels: labels.map(label).collect(),
        value: value.parse().unwrap(),
    }
}

/// The samples of a page, and the word that follows the names of `# TYPE` or `# HELP` lines.
fn page(text: &str) -> (Vec<Sample>, BTreeMap<&str, &str>, BTreeMap<&str, &str>) {
    let about = |kind: &str| {
        let prefix = format!("# {kind} ");
        let lines = text.lines().filter_map(|line| {
            let at = line.strip_prefix(&prefix)?;
            at.split_once(' ')
        });
        lines.collect()
    };
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    (samples.map(parse).collect(), about("TYPE"), about("HELP"))
}

fn pass_through() -> Connection {
    let address = |last, port| std::net::SocketAddr::from(([10, 0, 0, last], port));
    Connection::new(Direction::Outbound, address(1, 1), address(9, 443))
}

/// Connections of all four kinds, and one of everything else.
fn everything() -> String {
    let metrics = metrics();
    for (connection, outcome) in [
        (connection(Direction::Outbound), Outcome::Completed),
        (connection(Direction::Inbound), Outcome::PolicyDenied),
        (connection(Direction::Outbound), Outcome::ConnectFailure),
        (pass_through(), Outcome::Completed),
    ] {
        metrics.record(&Event::Opened(&connection));
        let traffic = metrics.traffic(&connection).unwrap();
        traffic.add_received(11);
        traffic.add_sent(22);
        let end = Closed::new(outcome, 11, 22, Duration::ZERO);
        metrics.record(&Event::Closed(&connection, end));
    }
    metrics.lookups.count(None, "db.example.org");
    metrics.xds().message(URL, 7);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    metrics.runtimes().add(runtime.unwrap().handle());
    metrics.write(Exposition::Prometheus)
}

#[test]
fn names_types_and_labels_are_those_of_the_table() {
    let text = everything();
    let (samples, types, help) = page(&text);
    for (name, kind, labels, unstable) in TABLE {
        assert_eq!(types.get(name), Some(kind), "type of {name}");
        let said = help
            .get(name)
            .is_some_and(|help| help.contains("(unstable)"));
        assert_eq!(said, *unstable, "help of {name}");
        let of_name: Vec<_> = samples.iter().filter(|s| s.name == *name).collect();
        assert!(!of_name.is_empty(), "no sample of {name}");
        for sample in of_name {
            let without_localities = labels.split(",source_region").next().unwrap();
            let unknown = sample.label("source_workload") == "unknown";
            let expected = match unknown && *labels == TRAFFIC {
                true => without_localities,
                false => labels,
            };
            assert_eq!(sample.names(), expected, "labels of {name}");
        }
    }
    // What is not of the table is marked as this proxy's own.
    for sample in &samples {
        let listed = TABLE.iter().any(|(name, ..)| *name == sample.name);
        assert!(
            listed || sample.name.starts_with("mesh_"),
            "{}",
            sample.name
        );
    }
}

#[test]
fn each_kind_of_connection_has_the_values_of_the_table() {
    let text = everything();
    let (samples, _, _) = page(&text);
    let sum = |name: &str, labels: &[(&str, &str)]| -> f64 {
        let matching = samples.iter().filter(|sample| {
            sample.name == name && labels.iter().all(|(l, value)| sample.label(l) == *value)
        });
        matching.map(|sample| sample.value).sum()
    };
    let (source, destination) = (("reporter", "source"), ("reporter", "destination"));
    let flags = |value| ("response_flags", value);
    let mutual = ("connection_security_policy", "mutual_tls");
    let plain = ("connection_security_policy", "unknown");
    let (opened, closed, failed) = (
        "istio_tcp_connections_opened_total",
        "istio_tcp_connections_closed_total",
        "istio_tcp_connections_failed_total",
    );
    for (name, labels, value) in [
        // Opened before it is known how they end.
        (opened, vec![source, mutual, flags("-")], 2.0),
        (opened, vec![destination, mutual, flags("-")], 1.0),
        (opened, vec![source, plain, flags("-")], 1.0),
        (opened, vec![], 4.0),
        (closed, vec![source, mutual, flags("-")], 1.0),
        (closed, vec![destination, mutual, flags("DENY")], 1.0),
        (closed, vec![source, mutual, flags("CONNECT")], 1.0),
        (closed, vec![source, plain, flags("-")], 1.0),
        (closed, vec![], 4.0),
        (failed, vec![destination, flags("DENY")], 1.0),
        (failed, vec![source, flags("CONNECT")], 1.0),
        (failed, vec![], 2.0),
        ("istio_tcp_received_bytes_total", vec![flags("-")], 44.0),
        ("istio_tcp_sent_bytes_total", vec![flags("-")], 88.0),
        ("istio_xds_message_total", vec![("url", URL)], 1.0),
        ("istio_xds_message_bytes_total", vec![("url", URL)], 7.0),
        (
            "istio_on_demand_dns_total",
            vec![("hostname", "db.example.org")],
            1.0,
        ),
    ] {
        assert_eq!(sum(name, &labels), value, "{name} {labels:?}");
    }
    for sample in samples
        .iter()
        .filter(|sample| sample.name.contains("_tcp_c"))
    {
        assert_eq!(sample.label("request_protocol"), "tcp");
        let known = sample.label("connection_security_policy") == "mutual_tls";
        for side in ["source", "destination"] {
            for label in END {
                let label = format!("{side}_{label}");
                assert_eq!(sample.label(&label) == "unknown", !known, "{label}");
            }
        }
    }
}
