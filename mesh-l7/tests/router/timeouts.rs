//! Time limits, before and after the head of the response.

use http::Response;
use mesh_l7::body::Body;
use mesh_l7::filter::{Delay, Fault, Percent};
use mesh_l7::route::{RetryOn, RetryPolicy, Timeouts};
use mesh_l7::router::RouterSettings;

use crate::harness::{
    Client, Drip, Mesh, answer, ask, bytes, forward, get, grpc, millis, recorded,
};
use tower_service::Service as _;

#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_own_time_within_that_of_the_request() {
    let mut rule = forward();
    rule.retry = Some(RetryPolicy {
        retries: 9,
        on: RetryOn::ATTEMPT_TIMEOUT,
        ..RetryPolicy::default()
    });
    rule.timeouts = Timeouts {
        request: Some(millis(1_000)),
        attempt: Some(millis(400)),
        idle: None,
    };
    let client = Client::new(|_, _| std::future::pending());
    let start = tokio::time::Instant::now();
    let (response, entry) = ask(Mesh::new(rule).router(&client), get()).await;
    assert_eq!(response.status(), 504);
    assert_eq!(entry.detail, "response_timeout");
    assert_eq!(start.elapsed(), millis(1_000));
    let seen = client.seen.lock().unwrap();
    let expected: Vec<u64> = seen
        .iter()
        .map(|seen| {
            seen.headers["x-envoy-expected-rq-timeout-ms"]
                .to_str()
                .unwrap()
        })
        .map(|text| text.parse().unwrap())
        .collect();
    assert_eq!(expected[..2], [400, 400]);
    assert!(
        expected[2] <= 200,
        "what is left of the request's time: {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_is_none() {
    let mut rule = forward();
    let zero = Some(millis(0));
    rule.timeouts = Timeouts {
        request: zero,
        attempt: zero,
        idle: zero,
    };
    let client = Client::new(|_, _| async {
        tokio::time::sleep(millis(100_000)).await;
        answer(200)
    });
    let (response, _) = ask(Mesh::new(rule).router(&client), get()).await;
    assert_eq!(response.status(), 200);
}

/// The nearer of the route's limit and the caller's; the caller's own is told by DEADLINE_EXCEEDED.
#[tokio::test(start_paused = true)]
async fn the_nearer_of_route_and_caller_counts() {
    let cases = [
        (Some(100), Some("200m"), 100, "14"),
        (Some(200), Some("100m"), 100, "4"),
        (None, Some("100m"), 100, "4"),
        (Some(100), None, 100, "14"),
        (Some(100), Some("rubbish"), 100, "14"),
    ];
    for (route, caller, ends, status) in cases {
        let mut rule = forward();
        rule.timeouts.request = route.map(millis);
        let mut request = grpc();
        if let Some(caller) = caller {
            let value = caller.parse().unwrap();
            request.headers_mut().insert("grpc-timeout", value);
        }
        let client = Client::new(|_, _| std::future::pending());
        let start = tokio::time::Instant::now();
        let (response, _) = ask(Mesh::new(rule).router(&client), request).await;
        assert_eq!(start.elapsed(), millis(ends), "{route:?} {caller:?}");
        assert_eq!(
            response.headers()["grpc-status"],
            status,
            "{route:?} {caller:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_on_purpose_is_over_before_time_is_counted() {
    let mut rule = forward();
    rule.timeouts.request = Some(millis(100));
    rule.fault = Some(Box::new(Fault {
        delay: Some(Delay {
            time: millis(5_000),
            share: Percent::ALL,
        }),
        abort: None,
    }));
    let client = Client::new(|_, _| async {
        tokio::time::sleep(millis(90)).await;
        answer(200)
    });
    let start = tokio::time::Instant::now();
    let (response, entry) = ask(Mesh::new(rule).router(&client), get()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(entry.flags.to_string(), "DI");
    assert_eq!(start.elapsed(), millis(5_090));
}

#[tokio::test(start_paused = true)]
async fn after_the_head_the_end_of_the_time_breaks_the_response_off() {
    let cases = [
        (
            Timeouts {
                request: Some(millis(1_000)),
                ..Timeouts::default()
            },
            "UT",
            "response_timeout",
        ),
        (
            Timeouts {
                idle: Some(millis(300)),
                ..Timeouts::default()
            },
            "SI",
            "stream_idle_timeout",
        ),
    ];
    for (timeouts, flag, detail) in cases {
        let mut rule = forward();
        rule.timeouts = timeouts;
        let client = Client::new(|_, _| async {
            // One piece, and then silence.
            Ok(Response::new(Body::new(Drip::new([0, 1_000_000]))))
        });
        let mesh = Mesh::new(rule);
        let upstream = mesh.upstream();
        let mut router = mesh.router_over(std::slice::from_ref(&upstream), &client);
        let (request, record) = recorded(get());
        let Ok(response) = router.call(request).await;
        assert_eq!(response.status(), 200);
        assert_eq!(
            upstream
                .cluster
                .hosts()
                .hosts()
                .iter()
                .map(|host| host.active())
                .sum::<u32>(),
            1
        );
        assert!(bytes(response.into_body()).await.is_err());
        let noted = record.note(|entry| (entry.flags.to_string(), entry.detail));
        assert_eq!(noted, (flag.to_owned(), detail));
        assert_eq!(
            upstream
                .cluster
                .hosts()
                .hosts()
                .iter()
                .map(|host| host.active())
                .sum::<u32>(),
            0
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_which_bytes_move_is_not_idle() {
    let mut rule = forward();
    rule.timeouts.idle = Some(millis(300));
    let client =
        Client::new(|_, _| async { Ok(Response::new(Body::new(Drip::new([200, 200, 200, 200])))) });
    let (response, _) = ask(Mesh::new(rule).router(&client), get()).await;
    assert_eq!(bytes(response.into_body()).await.unwrap(), "....");
}

/// The limit of an attempt ends with the head of its response, as Envoy's does.
#[tokio::test(start_paused = true)]
async fn an_attempts_time_does_not_bound_the_body() {
    let mut rule = forward();
    rule.timeouts.attempt = Some(millis(100));
    let client = Client::new(|_, _| async { Ok(Response::new(Body::new(Drip::new([900, 900])))) });
    let (response, entry) = ask(Mesh::new(rule).router(&client), get()).await;
    assert_eq!(bytes(response.into_body()).await.unwrap(), "..");
    assert_eq!(entry.detail, "via_upstream");
}

/// Configuration may say any number.
#[tokio::test(start_paused = true)]
async fn a_limit_beyond_the_end_of_time_is_none() {
    let mut rule = forward();
    let longest = Some(std::time::Duration::MAX);
    rule.timeouts = Timeouts {
        request: longest,
        attempt: longest,
        idle: longest,
    };
    let client = Client::new(|_, _| async {
        tokio::time::sleep(millis(1_000)).await;
        Ok(Response::new(Body::new(Drip::new([1_000]))))
    });
    let (response, _) = ask(Mesh::new(rule).router(&client), get()).await;
    assert_eq!(bytes(response.into_body()).await.unwrap(), ".");
}

/// l7.md 2.9: 408 while the request is not complete, else 504; after the head of the response a reset. Envoy's
/// words.
#[tokio::test(start_paused = true)]
async fn limits_of_streams_hold_where_rules_say_none() {
    let idle = |settings: &mut RouterSettings| settings.stream_idle = Some(millis(300));
    let longest = |settings: &mut RouterSettings| settings.max_stream_duration = Some(millis(300));
    type Change = fn(&mut RouterSettings);
    let (si, dt) = ("SI stream_idle_timeout", "DT max_duration_timeout");
    let cases: [(Change, &[u64], u16, &str, &str); 4] = [
        (idle, &[], 504, si, "stream timeout"),
        (idle, &[1_000_000], 408, si, "stream timeout"),
        (longest, &[], 504, dt, "downstream duration timeout"),
        (
            longest,
            &[200, 1_000_000],
            408,
            dt,
            "downstream duration timeout",
        ),
    ];
    for (change, request, status, said, text) in cases {
        let mut mesh = Mesh::new(forward());
        change(&mut mesh.router);
        let client = Client::new(|_, request| async move {
            let _ = bytes(request.into_body()).await;
            std::future::pending().await
        });
        let begin = tokio::time::Instant::now();
        let body = match request {
            [] => Body::empty(),
            waits => Body::new(Drip::new(waits.iter().copied())),
        };
        let request = get().map(|_| body);
        let (response, entry) = ask(mesh.router(&client), request).await;
        assert_eq!(response.status(), status, "{said}");
        let noted = format!("{} {}", entry.flags, entry.detail);
        assert_eq!(noted, said);
        assert_eq!(begin.elapsed(), millis(300), "{said}");
        assert_eq!(bytes(response.into_body()).await.unwrap(), text);
        assert_eq!(client.attempts(), 1, "nothing is tried again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_there_for_too_long_is_reset_although_bytes_move() {
    let mut mesh = Mesh::new(forward());
    mesh.router.max_stream_duration = Some(millis(500));
    let client =
        Client::new(|_, _| async { Ok(Response::new(Body::new(Drip::new([200, 200, 200, 200])))) });
    let (request, record) = recorded(get());
    let Ok(response) = mesh.router(&client).call(request).await;
    assert_eq!(response.status(), 200);
    assert!(bytes(response.into_body()).await.is_err());
    let noted = record.note(|entry| (entry.flags.to_string(), entry.detail));
    assert_eq!(noted, ("DT".to_owned(), "max_duration_timeout"));
}

/// A rule that says 0 has no limit, whatever holds for the others.
#[tokio::test(start_paused = true)]
async fn a_rule_goes_before_what_holds_for_all() {
    let mut rule = forward();
    rule.timeouts.idle = Some(millis(0));
    let mut mesh = Mesh::new(rule);
    mesh.router.stream_idle = Some(millis(300));
    let client = Client::new(|_, _| async {
        tokio::time::sleep(millis(1_000)).await;
        answer(200)
    });
    let (response, _) = ask(mesh.router(&client), get()).await;
    assert_eq!(response.status(), 200);
}
