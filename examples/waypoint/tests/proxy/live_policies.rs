//! Policies that change while connections live. Sources: authz.md 5.1 (both sides of a live connection are closed when a
//! policy change denies it) and 5.5.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::objects::pod;
use crate::world::{API, WEB, World};

/// A policy for a service.
fn policy(name: &str, service: &str, rest: &str) -> String {
    format!(
        "
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: shop}}
spec: {{targetRefs: [{{group: '', kind: Service, name: {service}}}], {rest}}}
"
    )
}

#[tokio::test]
async fn a_connection_of_bytes_is_cut_when_a_new_policy_denies_it() {
    let world = World::start("").await;
    // An echo behind a service of bytes.
    let listener = TcpListener::bind((world.at(5), 9000)).await.unwrap();
    let (ended, mut ends) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let ended = ended.clone();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                ended.send_modify(|count| *count += 1);
            });
        }
    });
    let echo = pod("echo", "echo", 5, "")
        + "
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: shop}
spec: {clusterIP: 10.96.1.3, selector: {app: echo}, ports: [{name: tcp, port: 80, targetPort: 9000}]}
";
    world.write(&echo);
    let known = async || world.client.tunnel("10.96.1.3:80").await.is_ok();
    world.until("the service to be known", known).await;
    let stranger = world.client.named("shop/stranger");
    let mut kept = world.client.tunnel("10.96.1.3:80").await.unwrap();
    let mut cut = stranger.tunnel("10.96.1.3:80").await.unwrap();
    let mut answer = [0; 4];
    for tunnel in [&mut kept, &mut cut] {
        tunnel.write_all(b"ping").await.unwrap();
        tunnel.read_exact(&mut answer).await.unwrap();
    }
    // What is about something else changes nothing.
    let other = policy(
        "other",
        "echo",
        "action: DENY, rules: [{to: [{operation: {ports: ['81']}}]}]",
    );
    world.write(&(echo.clone() + &other));
    let before = *ends.borrow_and_update();
    for tunnel in [&mut kept, &mut cut] {
        tunnel.write_all(b"pong").await.unwrap();
        tunnel.read_exact(&mut answer).await.unwrap();
    }
    let denying = policy(
        "denying",
        "echo",
        "action: DENY, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/stranger]}}]}]",
    );
    world.write(&(echo.clone() + &denying));
    let end = cut.read(&mut answer).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    ends.wait_for(|count| *count == before + 1).await.unwrap();
    kept.write_all(b"more").await.unwrap();
    kept.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, *b"more");
    let line = [
        "policy_change:rbac_access_denied_matched_policy[ns[shop]-policy[denying]-rule[0]]",
        "inbound-vip|80|tcp|echo.shop.svc.cluster.local",
    ];
    world
        .until("a line of the access log", async || world.lines(&line) == 1)
        .await;
    let page = world.fetch(15020, "/stats/prometheus").await.unwrap();
    let closed = page.lines().filter(|line| {
        line.starts_with("istio_tcp_connections_closed_total{")
            && line.contains("source_principal=\"spiffe://cluster.local/ns/shop/sa/stranger\"")
            && line.contains("destination_service=\"echo.shop.svc.cluster.local\"")
    });
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(closed.map(value).sum::<u64>(), 1, "{page}");
    assert!(stranger.tunnel("10.96.1.3:80").await.is_err());
}

#[tokio::test]
async fn policies_that_come_and_go_under_load_cost_no_request_and_no_connection() {
    let allow = |name: &str| {
        policy(
            name,
            "web",
            "rules: [{to: [{operation: {methods: [GET]}}]}]",
        )
    };
    let for_api = |name: &str| policy(name, "api", "rules: [{to: [{operation: {ports: ['81']}}]}]");
    let world = World::start(&(allow("a") + &for_api("a-api"))).await;
    let mut bytes = world.client.tunnel(&format!("{API}:81")).await.unwrap();
    let client = world.client.clone();
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let load = tokio::spawn(async move {
        let mut connection = client.connection(WEB).await;
        let mut sent = 0_u64;
        while !*stopped.borrow_and_update() {
            let answer = connection.send("GET", "/", "").await.unwrap();
            assert_eq!(answer.status, 200, "request {sent}");
            sent += 1;
        }
        sent
    });
    for round in 0..40 {
        let name = ["a", "b", "c"][round % 3];
        let api = format!("{name}-api");
        world.write(&(allow(name) + &for_api(&api)));
        let there = async || {
            let path = "/debug/explain?service=shop/web.shop.svc.cluster.local&path=/";
            let said = world.fetch(15000, path).await.unwrap();
            said.contains(&format!("shop/{name}"))
        };
        world.until(name, there).await;
    }
    stop.send(true).unwrap();
    assert!(load.await.unwrap() > 100);
    let request = b"GET /raw HTTP/1.1\r\nhost: a\r\n\r\n";
    bytes.write_all(request).await.unwrap();
    let mut answer = [0; 8];
    bytes.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, *b"HTTP/1.1");
}

/// authz.md 0.6: what is rejected and has no good version denies where it would have applied.
#[tokio::test]
async fn a_policy_that_was_never_right_denies_what_it_is_for() {
    let world = World::start("").await;
    let statuses = async || {
        let web = world.client.get(WEB, "/").await.status;
        (web, world.client.get(API, "/").await.status)
    };
    assert_eq!(statuses().await, (200, 200));
    // A field that nobody knows; targets that are none; the same policy, put right.
    let wrong = policy(
        "new",
        "web",
        "action: DENY, rules: [{from: [{source: {principal: [x]}}]}]",
    );
    let cases = [
        ("its targets", wrong.clone(), (403, 200)),
        (
            "no targets that could be told",
            wrong.replace("kind: Service", "kind: Servic"),
            (403, 403),
        ),
        (
            "right",
            wrong.replace("principal:", "principals:"),
            (200, 200),
        ),
        // From now on there is a version to stay with.
        ("wrong again", wrong, (200, 200)),
    ];
    for (name, objects, expected) in cases {
        world.write(&objects);
        let there = async || statuses().await == expected;
        world.until(name, there).await;
    }
    for told in [
        "until this is right, all that it is for is denied",
        "until this is right, all of its namespace is denied",
    ] {
        world.until(told, async || world.lines(&[told]) > 0).await;
    }
}
