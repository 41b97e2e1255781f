//! What clients are told: statuses, texts, flags and details as measured with Envoy 1.40.

use http::{HeaderMap, Response, StatusCode};
use mesh_core::limits::BreakerSettings;
use mesh_l7::attempt::AttemptError;
use mesh_l7::filter::{Abort, Fault, Percent};
use mesh_l7::route::{
    Action, Backend, BackendTarget, Backends, DirectResponse, InvalidBackend, RetryOn, RetryPolicy,
    Rule, Timeouts,
};

use crate::harness::{Client, Mesh, answer, ask, bytes, forward, get, grpc, io, millis, to};

const RESET: &str = "upstream connect error or disconnect/reset before headers. reset reason: ";
const AGAIN: &str = "upstream connect error or disconnect/reset before headers. \
                     retried and the latest reset reason: ";

/// What a client is told, and what the record says.
#[derive(Debug, PartialEq)]
struct Told {
    status: u16,
    body: String,
    flags: String,
    detail: &'static str,
}

fn told(status: u16, body: impl Into<String>, flags: &str, detail: &'static str) -> Told {
    Told {
        status,
        body: body.into(),
        flags: flags.into(),
        detail,
    }
}

async fn tell(mesh: &Mesh, client: &Client) -> (Told, HeaderMap) {
    let (response, entry) = ask(mesh.router(client), get()).await;
    let (head, body) = response.into_parts();
    let body = bytes(body).await.unwrap();
    let told = Told {
        status: head.status.as_u16(),
        body: String::from_utf8(body.to_vec()).unwrap(),
        flags: entry.flags.to_string(),
        detail: entry.detail,
    };
    (told, head.headers)
}

fn failing(error: impl Fn() -> AttemptError + Send + Sync + 'static) -> Client {
    Client::new(move |_, _| std::future::ready(Err(error())))
}

fn retrying(on: RetryOn, retries: u32) -> Rule {
    let mut rule = forward();
    rule.retry = Some(RetryPolicy {
        retries,
        on,
        ..RetryPolicy::default()
    });
    rule
}

#[tokio::test(start_paused = true)]
async fn failures_of_attempts_are_told_as_envoy_does() {
    type Error = fn() -> AttemptError;
    let reset = |text: &str| format!("{RESET}{text}");
    let detail = "upstream_reset_before_response_started{connection_termination}";
    let cases: [(&str, Error, Told); 8] = [
        (
            "connect refused",
            || AttemptError::Connect(io("refused")),
            told(
                503,
                reset("remote connection failure"),
                "UF",
                "upstream_reset_before_response_started{remote_connection_failure}",
            ),
        ),
        (
            "connect timeout",
            || AttemptError::ConnectTimeout,
            told(
                503,
                reset("connection timeout"),
                "UF",
                "upstream_reset_before_response_started{connection_timeout}",
            ),
        ),
        (
            "upstream closed",
            || AttemptError::Reset(io("eof")),
            told(503, reset("connection termination"), "UC", detail),
        ),
        (
            "upstream closed before the request",
            || AttemptError::BeforeRequest(io("eof")),
            told(503, reset("connection termination"), "UC", detail),
        ),
        (
            "refused stream",
            || AttemptError::Refused(io("REFUSED_STREAM")),
            told(
                503,
                reset("remote refused stream reset"),
                "UR",
                "upstream_reset_before_response_started{remote_refused_stream_reset}",
            ),
        ),
        (
            "overflow",
            || AttemptError::Overflow,
            told(
                503,
                reset("overflow"),
                "UO",
                "upstream_reset_before_response_started{overflow}",
            ),
        ),
        (
            "protocol error",
            || AttemptError::Protocol(io("bad")),
            told(
                502,
                reset("protocol error"),
                "UPE",
                "upstream_reset_before_response_started{protocol_error}",
            ),
        ),
        (
            "client gone",
            || AttemptError::Request(io("gone")),
            told(400, "", "DC", "downstream_remote_disconnect"),
        ),
    ];
    for (name, error, expected) in cases {
        let (told, headers) = tell(&Mesh::new(forward()), &failing(error)).await;
        assert_eq!(told, expected, "{name}");
        let overloaded = headers.contains_key("x-envoy-overloaded");
        assert_eq!(overloaded, name == "overflow", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_is_told_after_retries() {
    let client = failing(|| AttemptError::Connect(io("refused")));
    let (got, _) = tell(&Mesh::new(retrying(RetryOn::CONNECT_FAILURE, 2)), &client).await;
    let detail = "upstream_reset_before_response_started{remote_connection_failure}";
    let text = format!("{AGAIN}remote connection failure");
    assert_eq!(got, told(503, text, "URX,UF", detail));
    assert_eq!(client.attempts(), 3);
}

#[tokio::test(start_paused = true)]
async fn time_limits_are_told_as_envoy_does() {
    let timeouts = |request, attempt, idle| Timeouts {
        request,
        attempt,
        idle,
    };
    let second = Some(millis(1_000));
    let mut retried = retrying(RetryOn::ATTEMPT_TIMEOUT, 2);
    retried.timeouts = timeouts(None, second, None);
    let with = |timeouts| {
        let mut rule = forward();
        rule.timeouts = timeouts;
        rule
    };
    let text = "upstream request timeout";
    let cases = [
        (
            "request",
            with(timeouts(second, None, None)),
            told(504, text, "UT", "response_timeout"),
        ),
        (
            "attempt",
            with(timeouts(None, second, None)),
            told(504, text, "UT", "upstream_per_try_timeout"),
        ),
        (
            "all tries",
            retried,
            told(504, text, "URX,UT", "upstream_per_try_timeout"),
        ),
        (
            "idle",
            with(timeouts(None, None, second)),
            told(504, "stream timeout", "SI", "stream_idle_timeout"),
        ),
    ];
    for (name, rule, expected) in cases {
        let silent = Client::new(|_, _| std::future::pending());
        let (told, _) = tell(&Mesh::new(rule), &silent).await;
        assert_eq!(told, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_reaches_a_host_is_told_as_envoy_does() {
    let rule = |action| Rule::new("rule", action);
    let invalid = Backend::new(BackendTarget::Invalid(InvalidBackend::NotFound));
    let missing = invalid.clone();
    let of_virtual_service = |mut rule: Rule| {
        rule.origin.kind = "VirtualService";
        rule
    };
    let mut aborted = forward();
    aborted.fault = Some(Box::new(Fault {
        delay: None,
        abort: Some(Abort {
            status: StatusCode::IM_A_TEAPOT,
            grpc: None,
            share: Percent::ALL,
        }),
    }));
    let mut unmatched = forward();
    unmatched.matches.push(mesh_l7::matching::RequestMatch {
        path: mesh_l7::matching::PathMatch::Exact("/other".into()),
        ..Default::default()
    });
    let mut of_gateway = rule(Action::Forward(Backends::new([to("gone")])));
    of_gateway.origin.kind = "HTTPRoute";
    let mut weightless = to("web");
    weightless.weight = 0;
    let direct = DirectResponse {
        status: StatusCode::OK,
        body: "hello".into(),
    };
    let cases = [
        (
            "no route",
            unmatched,
            told(404, "", "NR", "route_not_found"),
        ),
        (
            "no cluster",
            rule(Action::Forward(Backends::new([to("gone")]))),
            told(503, "", "NC", "cluster_not_found"),
        ),
        (
            "no cluster, Gateway API",
            of_gateway,
            told(500, "", "NC", "cluster_not_found"),
        ),
        (
            "fault abort",
            aborted,
            told(418, "fault filter abort", "FI", "fault_filter_abort"),
        ),
        (
            "direct",
            rule(Action::Respond(direct)),
            told(200, "hello", "-", "direct_response"),
        ),
        (
            "no backends",
            rule(Action::Forward(Backends::new([]))),
            told(500, "", "-", "no_backend"),
        ),
        (
            "every weight 0",
            rule(Action::Forward(Backends::new([weightless]))),
            told(500, "", "-", "no_backend"),
        ),
        (
            "invalid backend",
            rule(Action::Forward(Backends::new([invalid]))),
            told(500, "", "-", "invalid_backend"),
        ),
        (
            "a destination of a virtual service that is not there",
            of_virtual_service(rule(Action::Forward(Backends::new([missing])))),
            told(503, "", "NC", "cluster_not_found"),
        ),
    ];
    for (name, rule, expected) in cases {
        let client = Client::new(|_, _| async { answer(200) });
        let (told, _) = tell(&Mesh::new(rule), &client).await;
        assert_eq!(told, expected, "{name}");
        assert_eq!(client.attempts(), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_without_hosts_is_told_as_envoy_does() {
    let mut mesh = Mesh::new(forward());
    mesh.hosts = 0;
    let client = Client::new(|_, _| async { answer(200) });
    let (got, _) = tell(&mesh, &client).await;
    assert_eq!(
        got,
        told(503, "no healthy upstream", "UH", "no_healthy_upstream")
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_breaker_is_told_as_envoy_does() {
    let mut mesh = Mesh::new(forward());
    mesh.breaker = BreakerSettings::default();
    mesh.breaker.requests = 0;
    let client = Client::new(|_, _| async { answer(200) });
    let (got, headers) = tell(&mesh, &client).await;
    let detail = "upstream_reset_before_response_started{overflow}";
    assert_eq!(got, told(503, format!("{RESET}overflow"), "UO", detail));
    assert_eq!(headers["x-envoy-overloaded"], "true");
}

#[tokio::test(start_paused = true)]
async fn a_response_passes_with_what_envoy_adds() {
    let client = Client::new(|_, _| async {
        tokio::time::sleep(millis(12)).await;
        Ok(Response::new("hello".into()))
    });
    let (got, headers) = tell(&Mesh::new(forward()), &client).await;
    assert_eq!(got, told(200, "hello", "-", "via_upstream"));
    assert_eq!(headers["x-envoy-upstream-service-time"], "12");
    let seen = client.seen.lock().unwrap().clone();
    assert_eq!(seen[0].headers["x-envoy-attempt-count"], "1");
    assert!(
        !seen[0]
            .headers
            .contains_key("x-envoy-expected-rq-timeout-ms")
    );
}

/// gRPC: status 200 and `grpc-status`. An upstream's own 503 is passed on unchanged.
#[tokio::test(start_paused = true)]
async fn callers_of_grpc_are_told_by_grpc_status() {
    let invalid = Backend::new(BackendTarget::Invalid(InvalidBackend::NotFound));
    let rule = |action| Rule::new("rule", action);
    let cases = [
        ("no match", None, "12", ""),
        (
            "invalid backend",
            Some(rule(Action::Forward(Backends::new([invalid])))),
            "14",
            "",
        ),
        (
            "no backends",
            Some(rule(Action::Forward(Backends::new([])))),
            "14",
            "",
        ),
        (
            "no cluster",
            Some(rule(Action::Forward(Backends::new([to("gone")])))),
            "14",
            "",
        ),
    ];
    for (name, rule, status, message) in cases {
        let mut unmatched = forward();
        unmatched.matches.push(mesh_l7::matching::RequestMatch {
            path: mesh_l7::matching::PathMatch::Exact("/other".into()),
            ..Default::default()
        });
        let client = Client::new(|_, _| async { answer(200) });
        let mesh = Mesh::new(rule.unwrap_or(unmatched));
        let (response, _) = ask(mesh.router(&client), grpc()).await;
        assert_eq!(response.status(), 200, "{name}");
        assert_eq!(response.headers()["grpc-status"], status, "{name}");
        assert_eq!(
            response.headers().contains_key("grpc-message"),
            !message.is_empty()
        );
    }
    let mut mesh = Mesh::new(forward());
    mesh.hosts = 0;
    let client = Client::new(|_, _| async { answer(503) });
    let (response, _) = ask(mesh.router(&client), grpc()).await;
    assert_eq!(response.headers()["grpc-message"], "no healthy upstream");
    let (response, entry) = ask(Mesh::new(forward()).router(&client), grpc()).await;
    assert_eq!(response.status(), 503);
    assert_eq!(entry.detail, "via_upstream");
}
