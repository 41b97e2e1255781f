//! Workloads that are addressed themselves, behind a waypoint that is for them. Sources: waypoint-xds.md 2.3 and 2.5 (the
//! chains `direct-http` and `direct-tcp`: what is attached to the gateway applies, what is attached to services does
//! not), authz.md 1.2.3 (selectors mean nothing at a waypoint), l7.md 3.2.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::client::{Answer, Connection};
use crate::world::{Net, Plan, World};

/// The mesh of other tests, with a waypoint for this.
fn plan(traffic: &str, objects: &str) -> Plan {
    let mut plan = Plan::of(objects);
    let gateway = "metadata: {name: wp, namespace: shop";
    let labelled = format!("{gateway}, labels: {{istio.io/waypoint-for: {traffic}}}");
    assert!(plan.mesh.contains(gateway));
    plan.mesh = plan.mesh.replace(gateway, &labelled);
    plan
}

async fn start(traffic: &str, objects: &str) -> World {
    World::launch(Net::next(), plan(traffic, objects)).await
}

async fn get(world: &World, authority: &str, path: &str) -> Answer {
    let tunnel = world.client.tunnel(authority).await.unwrap();
    let mut connection = Connection(BufReader::new(tunnel));
    connection.send("GET", path, "").await.unwrap()
}

const POLICIES: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: gateway, namespace: shop}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: wp}]
  action: DENY
  rules: [{to: [{operation: {paths: [/private]}}]}, {to: [{operation: {ports: ['9000']}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: service, namespace: shop}
spec: {targetRefs: [{group: '', kind: Service, name: api}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: selector, namespace: shop}
spec: {selector: {matchLabels: {app: api}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec: {hosts: [api], http: [{directResponse: {status: 418}}]}
";

#[tokio::test]
async fn a_workload_is_reached_by_its_own_address_under_the_policies_of_the_gateway() {
    let world = start("all", POLICIES).await;
    let api = format!("{}:8080", world.third());
    for path in ["/a", "/b", "/private", "/c"] {
        let answer = get(&world, &api, path).await;
        match path {
            "/private" => {
                assert_eq!(
                    (answer.status, answer.body.as_str()),
                    (403, "RBAC: access denied")
                );
            }
            _ => {
                assert_eq!(answer.status, 200, "{answer:?}");
                assert!(answer.body.starts_with(&format!("api {path} ")));
            }
        }
    }
    assert_eq!(world.api.requests(), 3);
    assert!(world.api.seen("/private").is_empty());
    // The service is under its own policy, and has its own route.
    let vip = get(&world, "10.96.0.2:80", "/").await;
    assert_eq!(vip.status, 403, "{vip:?}");
    let metrics = world.fetch(15020, "/stats/prometheus").await.unwrap();
    let count = |labels: &[&str]| -> u64 {
        let lines = metrics
            .lines()
            .filter(|line| line.starts_with("istio_requests_total{"));
        let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
        let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        lines.map(value).sum()
    };
    let of_workload = [
        "destination_workload=\"api\"",
        "destination_workload_namespace=\"shop\"",
        "destination_service=\"api\"",
        "destination_service_namespace=\"shop\"",
        "source_principal=\"spiffe://cluster.local/ns/shop/sa/client\"",
    ];
    let with = |code: &'static str| [&of_workload[..], &[code]].concat();
    assert_eq!(count(&with("response_code=\"200\"")), 3, "{metrics}");
    assert_eq!(count(&with("response_code=\"403\"")), 1, "{metrics}");
    let logged = async || {
        let line = ["\"GET /a HTTP/1.1\" 200", " encap ", &format!(" {api} ")];
        world.lines(&line) == 1
            && world.lines(&[
                "\"GET /private HTTP/1.1\" 403",
                "ns[shop]-policy[gateway]-rule[0]",
            ]) == 1
    };
    world.until("lines of the access log", logged).await;
}

#[tokio::test]
async fn bytes_to_a_workload_are_carried_unless_the_gateways_policies_deny_them() {
    let world = start("workload", POLICIES).await;
    let mut served = Vec::new();
    for port in [9000, 9001] {
        let at = SocketAddr::from((world.third(), port));
        let listener = TcpListener::bind(at).await.unwrap();
        let (counts, counted) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counts.send_modify(|count| *count += 1);
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            }
        });
        served.push(counted);
    }
    let echo = async |port: u16| -> Option<[u8; 4]> {
        let authority = format!("{}:{port}", world.third());
        let mut tunnel = world.client.tunnel(&authority).await.ok()?;
        // No method begins so.
        tunnel.write_all(b"\x00\x01\x02\x03").await.ok()?;
        let mut answer = [0; 4];
        tunnel.read_exact(&mut answer).await.ok()?;
        Some(answer)
    };
    assert_eq!(
        echo(9001).await,
        None,
        "a path may be denied, and bytes have none"
    );
    world.write(&POLICIES.replace("{to: [{operation: {paths: [/private]}}]}, ", ""));
    world
        .until("the policy to change", async || echo(9001).await.is_some())
        .await;
    assert_eq!(echo(9001).await, Some([0, 1, 2, 3]));
    assert_eq!(echo(9000).await, None);
    assert_eq!(*served[0].borrow(), 0);
    assert_eq!(*served[1].borrow(), 2);
    let closed = ["\"- - -\" 0", " encap "];
    world
        .until("a line of the access log", async || {
            world.lines(&closed) >= 2
        })
        .await;
}

#[tokio::test]
async fn what_a_waypoint_is_not_for_is_refused() {
    const OUT: &str = "
apiVersion: v1
kind: Pod
metadata: {name: out, namespace: shop, labels: {app: out, istio.io/use-waypoint: none}}
status: {podIP: NET.4}
";
    // What it is for; whether a service, a workload and one that opted out are served.
    let cases = [
        ("service", [true, false, false]),
        ("workload", [false, true, false]),
        ("all", [true, true, false]),
        ("none", [false, false, false]),
    ];
    for (traffic, served) in cases {
        let world = start(traffic, OUT).await;
        let addresses = [
            "10.96.0.2:80".to_owned(),
            format!("{}:8080", world.third()),
            format!("{}:8080", world.fourth()),
        ];
        for (address, served) in addresses.iter().zip(served) {
            let taken = world.client.tunnel(address).await.is_ok();
            assert_eq!(taken, served, "for {traffic}: {address}");
        }
        let own = format!("{}:8080", world.at(9));
        assert!(
            world.client.tunnel(&own).await.is_err(),
            "{traffic}: itself"
        );
    }
}
