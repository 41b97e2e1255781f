//! What rules change of requests and responses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use mesh_core::lb::{Algorithm, TableSize};
use mesh_l7::body::Body;
use mesh_l7::downstream::Downstream;
use mesh_l7::filter::{
    Abort, Cors, Credentials, Fault, HeaderEdits, Origins, PathChange, Percent, Redirect,
    RedirectPort, Rewrite, Unmatched,
};
use mesh_l7::matching::{PathMatch, RequestMatch};
use mesh_l7::route::{Action, Backends, HashCookie, HashInput, Rule};
use mesh_l7::router::OriginalTarget;

use crate::harness::{Client, Mesh, answer, ask, forward, get, grpc, millis, to, web};

fn below(path: &str) -> RequestMatch {
    RequestMatch {
        path: PathMatch::Below(path.into()),
        ..RequestMatch::default()
    }
}

fn edits(name: &'static str, value: &'static str) -> HeaderEdits {
    HeaderEdits {
        set: vec![(name.parse().unwrap(), value.parse().unwrap())],
        ..HeaderEdits::default()
    }
}

fn ok() -> Client {
    Client::new(|_, _| async { answer(200) })
}

fn request(uri: &str) -> Request<Body> {
    Request::get(uri)
        .header("host", "web:8080")
        .body(Body::empty())
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_rewritten_request_says_what_it_was_before() {
    let mut rule = forward();
    rule.matches.push(below("/old"));
    rule.rewrite = Some(Box::new(Rewrite {
        path: Some(PathChange::Below("/new".into())),
        host: Some("other".into()),
    }));
    for original in [OriginalTarget::Sent, OriginalTarget::Omitted] {
        let mut mesh = Mesh::new(rule.clone());
        mesh.router.original = original;
        let client = ok();
        ask(mesh.router(&client), request("/old/a?q=1")).await;
        let seen = client.seen.lock().unwrap();
        assert_eq!(seen[0].uri, "/new/a?q=1");
        assert_eq!(seen[0].headers["host"], "other");
        let before = |name: &str| {
            seen[0]
                .headers
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        let sent = original == OriginalTarget::Sent;
        assert_eq!(
            before("x-envoy-original-path"),
            sent.then_some("/old/a?q=1")
        );
        assert_eq!(before("x-envoy-original-host"), sent.then_some("web:8080"));
    }
}

/// A rewrite must not make a path that policies would not have seen.
#[tokio::test(start_paused = true)]
async fn a_rewritten_path_is_normalised() {
    let mut rule = forward();
    rule.matches.push(below("/old"));
    rule.rewrite = Some(Box::new(Rewrite {
        path: Some(PathChange::Prefix("/public/..".into())),
        host: None,
    }));
    let client = ok();
    ask(Mesh::new(rule).router(&client), request("/old/admin")).await;
    assert_eq!(client.seen.lock().unwrap()[0].uri, "/admin");
}

#[tokio::test(start_paused = true)]
async fn a_rewrite_that_makes_no_target_is_a_server_error() {
    let mut rule = forward();
    rule.rewrite = Some(Box::new(Rewrite {
        path: Some(PathChange::Full("no slash".into())),
        host: None,
    }));
    let client = ok();
    let (response, entry) = ask(Mesh::new(rule).router(&client), get()).await;
    assert_eq!(response.status(), 500);
    assert_eq!(entry.detail, "invalid_rewrite");
    assert_eq!(client.attempts(), 0);
}

#[tokio::test(start_paused = true)]
async fn headers_are_edited_by_the_rule_and_then_the_backend_and_back() {
    let mut backend = to("web");
    backend.request_headers = edits("x-a", "backend");
    backend.response_headers = edits("x-b", "backend");
    let mut rule = Rule::new("rule", Action::Forward(Backends::new([backend])));
    rule.request_headers = edits("x-a", "rule");
    rule.response_headers = edits("x-b", "rule");
    let client = ok();
    let (response, _) = ask(Mesh::new(rule).router(&client), get()).await;
    assert_eq!(client.seen.lock().unwrap()[0].headers["x-a"], "backend");
    assert_eq!(response.headers()["x-b"], "rule");
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_answered_here() {
    let redirect = Redirect {
        status: StatusCode::MOVED_PERMANENTLY,
        scheme: Some("https".into()),
        host: None,
        port: RedirectPort::Derived,
        path: None,
    };
    let client = ok();
    let rule = Rule::new("rule", Action::Redirect(Box::new(redirect)));
    let (response, entry) = ask(Mesh::new(rule).router(&client), request("/a?b")).await;
    assert_eq!(response.status(), 301);
    assert_eq!(response.headers()["location"], "https://web/a?b");
    assert_eq!(entry.detail, "direct_response");
    assert_eq!(client.attempts(), 0);
}

fn cors() -> Cors {
    Cors {
        origins: vec![Origins::Text(mesh_l7::matching::TextMatch::Exact(
            "https://a".into(),
        ))],
        methods: vec!["PUT".into()],
        headers: Vec::new(),
        expose: Vec::new(),
        credentials: Credentials::Omitted,
        max_age: None,
        unmatched: Unmatched::Ignore,
    }
}

fn question(origin: &str) -> Request<Body> {
    Request::options("/")
        .header("host", "web")
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .body(Body::empty())
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn questions_of_browsers_are_answered_before_faults() {
    let mut rule = forward();
    rule.cors = Some(Box::new(cors()));
    rule.fault = Some(Box::new(Fault {
        delay: None,
        abort: Some(Abort {
            status: StatusCode::IM_A_TEAPOT,
            grpc: None,
            share: Percent::ALL,
        }),
    }));
    let client = ok();
    let router = Mesh::new(rule).router(&client);
    let (response, entry) = ask(router.clone(), question("https://a")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://a"
    );
    assert_eq!(
        (entry.detail, entry.flags.to_string().as_str()),
        ("cors_response", "-")
    );
    let (response, _) = ask(router.clone(), question("https://b")).await;
    assert_eq!(response.status(), 204);
    assert!(
        !response
            .headers()
            .contains_key("access-control-allow-origin")
    );
    // A page may read why its request failed.
    let mut actual = get();
    actual
        .headers_mut()
        .insert("origin", "https://a".parse().unwrap());
    let (response, _) = ask(router, actual).await;
    assert_eq!(response.status(), 418);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://a"
    );
    assert_eq!(client.attempts(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_pages_may_do_replaces_what_the_upstream_says() {
    let mut rule = forward();
    rule.cors = Some(Box::new(cors()));
    let client = Client::new(|_, _| async {
        let response = Response::builder()
            .header("access-control-allow-origin", "*")
            .header("vary", "accept");
        Ok(response.body(Body::empty()).unwrap())
    });
    let mut actual = get();
    actual
        .headers_mut()
        .insert("origin", "https://a".parse().unwrap());
    let (response, _) = ask(Mesh::new(rule).router(&client), actual).await;
    let values = |name| {
        let values = response.headers().get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(values("access-control-allow-origin"), ["https://a"]);
    assert_eq!(values("vary"), ["accept", "Origin"]);
}

#[tokio::test(start_paused = true)]
async fn an_abort_by_grpc_status_is_told_in_both_forms() {
    let mut rule = forward();
    rule.fault = Some(Box::new(Fault {
        delay: None,
        abort: Some(Abort {
            status: StatusCode::OK,
            grpc: Some(8),
            share: Percent::ALL,
        }),
    }));
    let client = ok();
    let router = Mesh::new(rule).router(&client);
    let (response, entry) = ask(router.clone(), grpc()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "8");
    assert_eq!(response.headers()["grpc-message"], "fault filter abort");
    assert_eq!(entry.flags.to_string(), "FI");
    let (response, _) = ask(router, get()).await;
    assert_eq!(response.status(), 429, "RESOURCE_EXHAUSTED");
}

/// 20 percent by weight, drawn for each request by itself.
#[tokio::test(start_paused = true)]
async fn requests_are_split_by_weight() {
    let mut canary = to("canary");
    canary.weight = 20;
    let mut stable = to("web");
    stable.weight = 80;
    let rule = Rule::new("rule", Action::Forward(Backends::new([stable, canary])));
    let client = ok();
    let mesh = Mesh::new(rule);
    let router = mesh.router(&client);
    let mut statuses = BTreeMap::new();
    for _ in 0..2_000 {
        let (response, _) = ask(router.clone(), get()).await;
        *statuses.entry(response.status().as_u16()).or_insert(0) += 1;
    }
    // There is no upstream for the canary: each of its requests is a 503.
    let canary = statuses[&503];
    assert!(
        (320..=480).contains(&canary),
        "{canary}: six standard deviations around 400"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_value_go_to_one_host() {
    let mut mesh = Mesh::new(forward());
    mesh.hosts = 9;
    mesh.settings.balancing.algorithm = Algorithm::Maglev(TableSize::default());
    mesh.settings.hashing.inputs = vec![HashInput::Header("x-user".parse().unwrap())];
    let client = ok();
    let router = mesh.router(&client);
    for user in ["a", "b", "c", "d", "e"] {
        for _ in 0..5 {
            let mut request = get();
            request
                .headers_mut()
                .insert("x-user", user.parse().unwrap());
            ask(router.clone(), request).await;
        }
    }
    let seen = client.seen.lock().unwrap();
    let mut hosts: Vec<_> = seen.iter().map(|seen| seen.host.clone()).collect();
    for five in hosts.chunks(5) {
        assert!(five.iter().all(|host| *host == five[0]));
    }
    hosts.sort();
    hosts.dedup();
    assert!(hosts.len() > 1, "not all on one");
}

#[tokio::test(start_paused = true)]
async fn a_cookie_that_is_made_leads_back_to_its_host() {
    let mut rule = forward();
    rule.hash = vec![HashInput::Cookie(HashCookie {
        name: "session".into(),
        path: Some("/".into()),
        lifetime: Some(millis(60_000)),
    })];
    let mut mesh = Mesh::new(rule);
    mesh.hosts = 9;
    mesh.settings.balancing.algorithm = Algorithm::Maglev(TableSize::default());
    let client = ok();
    let router = mesh.router(&client);
    for _ in 0..10 {
        let (response, _) = ask(router.clone(), get()).await;
        let cookie = response.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            cookie.ends_with("; Max-Age=60; Path=/; HttpOnly"),
            "{cookie}"
        );
        let mut again = get();
        let pair = cookie.split(';').next().unwrap();
        again.headers_mut().insert("cookie", pair.parse().unwrap());
        let (response, _) = ask(router.clone(), again).await;
        assert!(!response.headers().contains_key("set-cookie"));
        let seen = client.seen.lock().unwrap();
        let [.., first, second] = &seen[..] else {
            panic!()
        };
        assert_eq!(first.host, second.host);
    }
}

#[tokio::test(start_paused = true)]
async fn the_service_of_the_connection_comes_before_the_routers_own() {
    let client = ok();
    let address: SocketAddr = "10.0.0.9:80".parse().unwrap();
    let mut other = web();
    other.hostname = "other".into();
    let downstream = Downstream::new(address, address).with_service(other);
    let mut request = get();
    request.extensions_mut().insert(Arc::new(downstream));
    let (response, entry) = ask(Mesh::new(forward()).router(&client), request).await;
    // A service without routes has one that forwards to it, and there is no such upstream.
    assert_eq!(response.status(), 503);
    assert_eq!(entry.target.unwrap().hostname, "other");
}
