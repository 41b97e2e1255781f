//! Destination rules and annotations: what they make of connections, by the endpoints' own counts.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{APP, GUARD, Mesh, Proxy, finish};

/// An application at an address: it counts its connections and ends each when the client does.
struct Endpoint {
    address: Ipv4Addr,
    accepted: Arc<AtomicUsize>,
    closing: Arc<AtomicBool>,
}

impl Endpoint {
    fn open(address: Ipv4Addr, port: u16) -> Self {
        let listener = TcpListener::bind((address, port)).unwrap();
        let (accepted, closing) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let endpoint = Self {
            address,
            accepted: accepted.clone(),
            closing: closing.clone(),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if closing.load(Ordering::SeqCst) {
                    return;
                }
                accepted.fetch_add(1, Ordering::SeqCst);
                let mut stream = stream.unwrap();
                std::thread::spawn(move || stream.read_to_end(&mut Vec::new()));
            }
        });
        endpoint
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Refuses connections from now on.
    fn close(self) {
        self.closing.store(true, Ordering::SeqCst);
        drop(TcpStream::connect((self.address, APP)).unwrap());
        while TcpStream::connect((self.address, APP)).is_ok() {}
    }
}

/// A client's proxy, and a service `web` at port 80 whose endpoints are plain pods.
struct Bench {
    mesh: Mesh,
    client: Proxy,
    manifests: PathBuf,
    /// Changes of the mesh that the proxy has taken over.
    loaded: usize,
}

const HBONE: &str = "ambient.istio.io/redirection: enabled";

fn pod(name: &str, app: &str, ip: Ipv4Addr, annotations: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: ns, labels: {{app: {app}}}, annotations: {{{annotations}}}}}
spec: {{serviceAccountName: {app}, nodeName: laptop}}
status: {{podIP: {ip}, phase: Running}}
---
"
    )
}

fn address(mesh: &Mesh, last: u8) -> Ipv4Addr {
    let [a, b, c, _] = mesh.client.octets();
    Ipv4Addr::new(a, b, c, last)
}

impl Bench {
    /// With so many endpoints, at addresses that end in 11, 12 and so on.
    fn new(endpoints: u8, pods_speak: &str, service: &str, policy: &str) -> Self {
        let mesh = Mesh::new();
        let manifests = mesh.directory.join("manifests");
        std::fs::create_dir_all(&manifests).unwrap();
        let mut pods = pod("client-1", "client", mesh.client, HBONE);
        for number in 1..=endpoints {
            let ip = address(&mesh, 10 + number);
            pods += &pod(&format!("web-{number}"), "web", ip, pods_speak);
        }
        std::fs::write(manifests.join("pods.yaml"), pods).unwrap();
        std::fs::write(manifests.join("service.yaml"), service_of(&mesh, service)).unwrap();
        std::fs::write(manifests.join("rule.yaml"), rule(policy)).unwrap();
        let path = manifests.to_str().unwrap();
        let client = mesh.proxy(
            mesh.client,
            &[("LOCAL_XDS_PATH", ""), ("MESH_MANIFESTS", path)],
        );
        Self {
            mesh,
            client,
            manifests,
            loaded: 1,
        }
    }

    fn endpoints(&self, count: u8) -> Vec<Endpoint> {
        let all = (1..=count).map(|number| Endpoint::open(address(&self.mesh, 10 + number), APP));
        all.collect()
    }

    /// Replaces a file, and waits until the proxy has taken it over.
    fn edit(&mut self, file: &str, text: &str) {
        let new = self.mesh.directory.join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.manifests.join(file)).unwrap();
        self.loaded += 1;
        self.client.log_lines("mesh loaded", self.loaded);
    }

    /// Connects through the proxy; `None` when it is refused.
    fn connect(&self) -> Option<TcpStream> {
        let vip = [&[1][..], &self.mesh.vip.octets()].concat();
        let (reply, stream) = self.client.socks5(&vip, 80);
        (reply == 0).then_some(stream)
    }

    /// Connections one after the other; how many were refused.
    fn connect_times(&self, times: usize) -> usize {
        let refused = (0..times).filter(|_| match self.connect() {
            Some(stream) => {
                finish(stream);
                false
            }
            None => true,
        });
        refused.count()
    }

    /// The sum of a metric's samples that have this in their labels.
    fn metric(&self, name: &str, label: &str) -> u64 {
        let page = self.client.metrics();
        let samples = page.lines().filter_map(|line| {
            let labels = line.strip_prefix(name)?.strip_prefix('{')?;
            let (labels, value) = labels.rsplit_once("} ")?;
            labels
                .contains(label)
                .then(|| value.parse::<u64>().unwrap())
        });
        samples.sum()
    }

    /// Waits until a metric of the service's policy has a value.
    fn wait_for(&self, name: &str, label: &str, value: u64) {
        let deadline = Instant::now() + GUARD;
        while self.metric(name, label) != value {
            let got = self.metric(name, label);
            assert!(Instant::now() < deadline, "{name} is {got}, not {value}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The line of the access log about a connection that ended with this flag.
    fn line(&self, flag: &str) -> serde_json::Value {
        let message = "connection complete";
        self.client
            .log_line(message, |line| line["response_flags"] == flag)
    }
}

fn service_of(mesh: &Mesh, annotations: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: web, namespace: ns, annotations: {{{annotations}}}}}
spec: {{clusterIP: {}, selector: {{app: web}}, ports: [{{port: 80, targetPort: {APP}}}]}}
",
        mesh.vip
    )
}

fn rule(policy: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web, namespace: ns}}
spec: {{host: web, trafficPolicy: {policy}}}
"
    )
}

fn since(endpoints: &[Endpoint], before: &[usize]) -> Vec<usize> {
    let counts = endpoints.iter().zip(before);
    counts
        .map(|(endpoint, before)| endpoint.accepted() - before)
        .collect()
}

fn accepted(endpoints: &[Endpoint]) -> Vec<usize> {
    endpoints.iter().map(Endpoint::accepted).collect()
}

const WEB: &str = "destination_service=\"web.ns.svc.cluster.local\"";

#[test]
fn endpoints_are_chosen_as_the_rule_says_and_an_edit_counts_at_once() {
    let mut bench = Bench::new(3, "", "", "{loadBalancer: {simple: ROUND_ROBIN}}");
    let endpoints = bench.endpoints(3);
    assert_eq!(bench.connect_times(30), 0);
    assert_eq!(accepted(&endpoints), [10; 3]);

    let before = accepted(&endpoints);
    let hash = "{loadBalancer: {consistentHash: {useSourceIp: true, maglev: {}}}}";
    bench.edit("rule.yaml", &rule(hash));
    assert_eq!(bench.connect_times(20), 0);
    let mut one = since(&endpoints, &before);
    one.sort_unstable();
    assert_eq!(one, [0, 0, 20], "all of one client go to one endpoint");

    let before = accepted(&endpoints);
    bench.edit("rule.yaml", &rule("{loadBalancer: {simple: RANDOM}}"));
    assert_eq!(bench.connect_times(300), 0);
    for count in since(&endpoints, &before) {
        // Five standard deviations of a binomial distribution of 300 with 1/3: 41.
        assert!(count.abs_diff(100) <= 41, "{count}");
    }

    // One of three holds many connections: the others get the next ones.
    let before = accepted(&endpoints);
    bench.edit(
        "rule.yaml",
        &rule("{loadBalancer: {simple: LEAST_REQUEST}}"),
    );
    let held: Vec<_> = (0..60).map(|_| bench.connect().unwrap()).collect();
    for count in since(&endpoints, &before) {
        assert!((16..=24).contains(&count), "{count}");
    }
    held.into_iter().for_each(finish);

    // A rule that is wrong changes nothing.
    let before = accepted(&endpoints);
    let wrong = rule("{loadBalancer: {simple: SOMETIMES}}");
    bench.edit("rule.yaml", &wrong);
    let message = "manifest not accepted, the last good state stays in force";
    let line = bench.client.log_line(message, |_| true);
    assert!(
        line["problem"].as_str().unwrap().starts_with("rule.yaml:"),
        "{line}"
    );
    assert_eq!(bench.connect_times(3), 0);
    assert_eq!(since(&endpoints, &before).iter().sum::<usize>(), 3);
}

#[test]
fn one_connection_too_many_is_refused_and_flagged() {
    let two = "{connectionPool: {tcp: {maxConnections: 2}}}";
    let mut bench = Bench::new(2, "", "", two);
    let endpoints = bench.endpoints(2);
    let mut held: Vec<_> = (0..2).map(|_| bench.connect().unwrap()).collect();
    assert_eq!(bench.connect_times(5), 5);
    assert_eq!(accepted(&endpoints).iter().sum::<usize>(), 2);
    assert_eq!(
        bench.metric("mesh_upstream_connections_overflow_total", WEB),
        5
    );
    assert_eq!(bench.metric("mesh_upstream_connections_active", WEB), 2);
    let closed = "istio_tcp_connections_closed_total";
    assert_eq!(bench.metric(closed, "response_flags=\"UO\""), 5);
    let line = bench.line("UO");
    assert_eq!(line["dst.service"], "web.ns.svc.cluster.local");
    assert!(line["dst.workload"].is_null(), "{line}");

    bench.edit(
        "rule.yaml",
        &rule("{connectionPool: {tcp: {maxConnections: 3}}}"),
    );
    held.push(bench.connect().unwrap());
    assert_eq!(bench.connect_times(1), 1);
    finish(held.pop().unwrap());
    bench.wait_for("mesh_upstream_connections_active", WEB, 2);
    assert_eq!(bench.connect_times(1), 0);
    held.into_iter().for_each(finish);
}

#[test]
fn an_endpoint_that_refuses_is_taken_out_hidden_from_clients_and_comes_back() {
    let outlier = "{outlierDetection: {consecutive5xxErrors: 2, interval: 100ms, \
                   baseEjectionTime: 1s, maxEjectionPercent: 50}}";
    let bench = Bench::new(3, "", "", outlier);
    let mut endpoints = bench.endpoints(3);
    let dead = endpoints.remove(0);
    let address = dead.address;
    dead.close();
    // Two fail there and are carried elsewhere.
    let deadline = Instant::now() + GUARD;
    while bench.metric("mesh_upstream_ejections_total", WEB) == 0 {
        assert_eq!(bench.connect_times(5), 0);
        assert!(Instant::now() < deadline);
    }
    assert_eq!(bench.metric("mesh_upstream_connect_failures_total", WEB), 2);
    assert_eq!(bench.metric("mesh_upstream_connect_retries_total", WEB), 2);
    let failed = "istio_tcp_connections_failed_total";
    assert_eq!(bench.metric(failed, "response_flags=\"CONNECT\""), 2);
    bench
        .client
        .log_line("endpoint taken out after failed connects", |_| true);

    let back = Endpoint::open(address, APP);
    bench.wait_for("mesh_upstream_endpoints_ejected", WEB, 0);
    while back.accepted() == 0 {
        assert_eq!(bench.connect_times(5), 0);
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn a_small_fleet_gives_up_an_endpoint_only_where_it_is_asked_to() {
    // Ten percent of two is none.
    let outlier = "{outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 1h}}";
    let mut bench = Bench::new(2, "", "", outlier);
    let _alive = Endpoint::open(address(&bench.mesh, 11), APP);
    assert_eq!(bench.connect_times(40), 0);
    assert_eq!(bench.metric("mesh_upstream_ejections_total", WEB), 0);
    let failures = bench.metric("mesh_upstream_connect_failures_total", WEB);
    assert!(failures > 0);
    let one = service_of(&bench.mesh, "outlier.ztunnel/small-fleet: one");
    bench.edit("service.yaml", &one);
    assert_eq!(bench.connect_times(40), 0);
    assert_eq!(bench.metric("mesh_upstream_ejections_total", WEB), 1);
    let since = bench.metric("mesh_upstream_connect_failures_total", WEB) - failures;
    assert_eq!(since, 1);
}

#[test]
fn nothing_is_left_when_all_endpoints_are_out() {
    let outlier = "{outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 1h, maxEjectionPercent: 100}}";
    let bench = Bench::new(2, "", "", outlier);
    assert_eq!(bench.connect_times(2), 2);
    assert_eq!(bench.metric("mesh_upstream_endpoints_ejected", WEB), 2);
    let closed = "istio_tcp_connections_closed_total";
    assert_eq!(bench.metric(closed, "response_flags=\"UH\""), 1);
    let line = bench.line("UH");
    let expected = "ns/web.ns.svc.cluster.local:80 has no endpoint that is not taken out";
    assert_eq!(line["error"], expected);
}

#[test]
fn an_endpoint_that_does_not_answer_is_given_up_in_time_for_another() {
    // Two pods that speak HBONE, with nobody behind the port: a handshake never ends.
    let policy = "{connectionPool: {tcp: {connectTimeout: 200ms}}}";
    let bench = Bench::new(2, HBONE, "retry.ztunnel/attempts: \"2\"", policy);
    let silent: Vec<_> = (1..=2)
        .map(|number| TcpListener::bind((address(&bench.mesh, 10 + number), 15008)).unwrap())
        .collect();
    assert_eq!(bench.connect_times(1), 1);
    let closed = "istio_tcp_connections_closed_total";
    assert_eq!(bench.metric(closed, "response_flags=\"UF\""), 2);
    let error = bench.line("UF")["error"].as_str().unwrap().to_owned();
    assert!(error.ends_with("took longer than 200ms"), "{error}");
    assert_eq!(bench.metric("mesh_upstream_connect_failures_total", WEB), 2);
    drop(silent);
}

#[test]
fn as_many_endpoints_are_tried_as_the_annotation_says() {
    for (attempts, tried) in [(None, 3), (Some("1"), 1), (Some("4"), 4)] {
        let annotation = attempts.map(|number| format!("retry.ztunnel/attempts: \"{number}\""));
        let bench = Bench::new(5, "", &annotation.unwrap_or_default(), "{}");
        assert_eq!(bench.connect_times(1), 1);
        let failures = bench.metric("mesh_upstream_connect_failures_total", WEB);
        assert_eq!(failures, tried, "{attempts:?}");
        assert_eq!(
            bench.metric("mesh_upstream_connect_retries_total", WEB),
            tried - 1
        );
    }
}

#[test]
fn new_connections_are_limited_by_the_annotation_and_a_wrong_one_keeps_the_last() {
    let rate = "ratelimit.ztunnel/connections: 3/1h";
    let mut bench = Bench::new(1, "", rate, "{}");
    let endpoints = bench.endpoints(1);
    assert_eq!(bench.connect_times(5), 2);
    assert_eq!(accepted(&endpoints), [3]);
    assert_eq!(
        bench.metric("mesh_upstream_connections_rate_limited_total", WEB),
        2
    );
    let closed = "istio_tcp_connections_closed_total";
    assert_eq!(bench.metric(closed, "response_flags=\"RL\""), 2);
    bench.line("RL");

    let wrong = service_of(&bench.mesh, "ratelimit.ztunnel/connections: lots");
    bench.edit("service.yaml", &wrong);
    let message = "annotation not accepted, the last good value stays in force";
    let line = bench.client.log_line(message, |_| true);
    let problem = line["problem"].as_str().unwrap();
    assert!(
        problem.contains("service.yaml") && problem.contains("`lots`"),
        "{problem}"
    );
    assert_eq!(bench.connect_times(2), 2);

    let none = service_of(&bench.mesh, "");
    bench.edit("service.yaml", &none);
    assert_eq!(bench.connect_times(5), 0);
    assert_eq!(accepted(&endpoints), [8]);
}
