//! What becomes of requests, with the applications' own counts as evidence.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::instance::Instance;
use crate::objects::{route, virtual_service};
use crate::token::Issuer;
use crate::world::{API, WEB, World};

#[tokio::test]
async fn a_service_without_routes_is_forwarded_to() {
    let world = World::start("").await;
    for round in 0..20 {
        // Istio's default leaves slashes as they are, and resolves dot segments.
        let path = if round == 0 {
            "/x/..//hello%2F"
        } else {
            "/hello"
        };
        let forwarded = if round == 0 {
            " //hello%2F "
        } else {
            " /hello "
        };
        let answer = world.client.get(WEB, path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.contains(forwarded), "{answer:?}");
    }
    assert_eq!(world.v1.requests() + world.v2.requests(), 20);
    assert!(world.v1.requests() > 0 && world.v2.requests() > 0);
    let metrics = world.fetch(15020, "/stats/prometheus").await.unwrap();
    let wanted = [
        "reporter=\"waypoint\"",
        "response_code=\"200\"",
        "source_principal=\"spiffe://cluster.local/ns/shop/sa/client\"",
        "destination_service=\"web.shop.svc.cluster.local\"",
    ];
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("istio_requests_total{"));
    let lines = lines.filter(|line| wanted.iter().all(|label| line.contains(label)));
    let count = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    // One line for each instance.
    assert_eq!(lines.map(count).sum::<u64>(), 20, "{metrics}");
}

#[tokio::test]
async fn what_is_not_behind_the_waypoint_is_refused() {
    let world = World::start("").await;
    for authority in ["10.96.0.3:80", "10.96.0.1:81", "127.0.0.1:80", "1.1.1.1:80"] {
        assert!(world.client.tunnel(authority).await.is_err(), "{authority}");
    }
}

#[tokio::test]
async fn a_port_for_bytes_is_carried_as_bytes() {
    let world = World::start("").await;
    let mut tunnel = world.client.tunnel("10.96.0.2:81").await.unwrap();
    // What HTTP would not let pass as it is.
    let request = b"GET /raw HTTP/1.1\r\nhost: a\r\nx-forwarded-proto: none\r\n\r\n";
    tunnel.write_all(request).await.unwrap();
    let mut answer = vec![0; 16];
    tunnel.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200 OK\r"[..]);
    assert_eq!(world.api.requests(), 1);
}

#[tokio::test]
async fn a_canary_gets_its_share() {
    let routes = virtual_service(
        "[{route: [{destination: {host: web, subset: v1}, weight: 80}, {destination: {host: web, subset: v2}, weight: 20}]}]",
        "{}",
    );
    let world = World::start(&routes).await;
    let mut connection = world.client.connection(WEB).await;
    for _ in 0..500 {
        let answer = connection.send("GET", "/", "").await.unwrap();
        assert_eq!(answer.status, 200);
    }
    assert_eq!(world.v1.requests() + world.v2.requests(), 500);
    // The conformance suite of the Gateway API allows 5 percentage points.
    assert!(
        (75..=125).contains(&world.v2.requests()),
        "{}",
        world.v2.requests()
    );
}

#[tokio::test]
async fn a_retry_hides_an_instance_that_fails() {
    let world = World::start(&route(
        "[{backendRefs: [{name: web, port: 80}], retry: {codes: [503], attempts: 5, backoff: 1ms}}]",
    ))
    .await;
    world.v1.fail(true);
    for _ in 0..20 {
        let answer = world.client.get(WEB, "/").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(world.v2.requests(), 20);
    assert!(world.v1.requests() > 0);
}

#[tokio::test]
async fn a_method_that_no_policy_allows_is_denied() {
    let policy = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: read, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Service, name: web}]
  rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/client]}}], to: [{operation: {methods: [GET]}}]}]
";
    let world = World::start(policy).await;
    assert_eq!(world.client.get(WEB, "/").await.status, 200);
    let denied = world.client.send(WEB, "DELETE", "/", "").await;
    assert_eq!(
        (denied.status, denied.body.as_str()),
        (403, "RBAC: access denied")
    );
    let stranger = world.client.named("shop/other");
    assert_eq!(stranger.get(WEB, "/").await.status, 403);
    // The policy is not about this one.
    assert_eq!(stranger.get(API, "/").await.status, 200);
    assert_eq!(world.v1.requests() + world.v2.requests(), 1);
    assert_eq!(world.api.requests(), 1);
}

#[tokio::test]
async fn a_path_wants_a_token() {
    let issuer = Issuer::new();
    let objects = format!(
        "
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: idp, namespace: shop}}
spec:
  targetRefs: [{{group: '', kind: Service, name: web}}]
  jwtRules: [{{issuer: 'https://idp.example', jwks: '{}'}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: admin, namespace: shop}}
spec:
  targetRefs: [{{group: '', kind: Service, name: web}}]
  action: DENY
  rules: [{{from: [{{source: {{notRequestPrincipals: ['*']}}}}], to: [{{operation: {{paths: ['/admin*']}}}}]}}]
",
        issuer.keys()
    );
    let world = World::start(&objects).await;
    let good = issuer.token(r#"{"iss":"https://idp.example","sub":"me","exp":4102444800}"#);
    let other = Issuer::new().token(r#"{"iss":"https://idp.example","sub":"me","exp":4102444800}"#);
    let old = issuer.token(r#"{"iss":"https://idp.example","sub":"me","exp":1}"#);
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let cases = [
        ("/", String::new(), 200),
        ("/admin", String::new(), 403),
        ("/admin", bearer(&good), 200),
        ("/admin", bearer(&other), 401),
        ("/", bearer(&old), 401),
        ("/x/../admin", String::new(), 403),
    ];
    for (path, headers, status) in cases {
        let answer = world.client.send(WEB, "GET", path, &headers).await;
        assert_eq!(answer.status, status, "{path} {headers} {answer:?}");
    }
    assert_eq!(world.v1.requests() + world.v2.requests(), 2);
    for line in [
        "\"GET / HTTP/1.1\" 401 - jwt_authn_access_denied{Jwt_is_expired}",
        "\"GET /admin HTTP/1.1\" 401 - jwt_authn_access_denied{Jwt_verification_fails}",
    ] {
        world.until(line, async || world.lines(&[line]) == 1).await;
    }
}

#[tokio::test]
async fn a_redirect_is_answered_here() {
    let world = World::start(&route(
        "[{matches: [{path: {value: /old}}], filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}, statusCode: 301}}]}]",
    ))
    .await;
    let answer = world.client.get(WEB, "/old/a?b").await;
    assert_eq!(answer.status, 301);
    assert_eq!(answer.headers["location"], "http://web/new/a?b");
    let web = "/debug/explain?service=shop/web.shop.svc.cluster.local";
    let explained = world.fetch(15000, &format!("{web}&path=/old/a")).await;
    let explained = explained.unwrap();
    for part in [
        "HTTPRoute shop/web[0]",
        "\"redirect\": 301",
        "\"protocol\": \"Http1\"",
    ] {
        assert!(explained.contains(part), "{explained}");
    }
    let explained = world.fetch(15000, &format!("{web}&path=/other")).await;
    assert!(explained.unwrap().contains("\"rule\": null"));
    assert_eq!(world.client.get(WEB, "/other").await.status, 404);
    assert_eq!(world.v1.requests() + world.v2.requests(), 0);
}

#[tokio::test]
async fn a_mirror_gets_every_request() {
    let world = World::start(&route(
        "[{backendRefs: [{name: web, port: 80}], filters: [{type: RequestMirror, requestMirror: {backendRef: {name: api, port: 80}}}]}]",
    ))
    .await;
    for _ in 0..10 {
        assert_eq!(world.client.get(WEB, "/m").await.status, 200);
    }
    assert_eq!(world.v1.requests() + world.v2.requests(), 10);
    world
        .until("ten copies", async || world.api.requests() == 10)
        .await;
}

#[tokio::test]
async fn faults_are_made_and_time_runs_out() {
    let http = "[
      {match: [{uri: {prefix: /abort}}], fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, route: [{destination: {host: web}}]},
      {match: [{uri: {prefix: /delay}}], fault: {delay: {fixedDelay: 300ms, percentage: {value: 100}}}, route: [{destination: {host: web}}]},
      {timeout: 200ms, route: [{destination: {host: web}}]}]";
    let world = World::start(&virtual_service(http, "{}")).await;
    assert_eq!(world.client.get(WEB, "/abort").await.status, 418);
    assert_eq!(world.v1.requests() + world.v2.requests(), 0);
    let began = Instant::now();
    assert_eq!(world.client.get(WEB, "/delay").await.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(world.client.get(WEB, "/slow").await.status, 504);
}

#[tokio::test]
async fn a_circuit_breaker_refuses_what_is_too_much() {
    let policy = "{connectionPool: {http: {http2MaxRequests: 1}}}";
    let http = "[{route: [{destination: {host: web}}]}]";
    let world = World::start(&virtual_service(http, policy)).await;
    let slow = world.client.clone();
    let slow = tokio::spawn(async move { slow.get(WEB, "/slow").await.status });
    let received = async || world.v1.requests() + world.v2.requests() == 1;
    world.until("the slow request to arrive", received).await;
    let refused = world.client.get(WEB, "/").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.headers["x-envoy-overloaded"], "true");
    assert_eq!(slow.await.unwrap(), 200);
    assert_eq!(world.v1.requests() + world.v2.requests(), 1);
    assert_eq!(world.client.get(WEB, "/").await.status, 200);
}

#[tokio::test]
async fn edits_under_load_lose_no_request_and_a_broken_one_changes_nothing() {
    let to = |subset: &str| {
        virtual_service(
            &format!("[{{route: [{{destination: {{host: web, subset: {subset}}}}}]}}]"),
            "{}",
        )
    };
    let world = World::start(&to("v1")).await;
    let client = world.client.clone();
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let load = tokio::spawn(async move {
        let mut connection = client.connection(WEB).await;
        let mut sent = 0_u64;
        while !*stopped.borrow_and_update() {
            let answer = connection.send("GET", "/", "").await;
            assert_eq!(
                answer.map(|answer| answer.status),
                Some(200),
                "request {sent}"
            );
            sent += 1;
        }
        sent
    });
    let goes_to = async |name: &str| world.client.get(WEB, "/").await.body.starts_with(name);
    for round in 0..10 {
        let subset = if round % 2 == 0 { "v2" } else { "v1" };
        world.write(&to(subset));
        world.until(subset, async || goes_to(subset).await).await;
    }
    world.write(&to("v2").replace("hosts: [web]", "hosts: 7"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..5 {
        assert!(goes_to("v1").await);
    }
    stop.send(true).unwrap();
    assert!(load.await.unwrap() > 100);
}

#[tokio::test]
async fn a_request_that_runs_is_finished_when_the_process_stops() {
    let mut world = World::start("").await;
    let slow = world.client.clone();
    let slow = tokio::spawn(async move { slow.get(WEB, "/slow").await.status });
    let received = async || world.v1.requests() + world.v2.requests() == 1;
    world.until("the slow request to arrive", received).await;
    assert!(world.stop().await.success());
    assert_eq!(slow.await.unwrap(), 200);
}

#[tokio::test]
async fn what_comes_too_often_is_refused_and_logged() {
    let world = World::start(
        "
apiVersion: v1
kind: Service
metadata:
  name: few
  namespace: shop
  annotations: {ratelimit.waypoint/requests: 3/1h}
spec: {clusterIP: 10.96.0.4, selector: {app: api}, ports: [{name: http, port: 80, targetPort: 8080}]}
",
    )
    .await;
    let few = "10.96.0.4".parse().unwrap();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(world.client.get(few, "/few").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(world.api.requests(), 3);
    let lines = |text: &str| {
        world
            .log()
            .lines()
            .filter(|line| line.contains(text))
            .count()
    };
    let logged = async || {
        lines("\"GET /few HTTP/1.1\" 200") == 3 && lines("\"GET /few HTTP/1.1\" 429 RL") == 2
    };
    world.until("five lines of the access log", logged).await;
}

#[tokio::test]
async fn an_instance_that_speaks_hbone_is_reached_by_it_as_the_waypoint() {
    let world = World::start("").await;
    let instance = Instance::start(&world).await;
    world.write(&format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: far, namespace: shop}}
spec: {{clusterIP: 10.96.0.5, selector: {{app: far}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: far, namespace: shop, labels: {{app: far}}, annotations: {{ambient.istio.io/redirection: enabled}}}}
spec: {{serviceAccountName: far}}
status: {{podIP: {}}}
",
        world.fourth()
    ));
    let far = "10.96.0.5".parse().unwrap();
    let known = async || world.client.tunnel("10.96.0.5:80").await.is_ok();
    world.until("the service to be known", known).await;
    for _ in 0..5 {
        let answer = world.client.get(far, "/far").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.starts_with("far /far"), "{answer:?}");
    }
    assert_eq!(instance.application.requests(), 5);
    let (peer, authority, source, forwarded) = instance.first.lock().unwrap().clone().unwrap();
    assert_eq!(peer, "spiffe://cluster.local/ns/shop/sa/wp");
    assert_eq!(authority, format!("{}:8080", world.fourth()));
    assert_eq!(source, "waypoint");
    assert!(
        forwarded.contains("host=far.shop.svc.cluster.local"),
        "{forwarded}"
    );
}
