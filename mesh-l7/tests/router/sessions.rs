//! Clients that stay with the host that answered first.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderName, Request, Response};
use mesh_core::clock::WallClock;
use mesh_core::lb::{Algorithm, Event, Health, HostSpec, OutlierDetection, SmallFleet};
use mesh_l7::body::Body;
use mesh_l7::route::{
    Action, Backends, RetryOn, RetryPolicy, Rule, SessionCarrier, SessionPersistence,
};
use mesh_l7::router::SessionKey;
use mesh_l7::upstream::Upstream;
use parking_lot::Mutex;

use crate::harness::{Client, Mesh, answer, ask, forward, get, to};

fn cookie(permanent: bool, lifetime: Option<u64>) -> SessionPersistence {
    SessionPersistence {
        carrier: SessionCarrier::Cookie {
            name: "s".into(),
            path: "/shop".into(),
            permanent,
        },
        lifetime: lifetime.map(Duration::from_secs),
    }
}

fn mesh(session: SessionPersistence) -> Mesh {
    let mut rule = forward();
    rule.session = Some(Box::new(session));
    let mut mesh = Mesh::new(rule);
    mesh.settings.balancing.algorithm = Algorithm::RoundRobin;
    mesh
}

fn good() -> Client {
    Client::new(|_, _| std::future::ready(answer(200)))
}

fn last(client: &Client) -> String {
    client.seen.lock().unwrap().last().unwrap().host.clone()
}

fn set(response: &Response<Body>) -> Option<String> {
    let value = response.headers().get(SET_COOKIE)?;
    Some(value.to_str().unwrap().to_owned())
}

/// The pair that a browser sends back.
fn pair(set: &str) -> String {
    set.split(';').next().unwrap().to_owned()
}

fn with(cookie: &str) -> Request<Body> {
    let mut request = get();
    let value = format!("a=b; {cookie}").parse().unwrap();
    request.headers_mut().insert(COOKIE, value);
    request
}

#[derive(Debug)]
struct Clock(Mutex<SystemTime>);

impl WallClock for Clock {
    fn now(&self) -> SystemTime {
        *self.0.lock()
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_stays_with_its_host_and_others_are_spread() {
    let (mesh, client) = (mesh(cookie(false, None)), good());
    let router = mesh.router(&client);
    let mut hosts = BTreeSet::new();
    for _ in 0..3 {
        let (first, _) = ask(router.clone(), get()).await;
        let token = set(&first).unwrap();
        assert!(token.ends_with("; Path=/shop; HttpOnly"), "{token}");
        assert!(!token.contains("10.0.0"), "{token}");
        let host = last(&client);
        for _ in 0..5 {
            let (again, _) = ask(router.clone(), with(&pair(&token))).await;
            assert_eq!(last(&client), host);
            assert_eq!(set(&again), None);
        }
        hosts.insert(host);
    }
    assert_eq!(hosts.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_header_carries_a_session_as_well() {
    let name = HeaderName::from_static("x-session");
    let persistence = SessionPersistence {
        carrier: SessionCarrier::Header(name.clone()),
        lifetime: None,
    };
    let (mesh, client) = (mesh(persistence), good());
    let router = mesh.router(&client);
    let (first, _) = ask(router.clone(), get()).await;
    let host = last(&client);
    for _ in 0..5 {
        let mut request = get();
        let token = first.headers()[&name].clone();
        request.headers_mut().insert(&name, token);
        let (again, _) = ask(router.clone(), request).await;
        assert_eq!(last(&client), host);
        assert!(!again.headers().contains_key(&name));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_its_time_is_over() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let clock = Arc::new(Clock(Mutex::new(start)));
    let (mut mesh, client) = (mesh(cookie(true, Some(60))), good());
    mesh.router.clock = clock.clone();
    let router = mesh.router(&client);
    let (first, _) = ask(router.clone(), get()).await;
    let token = set(&first).unwrap();
    assert!(token.contains("; Max-Age=60; "), "{token}");
    let host = last(&client);
    *clock.0.lock() = start + Duration::from_secs(59);
    let (_, _) = ask(router.clone(), with(&pair(&token))).await;
    assert_eq!(last(&client), host);
    *clock.0.lock() = start + Duration::from_secs(60);
    let (late, _) = ask(router.clone(), with(&pair(&token))).await;
    assert_ne!(last(&client), host, "round robin has gone on");
    let fresh = set(&late).unwrap();
    assert_ne!(pair(&fresh), pair(&token));
}

/// Of a session cookie the time is in the token, and a client cannot make it longer.
#[tokio::test(start_paused = true)]
async fn a_token_that_was_changed_or_made_elsewhere_counts_as_none() {
    let (mut mesh, client) = (mesh(cookie(false, Some(60))), good());
    mesh.router.session_key = SessionKey::new([1; 16]);
    let router = mesh.router(&client);
    let (first, _) = ask(router.clone(), get()).await;
    let token = set(&first).unwrap();
    assert!(!token.contains("Max-Age"), "{token}");
    let pair = pair(&token);
    let (end, digest) = pair["s=".len()..].split_once('-').unwrap();
    let longer = u64::from_str_radix(end, 16).unwrap() + 1;
    let mut elsewhere = Mesh::new(mesh.rule.clone());
    elsewhere.router.session_key = SessionKey::new([2; 16]);
    let (foreign, _) = ask(elsewhere.router(&good()), get()).await;
    for changed in [
        format!("s={longer:x}-{digest}"),
        format!("s={end}-{:016x}", 5),
        "s=10.0.0.1:80".to_owned(),
        set(&foreign).unwrap().split(';').next().unwrap().to_owned(),
    ] {
        let (response, _) = ask(router.clone(), with(&changed)).await;
        assert_eq!(response.status(), 200, "{changed}");
        assert!(set(&response).is_some(), "{changed}");
    }
}

/// Where a host went: gone, unhealthy or taken out is over; about to go is not.
#[tokio::test(start_paused = true)]
async fn a_session_moves_when_its_host_may_not_be_used() {
    for (case, health, stays) in [
        ("gone", None, false),
        ("unhealthy", Some(Health::Unhealthy), false),
        ("about to go", Some(Health::Draining), true),
        ("degraded", Some(Health::Degraded), true),
    ] {
        let (mesh, client) = (mesh(cookie(false, None)), good());
        let upstream = mesh.upstream();
        let router = mesh.router_over(std::slice::from_ref(&upstream), &client);
        let (first, _) = ask(router.clone(), get()).await;
        let (token, host) = (pair(&set(&first).unwrap()), last(&client));
        let specs = (1..=3).map(|n| HostSpec::new(format!("10.0.0.{n}:80"), ()));
        let specs = specs.filter_map(|mut spec| {
            if spec.key.as_str() == host {
                spec.health = health?;
            }
            Some(spec)
        });
        let now = tokio::time::Instant::now().into_std();
        upstream.cluster.update(specs.collect(), now);
        for _ in 0..3 {
            let (again, _) = ask(router.clone(), with(&token)).await;
            assert_eq!(last(&client) == host, stays, "{case}");
            assert_eq!(set(&again).is_none(), stays, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_leaves_a_host_that_is_taken_out() {
    let (mut mesh, client) = (mesh(cookie(false, None)), good());
    let mut outlier = OutlierDetection::default();
    outlier.consecutive_5xx = Some(1);
    outlier.small_fleet = SmallFleet::One;
    mesh.settings.balancing.outlier = Some(outlier);
    let upstream: Arc<Upstream<()>> = mesh.upstream();
    let router = mesh.router_over(std::slice::from_ref(&upstream), &client);
    let (first, _) = ask(router.clone(), get()).await;
    let (token, host) = (pair(&set(&first).unwrap()), last(&client));
    let hosts = upstream.cluster.hosts();
    let ill = hosts
        .hosts()
        .iter()
        .find(|one| one.spec().key.as_str() == host);
    let now = tokio::time::Instant::now().into_std();
    upstream
        .cluster
        .report(ill.unwrap(), Event::Error, now, &mut || 0)
        .unwrap();
    let (moved, _) = ask(router.clone(), with(&token)).await;
    assert_ne!(last(&client), host);
    assert!(set(&moved).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_tried_again_takes_its_session_along() {
    let mut mesh = mesh(cookie(false, None));
    mesh.rule.retry = Some(RetryPolicy {
        retries: 2,
        on: RetryOn::parse("5xx").unwrap(),
        ..RetryPolicy::default()
    });
    let client =
        Client::new(|attempt, _| std::future::ready(answer(if attempt == 2 { 503 } else { 200 })));
    let router = mesh.router(&client);
    let (first, _) = ask(router.clone(), get()).await;
    let (token, host) = (pair(&set(&first).unwrap()), last(&client));
    let (second, _) = ask(router.clone(), with(&token)).await;
    assert_eq!(second.status(), 200);
    let seen: Vec<_> = client
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|s| s.host.clone())
        .collect();
    assert_eq!((seen.len(), &seen[1]), (3, &host));
    let fresh = pair(&set(&second).unwrap());
    let (_, _) = ask(router.clone(), with(&fresh)).await;
    assert_eq!(last(&client), seen[2]);
}

/// Of a rule with several backends a session stays with its own, until that has no share any more.
#[tokio::test(start_paused = true)]
async fn a_session_stays_with_its_backend() {
    let split = |shares: [u32; 2]| {
        let mut backends = [to("web"), to("canary")];
        for (backend, weight) in backends.iter_mut().zip(shares) {
            backend.weight = weight;
        }
        let mut rule = Rule::new("split", Action::Forward(Backends::new(backends)));
        rule.session = Some(Box::new(cookie(false, None)));
        Mesh::new(rule)
    };
    let stable = split([1, 0]).upstream();
    let now = tokio::time::Instant::now().into_std();
    let mut target = stable.target.clone();
    target.hostname = "canary".into();
    let hosts = vec![HostSpec::new("10.0.1.1:80", ())];
    let settings = stable.settings.clone();
    let canary = Arc::new(Upstream::new(target, settings, stable.protocol, hosts, now));
    let upstreams = [stable, canary];
    let client = good();
    let (first, _) = ask(split([0, 1]).router_over(&upstreams, &client), get()).await;
    let token = pair(&set(&first).unwrap());
    assert_eq!(last(&client), "10.0.1.1:80");
    let mostly = split([999_999, 1]).router_over(&upstreams, &client);
    for _ in 0..10 {
        let (_, _) = ask(mostly.clone(), with(&token)).await;
        assert_eq!(last(&client), "10.0.1.1:80");
    }
    let back = split([1, 0]).router_over(&upstreams, &client);
    let (moved, _) = ask(back, with(&token)).await;
    assert_ne!(last(&client), "10.0.1.1:80");
    assert!(set(&moved).is_some());
}
