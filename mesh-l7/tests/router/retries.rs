//! What is tried again, where, when, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Response, StatusCode};
use mesh_core::lb::{Algorithm, OutlierDetection, SmallFleet};
use mesh_core::limits::{Backoff, RetryBudget};
use mesh_l7::attempt::AttemptError;
use mesh_l7::body::Body;
use mesh_l7::route::{RetryOn, RetryPolicy, Rule, Timeouts};
use mesh_l7::router::Chance;

use crate::harness::{Answer, Client, Mesh, answer, ask, forward, get, grpc, io, millis};

fn retrying(policy: RetryPolicy) -> Rule {
    let mut rule = forward();
    rule.retry = Some(policy);
    rule
}

fn on(tokens: &[&str], retries: u32) -> RetryPolicy {
    let parse = |token: &&str| RetryOn::parse(token).unwrap();
    RetryPolicy {
        retries,
        on: tokens.iter().map(parse).fold(RetryOn::NONE, RetryOn::and),
        statuses: vec![StatusCode::IM_A_TEAPOT],
        ..RetryPolicy::default()
    }
}

/// Fails so often as `fail` says, then answers 200.
fn failing(failures: u32, fail: impl Fn() -> Answer + Send + Sync + 'static) -> Client {
    Client::new(move |attempt, _| {
        let now = if attempt <= failures {
            fail()
        } else {
            answer(200)
        };
        std::future::ready(now)
    })
}

/// Conditions of Envoy's `retry_on` and `retry_grpc_on`, one failure each.
#[tokio::test(start_paused = true)]
async fn each_condition_has_its_failures_tried_again() {
    type Fail = fn() -> Answer;
    let header = |name: &'static str, value: &'static str| {
        Response::builder().header(name, value).body(Body::empty())
    };
    let trailers_only: Fail = || {
        let response = Response::builder().header("grpc-status", "14");
        Ok(response.body(Body::empty()).unwrap())
    };
    assert!(header("x", "y").is_ok());
    let cases: [(&str, &str, Fail, bool); 17] = [
        ("500", "5xx", || answer(500), true),
        ("404", "5xx", || answer(404), false),
        ("500", "gateway-error", || answer(500), false),
        ("503", "gateway-error", || answer(503), true),
        (
            "reset",
            "gateway-error",
            || Err(AttemptError::Reset(io("eof"))),
            true,
        ),
        (
            "reset",
            "reset",
            || Err(AttemptError::Reset(io("eof"))),
            true,
        ),
        (
            "reset",
            "connect-failure",
            || Err(AttemptError::Reset(io("eof"))),
            false,
        ),
        (
            "connect",
            "connect-failure",
            || Err(AttemptError::Connect(io("no"))),
            true,
        ),
        (
            "connect timeout",
            "connect-failure",
            || Err(AttemptError::ConnectTimeout),
            true,
        ),
        (
            "refused",
            "refused-stream",
            || Err(AttemptError::Refused(io("no"))),
            true,
        ),
        (
            "before",
            "reset-before-request",
            || Err(AttemptError::BeforeRequest(io("no"))),
            true,
        ),
        ("409", "retriable-4xx", || answer(409), true),
        ("listed", "retriable-status-codes", || answer(418), true),
        ("trailers only", "unavailable", trailers_only, true),
        ("overflow", "5xx", || Err(AttemptError::Overflow), false),
        (
            "client gone",
            "5xx",
            || Err(AttemptError::Request(io("gone"))),
            false,
        ),
        (
            "protocol",
            "5xx",
            || Err(AttemptError::Protocol(io("bad"))),
            false,
        ),
    ];
    for (name, token, fail, retried) in cases {
        let client = failing(1, fail);
        let mesh = Mesh::new(retrying(on(&[token], 1)));
        let (_, entry) = ask(mesh.router(&client), get()).await;
        let attempts = if retried { 2 } else { 1 };
        assert_eq!(client.attempts(), attempts, "{name}, {token}");
        assert_eq!(entry.retries, u32::from(retried), "{name}, {token}");
        assert_eq!(
            entry.attempts,
            u32::try_from(attempts).unwrap(),
            "{name}, {token}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_passed_on_when_tries_are_used_up() {
    let client = failing(9, || answer(503));
    let mesh = Mesh::new(retrying(on(&["5xx"], 2)));
    let (response, entry) = ask(mesh.router(&client), get()).await;
    assert_eq!(response.status(), 503);
    assert_eq!(entry.flags.to_string(), "URX");
    assert_eq!(entry.detail, "via_upstream");
    assert_eq!(entry.not_retried, Some("retries_exhausted"));
    let counts: Vec<_> = client
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|seen| {
            seen.headers["x-envoy-attempt-count"]
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(counts, ["1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn hosts_that_were_tried_are_avoided() {
    for _ in 0..20 {
        let client = failing(2, || answer(503));
        let mesh = Mesh::new(retrying(on(&["5xx"], 2)));
        let mut policy = on(&["5xx"], 2);
        policy.hosts.reselections = 50;
        let mesh = Mesh {
            rule: retrying(policy),
            ..mesh
        };
        ask(mesh.router(&client), get()).await;
        let seen = client.seen.lock().unwrap();
        let mut hosts: Vec<_> = seen.iter().map(|seen| &seen.host).collect();
        hosts.sort();
        hosts.dedup();
        assert_eq!(hosts.len(), 3, "{hosts:?}");
    }
}

/// Cumulative bounds as measured with Envoy 1.40: 25, 75, 175, 375 ms.
#[tokio::test(start_paused = true)]
async fn pauses_stay_within_the_bounds_of_the_back_off() {
    for (number, bounds) in [(u64::MAX, [25, 75, 175, 375]), (0, [0, 0, 0, 0])] {
        let client = failing(9, || answer(503));
        let mut mesh = Mesh::new(retrying(on(&["5xx"], 4)));
        mesh.router.chance = Chance::of(move || number);
        ask(mesh.router(&client), get()).await;
        let seen = client.seen.lock().unwrap();
        let times: Vec<_> = seen
            .iter()
            .skip(1)
            .map(|next| next.at - seen[0].at)
            .collect();
        // The timer's grain is a millisecond.
        for (time, bound) in times.iter().zip(bounds) {
            assert!(*time <= millis(bound + 4), "{times:?}");
            assert!(*time + millis(4) >= millis(bound), "{times:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_back_off_of_the_gateway_api_is_a_lower_bound() {
    let client = failing(1, || answer(503));
    let policy = RetryPolicy {
        backoff: Backoff::default().at_least(millis(300)),
        ..on(&["5xx"], 1)
    };
    ask(Mesh::new(retrying(policy)).router(&client), get()).await;
    let seen = client.seen.lock().unwrap();
    let pause = seen[1].at - seen[0].at;
    assert!(pause >= millis(300) && pause <= millis(326), "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_asks_to_wait_is_not_asked_sooner() {
    let asks = || {
        let response = Response::builder().status(503).header("retry-after", "2");
        Ok(response.body(Body::empty()).unwrap())
    };
    let cases = [
        (Some(millis(5_000)), 2_000, 3_001),
        (Some(millis(1_000)), 0, 26),
        (None, 0, 26),
    ];
    for (most, least, longest) in cases {
        let client = failing(1, asks);
        let policy = RetryPolicy {
            retry_after: most,
            ..on(&["5xx"], 1)
        };
        ask(Mesh::new(retrying(policy)).router(&client), get()).await;
        let seen = client.seen.lock().unwrap();
        let pause = seen[1].at - seen[0].at;
        assert!(
            pause >= millis(least) && pause <= millis(longest),
            "{most:?}: {pause:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_would_overrun_the_time_limit_is_not_begun() {
    let client = failing(9, || answer(503));
    let policy = RetryPolicy {
        backoff: Backoff::default().at_least(millis(600)),
        ..on(&["5xx"], 9)
    };
    let mut rule = retrying(policy);
    rule.timeouts = Timeouts {
        request: Some(millis(1_000)),
        ..Timeouts::default()
    };
    let start = tokio::time::Instant::now();
    let (response, entry) = ask(Mesh::new(rule).router(&client), get()).await;
    assert_eq!(response.status(), 503, "the last answer, not 504");
    assert_eq!(client.attempts(), 2);
    assert_eq!(entry.not_retried, Some("no_time_left"));
    assert!(start.elapsed() < millis(1_000));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_retries_is_told_as_overflow() {
    let client = failing(9, || answer(503));
    let mut mesh = Mesh::new(retrying(on(&["5xx"], 2)));
    mesh.breaker.retries = 0;
    let (response, entry) = ask(mesh.router(&client), get()).await;
    assert_eq!((response.status().as_u16(), client.attempts()), (503, 1));
    assert_eq!(entry.flags.to_string(), "UO");
    assert_eq!(entry.not_retried, Some("retry_overflow"));
}

#[tokio::test(start_paused = true)]
async fn retries_in_flight_never_exceed_the_budget() {
    let retrying_now = Arc::new(AtomicU32::new(0));
    let most = Arc::new(AtomicU32::new(0));
    let (now, peak) = (retrying_now.clone(), most.clone());
    let client = Client::new(move |_, request| {
        let retry = request.headers()["x-envoy-attempt-count"] != "1";
        let (now, peak) = (now.clone(), peak.clone());
        async move {
            if retry {
                let there = now.fetch_add(1, Ordering::Relaxed) + 1;
                peak.fetch_max(there, Ordering::Relaxed);
            }
            tokio::time::sleep(millis(20)).await;
            if retry {
                now.fetch_sub(1, Ordering::Relaxed);
            }
            answer(503)
        }
    });
    let mut mesh = Mesh::new(retrying(on(&["5xx"], 3)));
    mesh.breaker.budget = Some(RetryBudget {
        percent: 20.0,
        min_concurrency: 3,
    });
    let upstream = mesh.upstream();
    let router = mesh.router_over(std::slice::from_ref(&upstream), &client);
    let requests = (0..50).map(|_| tokio::spawn(ask(router.clone(), get())));
    let requests: Vec<_> = requests.collect();
    for request in requests {
        request.await.unwrap();
    }
    let most = most.load(Ordering::Relaxed);
    assert!((3..=10).contains(&most), "{most}: a fifth of 50 at most");
    let in_use: u32 = upstream
        .breaker
        .limits()
        .map(|(_, limit)| limit.in_use())
        .sum();
    assert_eq!(in_use, 0, "all permits are back");
}

#[tokio::test(start_paused = true)]
async fn hosts_that_do_not_answer_are_taken_out() {
    let client = Client::new(|_, _| async { Err(AttemptError::Connect(io("refused"))) });
    let mut mesh = Mesh::new(forward());
    let mut outlier = OutlierDetection::default();
    outlier.consecutive_5xx = Some(2);
    outlier.small_fleet = SmallFleet::One;
    mesh.settings.balancing.outlier = Some(outlier);
    mesh.settings.balancing.algorithm = Algorithm::RoundRobin;
    let upstream = mesh.upstream();
    let router = mesh.router_over(std::slice::from_ref(&upstream), &client);
    for _ in 0..5 {
        ask(router.clone(), get()).await;
    }
    let hosts = upstream.cluster.hosts();
    assert_eq!(
        hosts
            .hosts()
            .iter()
            .filter(|host| host.is_ejected())
            .count(),
        1
    );
}

/// A status of gRPC in the head says as much of a host as one of HTTP.
#[tokio::test(start_paused = true)]
async fn a_grpc_status_in_the_head_counts_for_the_host() {
    for (status, out) in [("14", true), ("13", true), ("5", false), ("0", false)] {
        let client = Client::new(move |_, _| async move {
            let response = Response::builder().header("grpc-status", status);
            Ok(response.body(Body::empty()).unwrap())
        });
        let mut mesh = Mesh::new(forward());
        mesh.hosts = 1;
        let mut outlier = OutlierDetection::default();
        outlier.consecutive_5xx = Some(1);
        outlier.small_fleet = SmallFleet::One;
        mesh.settings.balancing.outlier = Some(outlier);
        let upstream = mesh.upstream();
        ask(
            mesh.router_over(std::slice::from_ref(&upstream), &client),
            grpc(),
        )
        .await;
        assert_eq!(
            upstream.cluster.hosts().hosts()[0].is_ejected(),
            out,
            "{status}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_callers_deadline_is_passed_on_shorter_and_bounds_retries() {
    let client = Client::new(|attempt, _| async move {
        tokio::time::sleep(millis(100)).await;
        match attempt {
            1 => Err(AttemptError::Refused(io("no"))),
            _ => std::future::pending().await,
        }
    });
    let mut mesh = Mesh::new(retrying(on(&["refused-stream"], 2)));
    mesh.router.chance = Chance::of(|| 0);
    let mut request = grpc();
    request
        .headers_mut()
        .insert("grpc-timeout", "250m".parse().unwrap());
    let start = tokio::time::Instant::now();
    let (response, entry) = ask(mesh.router(&client), request).await;
    assert_eq!(start.elapsed(), millis(250));
    assert_eq!(response.headers()["grpc-status"], "4", "DEADLINE_EXCEEDED");
    assert_eq!(entry.flags.to_string(), "UT");
    let seen = client.seen.lock().unwrap();
    let left: Vec<_> = seen
        .iter()
        .map(|seen| seen.headers["grpc-timeout"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(left[0], "250000u");
    let second: Duration = mesh_l7::router::grpc_timeout(&left[1].parse().unwrap()).unwrap();
    assert!(second <= millis(150) && second >= millis(148), "{second:?}");
    assert_eq!(seen[0].headers["x-envoy-expected-rq-timeout-ms"], "250");
}
