//! One request through the router, with a client that answers at once: `cargo bench -p mesh-l7 --bench router`.
//!
//! Requests are made outside of what is measured, with the headers of a browser; responses are read to their
//! end and dropped inside. Allocations are counted.
#![allow(missing_docs, clippy::expect_used)]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, black_box};
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body::Body as _;
use mesh_core::lb::HostSpec;
use mesh_core::limits::BucketSettings;
use mesh_core::watch::Watch;
use mesh_l7::attempt::{Attempt, AttemptError};
use mesh_l7::body::Body;
use mesh_l7::downstream::Downstream;
use mesh_l7::limit::{LocalLimit, RateLimitLayer, RateLimits};
use mesh_l7::record::Record;
use mesh_l7::route::{
    Action, Backend, BackendTarget, Backends, HostTable, RetryPolicy, RouteTable, Rule, Rules,
};
use mesh_l7::router::Router;
use mesh_l7::target::ServiceTarget;
use mesh_l7::upstream::{ClusterSettings, Protocol, Upstream, UpstreamTable};
use tower_layer::Layer;
use tower_service::Service;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[derive(Clone)]
struct Answers;

impl Service<Attempt<()>> for Answers {
    type Response = Response<Body>;
    type Error = AttemptError;
    type Future = Ready<Result<Response<Body>, AttemptError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<()>) -> Self::Future {
        black_box(attempt);
        ready(Ok(Response::new(Bytes::from_static(b"hello").into())))
    }
}

fn web() -> ServiceTarget {
    ServiceTarget {
        namespace: "shop".into(),
        hostname: "web.shop.svc.cluster.local".into(),
        port: 80,
        subset: None,
    }
}

fn rule() -> Rule {
    let backend = Backend::new(BackendTarget::Service(web()));
    Rule::new("rule", Action::Forward(Backends::new([backend])))
}

type Routes = Router<(), UpstreamTable<()>, Answers>;

fn router(rule: Rule) -> Routes {
    let hosts = (1..=10).map(|n| HostSpec::new(format!("10.0.0.{n}:80"), ()));
    let settings = ClusterSettings::default();
    let upstream = Upstream::new(
        web(),
        settings,
        Protocol::Http1,
        hosts.collect(),
        Instant::now(),
    );
    let mut routes = RouteTable::default();
    routes.insert(&web(), HostTable::of_any(Rules::new([rule])));
    Router::new(
        Watch::fixed(routes),
        UpstreamTable::from_iter([upstream]),
        Answers,
    )
}

const HEAD: &str = "/api/items/12?page=2\n\
    host:web.shop\n\
    user-agent:Mozilla/5.0\n\
    accept:*/*\n\
    accept-encoding:gzip\n\
    x-request-id:12345678-1234-4123-8123-123456789012\n\
    x-forwarded-proto:http\n\
    traceparent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn request() -> Request<Body> {
    let address: SocketAddr = "10.0.0.9:80".parse().expect("an address");
    let downstream = Downstream::new(address, address).with_service(web());
    // As a parser of HTTP leaves them: parts of one buffer.
    let buffer = Bytes::from(HEAD.as_bytes().to_vec());
    let mut lines = HEAD
        .split('\n')
        .map(|line| buffer.slice_ref(line_of(&buffer, line)));
    let target = lines.next().unwrap_or_default();
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_maybe_shared(target).expect("valid");
    for line in lines {
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or_default();
        let name = HeaderName::from_bytes(&line.slice(..colon)).expect("valid");
        let value = HeaderValue::from_maybe_shared(line.slice(colon + 1..)).expect("valid");
        request.headers_mut().insert(name, value);
    }
    request.extensions_mut().insert(Arc::new(downstream));
    request.extensions_mut().insert(Record::new(Instant::now()));
    request
}

/// The part of the buffer that has the same place as a line in [`HEAD`].
fn line_of<'b>(buffer: &'b Bytes, line: &str) -> &'b [u8] {
    let start = line.as_ptr() as usize - HEAD.as_ptr() as usize;
    buffer.get(start..start + line.len()).unwrap_or_default()
}

/// Polls what is ready at once.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => std::process::abort(),
    }
}

async fn read(mut body: Body) -> usize {
    let mut read = 0;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        read += frame
            .ok()
            .and_then(|frame| frame.into_data().ok())
            .map_or(0, |data| data.len());
    }
    read
}

fn bench<S>(bencher: Bencher<'_, '_>, mut service: S)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    bencher.with_inputs(request).bench_local_values(|request| {
        let Ok(response) = now(service.call(request));
        now(read(response.into_body()))
    });
}

/// What the request costs without a router.
#[divan::bench(sample_size = 200, sample_count = 200)]
fn floor(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(request).bench_local_values(|request| {
        black_box(request);
        now(read(Bytes::from_static(b"hello").into()))
    });
}

#[divan::bench(sample_size = 200, sample_count = 200)]
fn forwarded(bencher: Bencher<'_, '_>) {
    bench(bencher, router(rule()));
}

#[divan::bench(sample_size = 200, sample_count = 200)]
fn with_time_limits(bencher: Bencher<'_, '_>) {
    let mut rule = rule();
    rule.timeouts.request = Some(Duration::from_secs(15));
    rule.timeouts.attempt = Some(Duration::from_secs(5));
    bench(bencher, router(rule));
}

/// Istio's default: two retries.
#[divan::bench(sample_size = 200, sample_count = 200)]
fn with_retries(bencher: Bencher<'_, '_>) {
    let mut rule = rule();
    rule.retry = Some(RetryPolicy::default());
    bench(bencher, router(rule));
}

#[divan::bench(sample_size = 200, sample_count = 200)]
fn with_all_and_a_rate_limit(bencher: Bencher<'_, '_>) {
    let mut rule = rule();
    rule.retry = Some(RetryPolicy::default());
    rule.timeouts.request = Some(Duration::from_secs(15));
    let bucket = BucketSettings::new(u32::MAX, u32::MAX, Duration::from_secs(1)).expect("valid");
    let limits = RateLimits::new([LocalLimit::new("all", bucket)], Instant::now());
    let layer = RateLimitLayer::new(Watch::fixed(limits));
    bench(bencher, layer.layer(router(rule)));
}
