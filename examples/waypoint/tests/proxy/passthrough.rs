//! Connections that are carried as bytes, with what is told about them. Sources: l7.md 2.17 (limits, attempts), 3.2
//! (metrics), 3.5 (access log), authz.md 5.2.4 (denials).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::World;

const REQUEST: &[u8] = b"GET /raw HTTP/1.1\r\nhost: a\r\nx-forwarded-proto: none\r\n\r\n";

/// A service of bytes at `10.96.0.6`, of these instances, each of which is the fourth application or `api`.
fn service(world: &World, instances: &[&str]) -> String {
    let mut objects = "
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.96.0.6, selector: {db: 'yes'}, ports: [{name: tcp, port: 5432, targetPort: 8080}, {name: any, port: 5433, targetPort: 8080}]}
"
    .to_owned();
    for name in instances {
        let address = match *name {
            "api" => world.third(),
            _ => world.fourth(),
        };
        objects.push_str(&format!(
            "
---
apiVersion: v1
kind: Pod
metadata: {{name: db-{name}, namespace: shop, labels: {{db: 'yes'}}}}
status: {{podIP: {address}}}
"
        ));
    }
    objects
}

async fn known(world: &World) {
    let dump = async || {
        let rule = "/debug/explain?service=shop/db.shop.svc.cluster.local&port=5432";
        let said = world.fetch(15000, rule).await;
        said.is_some_and(|said| said.contains("Opaque"))
    };
    world.until("the service to be known", dump).await;
}

/// Sends the request of bytes, and reads the answer to its end.
async fn carry(world: &World, authority: &str) -> Option<usize> {
    let mut tunnel = world.client.tunnel(authority).await.ok()?;
    tunnel.write_all(REQUEST).await.unwrap();
    let mut answer = vec![0; 16];
    tunnel.read_exact(&mut answer).await.ok()?;
    assert_eq!(answer, b"HTTP/1.1 200 OK\r"[..]);
    tunnel.shutdown().await.unwrap();
    let rest = tunnel.read_to_end(&mut answer).await.ok()?;
    Some(16 + rest)
}

/// The sum of a metric's samples that have all these labels.
async fn sum(world: &World, name: &str, labels: &[&str]) -> u64 {
    let page = world.fetch(15020, "/stats/prometheus").await.unwrap();
    let samples = page
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let samples = samples.filter(|line| labels.iter().all(|label| line.contains(label)));
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    samples.map(value).sum()
}

async fn logged(world: &World, what: &str, parts: &[&str]) {
    let found = async || {
        let log = world.log();
        log.lines()
            .any(|line| parts.iter().all(|part| line.contains(part)))
    };
    world.until(what, found).await;
}

#[tokio::test]
async fn bytes_are_counted_and_logged() {
    let world = World::start("").await;
    let received = carry(&world, "10.96.0.2:81").await.unwrap();
    assert_eq!(world.api.requests(), 1);
    let of_service = [
        "reporter=\"waypoint\"",
        "source_principal=\"spiffe://cluster.local/ns/shop/sa/client\"",
        "destination_service=\"api.shop.svc.cluster.local\"",
        "destination_canonical_service=\"api\"",
        "request_protocol=\"tcp\"",
        "response_flags=\"-\"",
        "connection_security_policy=\"mutual_tls\"",
    ];
    let closed = async || sum(&world, "istio_tcp_connections_closed_total", &of_service).await == 1;
    world.until("the end to be counted", closed).await;
    for (name, expected) in [
        ("istio_tcp_connections_opened_total", 1),
        ("istio_tcp_received_bytes_total", REQUEST.len()),
        ("istio_tcp_sent_bytes_total", received),
    ] {
        assert_eq!(
            sum(&world, name, &of_service).await,
            expected as u64,
            "{name}"
        );
    }
    let line = format!("\"- - -\" 0 - - - \"-\" {} {received} ", REQUEST.len());
    let parts = [
        line.as_str(),
        "inbound-vip|81|tcp|api.shop.svc.cluster.local",
        " 10.96.0.2:81 ",
    ];
    logged(&world, "a line of the access log", &parts).await;
}

#[tokio::test]
async fn an_instance_that_is_gone_is_hidden_by_another() {
    let world = World::start("").await;
    world.write(&service(&world, &["api", "gone"]));
    known(&world).await;
    for connection in 0..10 {
        assert!(
            carry(&world, "10.96.0.6:5432").await.is_some(),
            "{connection}"
        );
    }
    assert_eq!(world.api.requests(), 10);
    let failed = ["response_flags=\"UF\""];
    assert_eq!(
        sum(&world, "istio_tcp_connections_closed_total", &failed).await,
        0
    );
}

#[tokio::test]
async fn connections_to_nobody_are_refused_and_say_so() {
    let world = World::start("").await;
    world.write(&service(&world, &["gone"]));
    known(&world).await;
    assert!(world.client.tunnel("10.96.0.6:5432").await.is_err());
    let failed = [
        "response_flags=\"UF\"",
        "destination_service=\"db.shop.svc.cluster.local\"",
    ];
    assert_eq!(
        sum(&world, "istio_tcp_connections_closed_total", &failed).await,
        1
    );
    let gone = format!("{}:8080", world.fourth());
    logged(&world, "UF", &["\"- - -\" 0 UF - - \"no connection", &gone]).await;
    world.write(&service(&world, &[]));
    let none = ["response_flags=\"UH\""];
    let refused = async || {
        assert!(world.client.tunnel("10.96.0.6:5432").await.is_err());
        sum(&world, "istio_tcp_connections_closed_total", &none).await > 0
    };
    world.until("no host", refused).await;
    logged(&world, "UH", &["\"- - -\" 0 UH - - "]).await;
}

#[tokio::test]
async fn a_limit_of_connections_holds_while_they_are_there() {
    let world = World::start("").await;
    let limit = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db, namespace: shop}
spec: {host: db, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}
";
    world.write(&format!("{}{limit}", service(&world, &["api"])));
    known(&world).await;
    let first = world.client.tunnel("10.96.0.6:5432").await.unwrap();
    assert!(world.client.tunnel("10.96.0.6:5432").await.is_err());
    logged(&world, "UO", &["\"- - -\" 0 UO - - "]).await;
    drop(first);
    let again = async || carry(&world, "10.96.0.6:5432").await.is_some();
    world.until("a place", again).await;
}

#[tokio::test]
async fn bytes_that_are_no_http_are_found_out_and_carried_whole() {
    let world = World::start("").await;
    world.write(&service(&world, &["api"]));
    known(&world).await;
    let mut tunnel = world.client.tunnel("10.96.0.6:5433").await.unwrap();
    let bytes = b"\x00\x01 not http\r\n\r\n";
    tunnel.write_all(bytes).await.unwrap();
    let mut answer = vec![0; 16];
    tunnel.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200 OK\r"[..]);
    drop(tunnel);
    let labels = ["destination_service=\"db.shop.svc.cluster.local\""];
    let closed = async || sum(&world, "istio_tcp_connections_closed_total", &labels).await == 1;
    world.until("the end to be counted", closed).await;
    let received = sum(&world, "istio_tcp_received_bytes_total", &labels).await;
    assert_eq!(received, bytes.len() as u64);
}

#[tokio::test]
async fn what_policies_deny_is_logged_with_the_rule() {
    let world = World::start(
        "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: shut, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Service, name: api}]
  action: DENY
  rules: [{to: [{operation: {ports: ['81']}}]}]
",
    )
    .await;
    assert!(world.client.tunnel("10.96.0.2:81").await.is_err());
    assert_eq!(world.api.requests(), 0);
    let rule = "rbac_access_denied_matched_policy[ns[shop]-policy[shut]-rule[0]]";
    logged(&world, "the rule", &["\"- - -\" 0 - - ", rule]).await;
}

/// A server of bytes at the fourth address: it answers with its name once something came, and ends.
async fn server(world: &World, name: &'static str, port: u16) -> Arc<AtomicU64> {
    let listener = TcpListener::bind((world.fourth(), port)).await.unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut first = [0; 512];
            let read = stream.read(&mut first).await.unwrap();
            // What the client said first came whole.
            let answer = format!("{name} {read}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    count
}

/// `db` with two versions, and routes for it.
fn versions(world: &World, routes: &str) -> String {
    let version = |name: &str, vip: u8, port: u16| {
        format!(
            "
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{clusterIP: 10.96.0.{vip}, selector: {{db: 'yes'}}, ports: [{{name: tcp, port: 5432, targetPort: {port}}}]}}
"
        )
    };
    let all = [version("db-v1", 11, 8081), version("db-v2", 12, 8082)].concat();
    format!("{}{all}{routes}", service(world, &["fourth"]))
}

/// What a server says to bytes; `None` when the connection is refused or reset.
async fn say(world: &World, bytes: &[u8]) -> Option<String> {
    let mut tunnel = world.client.tunnel("10.96.0.6:5432").await.ok()?;
    tunnel.write_all(bytes).await.ok()?;
    let mut answer = String::new();
    tunnel.read_to_string(&mut answer).await.ok()?;
    (!answer.is_empty()).then_some(answer)
}

#[tokio::test]
async fn connections_get_their_shares_of_a_tcp_route() {
    let world = World::start("").await;
    let (v1, v2) = (
        server(&world, "v1", 8081).await,
        server(&world, "v2", 8082).await,
    );
    world.write(&versions(
        &world,
        "
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: db, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: db, port: 5432}]
  rules: [{backendRefs: [{name: db-v1, port: 5432, weight: 80}, {name: db-v2, port: 5432, weight: 20}]}]
",
    ));
    known(&world).await;
    for _ in 0..200 {
        assert!(say(&world, b"\0hello").await.is_some());
    }
    let (v1, v2) = (v1.load(Ordering::SeqCst), v2.load(Ordering::SeqCst));
    assert_eq!(v1 + v2, 200);
    // Four standard deviations of a binomial distribution with 200 draws.
    assert!((17..=63).contains(&v2), "{v2}");
    logged(
        &world,
        "the route's destination",
        &["inbound-vip|5432|tcp|db-v2.shop"],
    )
    .await;
}

/// A `ClientHello` with a server name and without other extensions: RFC 8446 §4.1.2, RFC 6066 §3.
fn client_hello(name: &str) -> Vec<u8> {
    let length = |bytes: usize| (bytes as u16).to_be_bytes();
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0]);
    body.extend_from_slice(&length(name.len() + 9));
    body.extend_from_slice(&[0, 0]);
    body.extend_from_slice(&length(name.len() + 5));
    body.extend_from_slice(&length(name.len() + 3));
    body.push(0);
    body.extend_from_slice(&length(name.len()));
    body.extend_from_slice(name.as_bytes());
    let mut hello = vec![22, 3, 1];
    hello.extend_from_slice(&length(body.len() + 4));
    hello.extend_from_slice(&[1, 0]);
    hello.extend_from_slice(&length(body.len()));
    hello.extend_from_slice(&body);
    hello
}

#[tokio::test]
async fn a_server_name_leads_to_its_service_and_what_meets_no_rule_is_closed() {
    let world = World::start("").await;
    let (v1, v2) = (
        server(&world, "v1", 8081).await,
        server(&world, "v2", 8082).await,
    );
    world.write(&versions(
        &world,
        "
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: shop}
spec:
  hosts: [db]
  tls:
  - match: [{sniHosts: [one.example.com]}]
    route: [{destination: {host: db-v1}}]
  - match: [{sniHosts: ['*.example.com']}]
    route: [{destination: {host: db-v2}}]
",
    ));
    known(&world).await;
    for (name, expected) in [("one.example.com", "v1"), ("two.example.com", "v2")] {
        let hello = client_hello(name);
        let answer = say(&world, &hello).await;
        assert_eq!(
            answer,
            Some(format!("{expected} {}", hello.len())),
            "{name}"
        );
    }
    assert_eq!(say(&world, &client_hello("example.org")).await, None);
    assert_eq!(say(&world, b"\0no tls").await, None);
    assert_eq!(v1.load(Ordering::SeqCst) + v2.load(Ordering::SeqCst), 2);
    logged(&world, "no rule", &["\"- - -\" 0 NR - no rule is met"]).await;
}
