//! What is counted and logged of requests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::objects::{service, virtual_service};
use crate::world::{WEB, World};

/// The pod of the client, which has the address that all clients here connect from.
const CLIENT: &str = "
---
apiVersion: v1
kind: Pod
metadata: {name: client-1, namespace: shop, labels: {app: client, version: v7}}
spec: {serviceAccountName: client}
status: {podIP: 127.0.0.1}
";

/// Samples of a page: names with their labels, and values.
fn samples(page: &str) -> Vec<(String, BTreeMap<String, String>, f64)> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.strip_suffix('}')?.split_once('{')?;
        let labels = labels.strip_suffix('"')?.split("\",");
        let labels = labels.map(|label| {
            let (name, value) = label.split_once("=\"").unwrap();
            (name.to_owned(), value.to_owned())
        });
        Some((name.to_owned(), labels.collect(), value.parse().ok()?))
    });
    samples.collect()
}

/// l7.md 3.2: names, labels in full, and bounds.
#[tokio::test]
async fn requests_are_counted_with_istios_names_and_labels() {
    let only_v1 = virtual_service("[{route: [{destination: {host: web, subset: v1}}]}]", "{}");
    let world = World::start(&(CLIENT.to_owned() + &only_v1)).await;
    for _ in 0..3 {
        assert_eq!(world.client.get(WEB, "/").await.status, 200);
    }
    let page = world.fetch(15020, "/stats/prometheus").await.unwrap();
    assert!(page.contains("text/plain; version=0.0.4"), "{page}");
    let other = world.fetch(15090, "/stats/prometheus").await.unwrap();
    assert!(other.contains("istio_requests_total{"), "{other}");
    let samples = samples(&page);
    let expected = BTreeMap::from(
        [
            ("reporter", "waypoint"),
            ("source_workload", "client-1"),
            ("source_workload_namespace", "shop"),
            (
                "source_principal",
                "spiffe://cluster.local/ns/shop/sa/client",
            ),
            ("source_app", "client"),
            ("source_version", "v7"),
            ("source_cluster", "Kubernetes"),
            ("source_canonical_service", "client"),
            ("source_canonical_revision", "v7"),
            ("destination_workload", "web-v1"),
            ("destination_workload_namespace", "shop"),
            (
                "destination_principal",
                "spiffe://cluster.local/ns/shop/sa/default",
            ),
            ("destination_app", "web"),
            ("destination_version", "v1"),
            ("destination_cluster", "Kubernetes"),
            ("destination_service", "web.shop.svc.cluster.local"),
            ("destination_service_name", "web"),
            ("destination_service_namespace", "shop"),
            ("destination_canonical_service", "web"),
            ("destination_canonical_revision", "v1"),
            ("request_protocol", "http"),
            ("response_code", "200"),
            ("grpc_response_status", ""),
            ("response_flags", "-"),
            ("connection_security_policy", "mutual_tls"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let of =
        |name: &str| -> Vec<_> { samples.iter().filter(|(known, ..)| known == name).collect() };
    for (name, value) in [
        ("istio_requests_total", Some(3.0)),
        ("istio_request_duration_milliseconds_count", Some(3.0)),
        ("istio_request_duration_milliseconds_sum", None),
        ("istio_request_bytes_count", Some(3.0)),
        ("istio_request_bytes_sum", None),
        ("istio_response_bytes_count", Some(3.0)),
        ("istio_response_bytes_sum", None),
    ] {
        let found = of(name);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].1, expected, "{name}");
        let counted = found[0].2;
        assert!(
            value.map_or(counted > 0.0, |value| counted == value),
            "{name} {counted}"
        );
    }
    let bounds = "0.5 1 5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000 300000 600000 1800000 3600000 +Inf";
    for name in [
        "istio_request_duration_milliseconds",
        "istio_request_bytes",
        "istio_response_bytes",
    ] {
        let buckets = of(&format!("{name}_bucket"));
        let found: Vec<&str> = buckets
            .iter()
            .map(|(_, labels, _)| &*labels["le"])
            .collect();
        assert_eq!(found.join(" "), bounds, "{name}");
    }
    let build: Vec<_> = of("istio_build");
    assert_eq!((&*build[0].1["component"], build[0].2), ("proxy", 1.0));
}

/// Each row is a path that something happens to, its status, flags and details (l7.md 2.1, authz.md 5.2.4).
const ENDS: [(&str, u64, &str, &str); 11] = [
    ("/fine", 200, "-", "via_upstream"),
    ("/missing", 404, "NR", "route_not_found"),
    ("/abort", 418, "FI", "fault_filter_abort"),
    ("/delay", 200, "DI", "via_upstream"),
    ("/slow", 504, "UT", "response_timeout"),
    (
        "/drop",
        503,
        "UC",
        "upstream_reset_before_response_started{connection_termination}",
    ),
    (
        "/garbage",
        502,
        "UPE",
        "upstream_reset_before_response_started{protocol_error}",
    ),
    (
        "/gone",
        503,
        "UF",
        "upstream_reset_before_response_started{remote_connection_failure}",
    ),
    ("/empty", 503, "UH", "no_healthy_upstream"),
    ("/unknown", 503, "NC", "cluster_not_found"),
    (
        "/denied",
        403,
        "-",
        "rbac_access_denied_matched_policy[ns[shop]-policy[shut]-rule[0]]",
    ),
];

fn objects() -> String {
    let to = |path: &str, host: &str, more: &str| {
        format!(
            "{{match: [{{uri: {{prefix: {path}}}}}], retries: {{attempts: 0}}, {more} route: [{{destination: {{host: {host}}}}}]}}"
        )
    };
    let all = "percentage: {value: 100}";
    let rules = [
        to("/fine", "web", ""),
        to(
            "/abort",
            "web",
            &format!("fault: {{abort: {{httpStatus: 418, {all}}}}},"),
        ),
        to(
            "/delay",
            "web",
            &format!("fault: {{delay: {{fixedDelay: 10ms, {all}}}}},"),
        ),
        to("/slow", "web", "timeout: 200ms,"),
        to("/drop", "web", ""),
        to("/garbage", "web", ""),
        to("/denied", "web", ""),
        to("/gone", "gone", ""),
        to("/empty", "empty", ""),
        to("/unknown", "nobody", ""),
    ];
    let mut objects = virtual_service(&format!("[{}]", rules.join(", ")), "{}");
    objects += &service("gone", "10.96.1.1", "gone", "");
    objects += &crate::objects::pod("gone", "gone", 5, "");
    objects += &service("empty", "10.96.1.2", "empty", "");
    objects
        + "
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: shut, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Service, name: web}]
  action: DENY
  rules: [{to: [{operation: {paths: [/denied]}}]}]
"
}

async fn each_end(world: &World) {
    for (path, status, ..) in ENDS {
        let answer = world.client.get(WEB, path).await;
        assert_eq!(u64::from(answer.status), status, "{path}: {answer:?}");
    }
    // A client that does not wait.
    let client = world.client.clone();
    let gone = tokio::spawn(async move { client.get(WEB, "/fine/slow").await });
    let seen = || [&world.v1, &world.v2].map(|one| one.seen("/fine/slow").len());
    let held = async || seen().iter().sum::<usize>() == 1;
    world.until("it arrives", held).await;
    gone.abort();
}

#[tokio::test]
async fn the_text_log_says_how_each_request_ended() {
    let world = World::start(&objects()).await;
    each_end(&world).await;
    for (path, status, flags, details) in ENDS {
        let line = format!("\"GET {path} HTTP/1.1\" {status} {flags} {details} - ");
        let logged = async || world.lines(&[&line]) == 1;
        world.until(&line, logged).await;
    }
    let log = world.log();
    let line = log
        .lines()
        .find(|line| line.contains("GET /fine HTTP"))
        .unwrap();
    assert!(line.starts_with('[') && line.contains("Z] \""), "{line}");
    for part in ["\"web\"", ":8080\"", "10.96.0.1:80", "127.0.0.1:"] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[tokio::test]
async fn the_json_log_has_istios_fields() {
    let world = World::with(&objects(), &[("MESH_ACCESS_LOG", "json")]).await;
    each_end(&world).await;
    let lines = || -> Vec<Value> {
        let log = world.log();
        let lines = log.lines().filter(|line| line.starts_with('{'));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    world
        .until("all lines", async || lines().len() > ENDS.len())
        .await;
    let lines = lines();
    for (path, status, flags, details) in ENDS {
        let line = lines.iter().find(|line| line["path"] == path);
        let line = line.unwrap_or_else(|| panic!("{path}"));
        assert_eq!(line["response_code"], status, "{path}");
        assert_eq!(line["response_flags"], flags, "{path}");
        assert_eq!(line["response_code_details"], details, "{path}");
    }
    let gone = lines
        .iter()
        .find(|line| line["path"] == "/fine/slow")
        .unwrap();
    assert_eq!(
        (&gone["response_code"], &gone["response_flags"]),
        (&0.into(), &"DC".into())
    );
    let fine = lines.iter().find(|line| line["path"] == "/fine").unwrap();
    let keys: BTreeSet<&str> = fine
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    // l7.md 3.5.
    let expected = "start_time route_name method path protocol response_code response_flags response_code_details \
        connection_termination_details bytes_received bytes_sent duration upstream_service_time x_forwarded_for \
        user_agent request_id authority upstream_host upstream_cluster upstream_local_address \
        downstream_local_address downstream_remote_address requested_server_name upstream_transport_failure_reason";
    assert_eq!(keys, expected.split_whitespace().collect());
    assert_eq!(
        (&fine["method"], &fine["protocol"], &fine["authority"]),
        (&"GET".into(), &"HTTP/1.1".into(), &"web".into())
    );
    assert!(
        fine["duration"].is_u64() && fine["bytes_sent"].is_u64(),
        "{fine}"
    );
    assert!(fine["user_agent"].is_null() && fine["connection_termination_details"].is_null());
    assert_eq!(fine["request_id"].as_str().unwrap().len(), 36);
    let gone = lines.iter().find(|line| line["path"] == "/gone").unwrap();
    assert!(
        gone["upstream_transport_failure_reason"].is_string(),
        "{gone}"
    );
}
