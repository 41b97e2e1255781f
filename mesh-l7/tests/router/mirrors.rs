//! Copies of requests.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request};
use mesh_l7::attempt::AttemptError;
use mesh_l7::body::{Body, BodyError};
use mesh_l7::filter::{Mirror, Percent};
use mesh_l7::matching::{RequestMatch, TextMatch};
use mesh_l7::route::{RetryOn, RetryPolicy, Rule};
use mesh_l7::target::ServiceTarget;

use crate::harness::{Client, Drip, Mesh, answer, ask, bytes, collect, forward, get, io, web};

fn mirrored(share: Percent) -> Rule {
    let mut rule = forward();
    rule.mirrors = vec![Mirror {
        target: ServiceTarget {
            hostname: "web".into(),
            ..web()
        },
        share,
    }];
    rule
}

type Copies = Arc<Mutex<Vec<(HeaderMap, Result<Bytes, BodyError>)>>>;

/// Answers requests, and keeps the copies. Requests are read as `read` says.
fn keeping(read: bool) -> (Client, Copies) {
    let copies = Copies::default();
    let keep = copies.clone();
    let client = Client::new(move |_, request: Request<Body>| {
        let keep = keep.clone();
        async move {
            let (head, body) = request.into_parts();
            if head.headers.contains_key("x-envoy-internal") {
                let body = bytes(body).await;
                keep.lock().unwrap().push((head.headers, body));
            } else if read {
                collect(body).await.unwrap();
            }
            answer(200)
        }
    });
    (client, copies)
}

async fn settle() {
    for _ in 0..20 {
        tokio::time::sleep(crate::harness::millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_has_the_whole_body_and_a_host_of_its_own() {
    let (client, copies) = keeping(true);
    let body = Body::new(Drip::new([0, 5, 5]));
    let request = Request::post("/")
        .header("host", "svc.ns:8080")
        .body(body)
        .unwrap();
    let mut mesh = Mesh::new(mirrored(Percent::ALL));
    mesh.router.address = Some("10.9.9.9".parse().unwrap());
    let router = mesh.router(&client);
    let (response, _) = ask(router.clone(), request).await;
    assert_eq!(response.status(), 200);
    settle().await;
    let copies = copies.lock().unwrap();
    let (headers, body) = &copies[0];
    assert_eq!(headers["host"], "svc.ns-shadow:8080");
    assert_eq!(headers["x-forwarded-for"], "10.9.9.9");
    assert_eq!(body.as_ref().unwrap(), "...");
    assert_eq!(router.counters().mirrors_sent.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn retries_are_not_copied_again() {
    let mut rule = mirrored(Percent::ALL);
    rule.retry = Some(RetryPolicy {
        retries: 3,
        on: RetryOn::RESET,
        ..RetryPolicy::default()
    });
    let copies = Arc::new(Mutex::new(Vec::new()));
    let keep = copies.clone();
    let client = Client::new(move |_, request: Request<Body>| {
        let keep = keep.clone();
        async move {
            let (head, body) = request.into_parts();
            let read = bytes(body).await;
            match head.headers.contains_key("x-envoy-internal") {
                true => {
                    keep.lock().unwrap().push(read.unwrap());
                    answer(200)
                }
                false => Err(AttemptError::Reset(io("eof"))),
            }
        }
    });
    let request = Request::post("/")
        .header("host", "web")
        .body("body".into())
        .unwrap();
    ask(Mesh::new(rule).router(&client), request).await;
    settle().await;
    assert_eq!(*copies.lock().unwrap(), ["body"]);
    assert_eq!(client.attempts(), 5, "four attempts and one copy");
}

/// 500 of 2,000, each drawn by itself.
#[tokio::test(start_paused = true)]
async fn a_share_of_requests_is_copied() {
    let (client, copies) = keeping(true);
    let quarter = Percent::of(25.0).unwrap();
    let router = Mesh::new(mirrored(quarter)).router(&client);
    for _ in 0..2_000 {
        ask(router.clone(), get()).await;
    }
    settle().await;
    let copied = copies.lock().unwrap().len();
    assert!(
        (380..=620).contains(&copied),
        "{copied}: six standard deviations around 500"
    );
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_falls_behind_is_given_up_and_the_request_is_not() {
    let failed = Arc::new(Mutex::new(0));
    let fails = failed.clone();
    let client = Client::new(move |_, request: Request<Body>| {
        let fails = fails.clone();
        async move {
            let (head, body) = request.into_parts();
            if head.headers.contains_key("x-envoy-internal") {
                tokio::time::sleep(crate::harness::millis(200)).await;
                assert!(bytes(body).await.is_err());
                *fails.lock().unwrap() += 1;
                return Err(AttemptError::Request(io("broken")));
            }
            assert_eq!(bytes(body).await.unwrap(), "......");
            answer(200)
        }
    });
    let mut mesh = Mesh::new(mirrored(Percent::ALL));
    mesh.router.mirror_buffer = 3;
    let router = mesh.router(&client);
    let body = Body::new(Drip::new([0; 6]));
    let request = Request::post("/").header("host", "web").body(body).unwrap();
    let (response, _) = ask(router.clone(), request).await;
    assert_eq!(response.status(), 200);
    settle().await;
    assert_eq!(*failed.lock().unwrap(), 1);
    assert_eq!(router.counters().mirrors_failed.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn copies_at_once_are_bounded() {
    let client = Client::new(|_, request: Request<Body>| async move {
        if request.headers().contains_key("x-envoy-internal") {
            std::future::pending::<()>().await;
        }
        answer(200)
    });
    let mut mesh = Mesh::new(mirrored(Percent::ALL));
    mesh.router.mirrors = 2;
    let router = mesh.router(&client);
    for _ in 0..5 {
        ask(router.clone(), get()).await;
    }
    assert_eq!(router.counters().mirrors_refused.load(Ordering::Relaxed), 3);
    // A copy that is not answered ends after 15 s.
    tokio::time::sleep(crate::harness::millis(15_100)).await;
    assert_eq!(router.counters().mirrors_failed.load(Ordering::Relaxed), 2);
    ask(router.clone(), get()).await;
    assert_eq!(router.counters().mirrors_refused.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn streams_that_go_both_ways_are_not_copied() {
    let (client, copies) = keeping(true);
    let mut upgrade = get();
    upgrade
        .headers_mut()
        .insert("upgrade", "websocket".parse().unwrap());
    let connect = Request::connect("web:80").body(Body::empty()).unwrap();
    let asks_for = |method: &str| RequestMatch {
        method: Some(TextMatch::Exact(method.into())),
        ..RequestMatch::default()
    };
    let rule = Rule {
        matches: [asks_for("GET"), asks_for("CONNECT")].into_iter().collect(),
        ..mirrored(Percent::ALL)
    };
    let router = Mesh::new(rule).router(&client);
    for request in [upgrade, connect] {
        ask(router.clone(), request).await;
    }
    settle().await;
    assert!(copies.lock().unwrap().is_empty());
    assert_eq!(client.attempts(), 2);
}
