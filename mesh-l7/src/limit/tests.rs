use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use mesh_core::limits::BucketSettings;
use mesh_core::watch::{self, Watch};
use tower_layer::Layer;
use tower_service::Service;

use super::*;
use crate::downstream::Downstream;
use crate::filter::Percent;
use crate::matching::{PathMatch, RequestMatch};
use crate::record::Record;
use crate::target::ServiceTarget;

const SECOND: Duration = Duration::from_secs(1);

fn bucket(tokens: u32) -> BucketSettings {
    BucketSettings::new(tokens, 1, SECOND).unwrap()
}

/// Counts the requests that reach it, and repeats `x-over`.
#[derive(Clone, Default)]
struct Inner(Arc<AtomicU32>);

impl Service<Request<()>> for Inner {
    type Response = Response<Bytes>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Bytes>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        self.0.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(Bytes::new());
        if let Some(over) = request.headers().get("x-over") {
            response.headers_mut().insert("x-over", over.clone());
        }
        ready(Ok(response))
    }
}

fn limited(limits: impl IntoIterator<Item = LocalLimit>) -> RateLimit<Inner> {
    let limits = RateLimits::new(limits, tokio::time::Instant::now().into_std());
    RateLimitLayer::new(Watch::fixed(limits)).layer(Inner::default())
}

async fn ask(service: &mut RateLimit<Inner>, request: Request<()>) -> Response<Bytes> {
    let Ok(response) = service.call(request).await;
    response
}

async fn statuses<const N: usize>(
    service: &mut RateLimit<Inner>,
    requests: [Request<()>; N],
) -> [u16; N] {
    let mut statuses = [0; N];
    for (status, request) in statuses.iter_mut().zip(requests) {
        *status = ask(service, request).await.status().as_u16();
    }
    statuses
}

fn get(path: &str) -> Request<()> {
    Request::get(path)
        .header("host", "Web:80")
        .body(())
        .unwrap()
}

fn from(identity: &str) -> Request<()> {
    let address = "10.0.0.1:5".parse().unwrap();
    let downstream = Downstream::new(address, address);
    let downstream = downstream.with_identity(Some(identity.parse().unwrap()));
    let mut request = get("/");
    request.extensions_mut().insert(Arc::new(downstream));
    request
}

#[tokio::test(start_paused = true)]
async fn what_is_over_the_limit_is_told_as_envoy_does() {
    let mut service = limited([LocalLimit::new("all", bucket(1))]);
    let record = Record::new(Instant::now());
    let mut second = get("/");
    second.extensions_mut().insert(record.clone());
    assert_eq!(ask(&mut service, get("/")).await.status(), 200);
    let response = ask(&mut service, second).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["content-type"], "text/plain");
    assert_eq!(response.body(), "local_rate_limited");
    let noted = record.note(|entry| (entry.flags.to_string(), entry.detail));
    assert_eq!(noted, ("RL".to_owned(), "local_rate_limited"));
    assert_eq!(service.inner.0.load(Ordering::Relaxed), 1);
    tokio::time::advance(SECOND).await;
    assert_eq!(ask(&mut service, get("/")).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn callers_of_grpc_are_told_by_grpc_status() {
    for (grpc, status) in [
        (Exhausted::Unavailable, "14"),
        (Exhausted::ResourceExhausted, "8"),
    ] {
        let mut limit = LocalLimit::new("all", bucket(1));
        limit.grpc = grpc;
        let mut service = limited([limit]);
        let call = || {
            let mut request = get("/");
            let kind = HeaderValue::from_static("application/grpc");
            request.headers_mut().insert("content-type", kind);
            request
        };
        ask(&mut service, call()).await;
        let response = ask(&mut service, call()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], status);
        assert_eq!(response.headers()["grpc-message"], "local_rate_limited");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_be_another_but_is_always_an_error() {
    for (configured, status) in [(503, 503), (200, 429), (399, 429), (400, 400)] {
        let mut limit = LocalLimit::new("all", bucket(1));
        limit.status = StatusCode::from_u16(configured).unwrap();
        limit.body = "slow down".into();
        limit.response_headers.set = vec![("x-a".parse().unwrap(), "b".parse().unwrap())];
        let mut service = limited([limit]);
        ask(&mut service, get("/")).await;
        let response = ask(&mut service, get("/")).await;
        assert_eq!(response.status().as_u16(), status, "{configured}");
        assert_eq!(response.body(), "slow down");
        assert_eq!(response.headers()["x-a"], "b");
    }
}

#[tokio::test(start_paused = true)]
async fn every_identity_has_its_own_tokens() {
    let entry = Entry {
        key: LimitKey::Identity,
        wanted: Wanted::Each,
    };
    let mut limit = LocalLimit::new("all", bucket(100));
    limit.descriptors = vec![Descriptor::new(vec![entry], bucket(1))];
    let mut service = limited([limit]);
    let a = || from("spiffe://cluster.local/ns/a/sa/x");
    let b = || from("spiffe://cluster.local/ns/b/sa/x");
    let got = statuses(&mut service, [a(), a(), b(), b(), get("/"), get("/")]).await;
    assert_eq!(
        got,
        [200, 429, 200, 429, 200, 200],
        "without identity the main bucket alone"
    );
}

#[tokio::test(start_paused = true)]
async fn all_entries_of_a_descriptor_must_hold() {
    let entry = |key, value: Option<&str>| Entry {
        key,
        wanted: value.map_or(Wanted::Each, |value| Wanted::Is(value.into())),
    };
    let user = || LimitKey::Header("x-user".parse().unwrap());
    let mut limit = LocalLimit::new("all", bucket(100));
    let entries = vec![
        entry(LimitKey::Path, Some("/a")),
        entry(LimitKey::Method, Some("GET")),
        entry(LimitKey::Host, Some("web")),
        entry(user(), None),
    ];
    limit.descriptors = vec![Descriptor::new(entries, bucket(1))];
    let mut service = limited([limit]);
    let of = |path: &str, user: &'static str| {
        let mut request = get(path);
        request
            .headers_mut()
            .insert("x-user", HeaderValue::from_static(user));
        request
    };
    let requests = [
        of("/a?q", "1"),
        of("/a", "1"),
        of("/a", "2"),
        of("/b", "1"),
        get("/a"),
        get("/a"),
    ];
    assert_eq!(
        statuses(&mut service, requests).await,
        [200, 429, 200, 200, 200, 200]
    );
}

#[tokio::test(start_paused = true)]
async fn the_main_bucket_counts_for_all_or_for_the_rest() {
    for (main, expected) in [
        (MainBucket::Always, [200, 429]),
        (MainBucket::Unmatched, [200, 200]),
    ] {
        let entry = Entry {
            key: LimitKey::Path,
            wanted: Wanted::Is("/a".into()),
        };
        let mut limit = LocalLimit::new("all", bucket(1));
        limit.descriptors = vec![Descriptor::new(vec![entry], bucket(9))];
        limit.main = main;
        let mut service = limited([limit]);
        assert_eq!(
            statuses(&mut service, [get("/a"), get("/a")]).await,
            expected,
            "{main:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn leaving_a_value_out_is_no_way_around_a_limit() {
    let user = LimitKey::Header("x-user".parse().unwrap());
    for (wanted, expected) in [
        (Wanted::Each, [200, 200, 200, 200, 429]),
        (Wanted::EachOrNone, [200, 429, 200, 200, 429]),
    ] {
        let entry = Entry {
            key: user.clone(),
            wanted: wanted.clone(),
        };
        let mut limit = LocalLimit::new("users", bucket(9));
        limit.descriptors = vec![Descriptor::new(vec![entry], bucket(1))];
        limit.main = MainBucket::Never;
        let mut service = limited([limit]);
        let of = |user| {
            let mut request = get("/");
            let user = HeaderValue::from_static(user);
            request.headers_mut().insert("x-user", user);
            request
        };
        // An empty value is one, and not the same as none.
        let requests = [get("/"), get("/"), of("1"), of(""), of("1")];
        let got = statuses(&mut service, requests).await;
        assert_eq!(got, expected, "{wanted:?}");
        let counts = service.limits.load().counts().next().unwrap();
        let counted = if wanted == Wanted::Each { 3 } else { 5 };
        assert_eq!(counts.passed + counts.limited, counted, "{wanted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_not_enforced_counts_and_lets_pass() {
    let mut limit = LocalLimit::new("all", bucket(1));
    limit.enforced = Percent::NONE;
    limit.unenforced_headers.set = vec![("x-over".parse().unwrap(), "1".parse().unwrap())];
    let mut service = limited([limit]);
    assert!(
        !ask(&mut service, get("/"))
            .await
            .headers()
            .contains_key("x-over")
    );
    let over = ask(&mut service, get("/")).await;
    assert_eq!(
        (over.status().as_u16(), &over.headers()["x-over"]),
        (200, &"1".parse().unwrap())
    );
    let counts: Vec<_> = service.limits.load().counts().collect();
    assert_eq!(
        (counts[0].passed, counts[0].unenforced, counts[0].limited),
        (1, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_not_enabled_counts_nothing() {
    let mut limit = LocalLimit::new("all", bucket(1));
    limit.enabled = Percent::NONE;
    let mut service = limited([limit]);
    assert_eq!(
        statuses(&mut service, [get("/"), get("/")]).await,
        [200, 200]
    );
    assert_eq!(service.limits.load().counts().next().unwrap().passed, 0);
}

/// `x-ratelimit` headers, draft 3: seconds to the next fill, as measured with Envoy 1.40.
#[tokio::test(start_paused = true)]
async fn responses_say_what_is_left_of_the_tightest() {
    let sent = |name: &str, tokens| {
        let mut limit = LocalLimit::new(name, bucket(tokens));
        limit.standings = Standings::Sent;
        limit
    };
    let mut service = limited([sent("wide", 9), sent("narrow", 2)]);
    tokio::time::advance(SECOND / 4).await;
    for (status, remaining) in [(200, "1"), (200, "0"), (429, "0")] {
        let response = ask(&mut service, get("/")).await;
        assert_eq!(response.status(), status);
        let headers = response.headers();
        assert_eq!(headers["x-ratelimit-limit"], "2");
        assert_eq!(headers["x-ratelimit-remaining"], remaining);
        assert_eq!(
            headers["x-ratelimit-reset"], "1",
            "a part of a second is one"
        );
        let wait = headers.get("retry-after").map(HeaderValue::as_bytes);
        assert_eq!(wait, (status == 429).then_some(&b"1"[..]));
    }
}

#[tokio::test(start_paused = true)]
async fn limits_are_for_their_service_and_their_requests() {
    let target = |hostname: &str| ServiceTarget {
        namespace: "shop".into(),
        hostname: hostname.into(),
        port: 80,
        subset: None,
    };
    let mut limit = LocalLimit::new("web", bucket(1));
    limit.service = Some(target("web"));
    limit.matches.push(RequestMatch {
        path: PathMatch::Below("/a".into()),
        ..RequestMatch::default()
    });
    let mut service = limited([limit]);
    let to = |hostname: &str, path: &str| {
        let address = "10.0.0.1:5".parse().unwrap();
        let downstream = Downstream::new(address, address).with_service(target(hostname));
        let mut request = get(path);
        request.extensions_mut().insert(Arc::new(downstream));
        request
    };
    let requests = [
        to("web", "/a"),
        to("web", "/b"),
        to("other", "/a"),
        get("/a"),
        to("web", "/a/b"),
    ];
    assert_eq!(
        statuses(&mut service, requests).await,
        [200, 200, 200, 200, 429]
    );
    // An application has no connections to services: it says which one it is.
    service.service = Some(target("web"));
    assert_eq!(statuses(&mut service, [get("/a")]).await, [429]);
}

#[tokio::test(start_paused = true)]
async fn a_change_elsewhere_fills_no_bucket() {
    let now = || tokio::time::Instant::now().into_std();
    let entry = || Entry {
        key: LimitKey::Path,
        wanted: Wanted::Each,
    };
    let own = || {
        let mut limit = LocalLimit::new("own", bucket(1));
        limit.descriptors = vec![Descriptor::new(vec![entry()], bucket(1))];
        limit
    };
    let (publisher, limits) = watch::channel(RateLimits::new([own()], now()));
    let mut service = RateLimitLayer::new(limits).layer(Inner::default());
    assert_eq!(
        statuses(&mut service, [get("/a"), get("/a")]).await,
        [200, 429]
    );
    let mut other = own();
    other.body = "other words".into();
    let next = publisher
        .load()
        .replaced([LocalLimit::new("new", bucket(9)), other], now());
    publisher.publish(next);
    let response = ask(&mut service, get("/a")).await;
    assert_eq!(
        (response.status().as_u16(), &**response.body()),
        (429, &b"other words"[..])
    );
    let limited = publisher
        .load()
        .counts()
        .find(|counts| counts.name == "own")
        .unwrap()
        .limited;
    assert_eq!(limited, 2, "counters go on");
    // Another size is another bucket.
    let mut wider = own();
    wider.bucket = bucket(5);
    wider.descriptors.clear();
    publisher.publish(publisher.load().replaced([wider], now()));
    assert_eq!(
        statuses(&mut service, [get("/a"), get("/a")]).await,
        [200, 200]
    );
}
