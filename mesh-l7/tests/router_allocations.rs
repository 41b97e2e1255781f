//! How often the router allocates for a request: a bound, so that it does not grow unnoticed.
#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body::Body as _;
use mesh_core::lb::HostSpec;
use mesh_core::watch::Watch;
use mesh_l7::attempt::{Attempt, AttemptError};
use mesh_l7::body::Body;
use mesh_l7::downstream::Downstream;
use mesh_l7::record::Record;
use mesh_l7::route::{
    Action, Backend, BackendTarget, Backends, HostTable, RetryPolicy, RouteTable, Rule, Rules,
};
use mesh_l7::router::Router;
use mesh_l7::target::ServiceTarget;
use mesh_l7::upstream::{ClusterSettings, Protocol, Upstream, UpstreamTable};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower_service::Service;

#[global_allocator]
static ALLOC: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Clone)]
struct Answers;

impl Service<Attempt<()>> for Answers {
    type Response = Response<Body>;
    type Error = AttemptError;
    type Future = Ready<Result<Response<Body>, AttemptError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Attempt<()>) -> Self::Future {
        let mut response = Response::new(Bytes::from_static(b"hello").into());
        response
            .headers_mut()
            .insert("server", HeaderValue::from_static("x"));
        ready(Ok(response))
    }
}

const HEAD: &str = "/api/items/12?page=2\n\
    host:web.shop\n\
    user-agent:Mozilla/5.0\n\
    accept:*/*\n\
    accept-encoding:gzip\n\
    x-request-id:12345678-1234-4123-8123-123456789012\n\
    x-forwarded-proto:http\n\
    traceparent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn request(web: &ServiceTarget) -> Request<Body> {
    let address: SocketAddr = "10.0.0.9:80".parse().unwrap();
    let downstream = Downstream::new(address, address).with_service(web.clone());
    // As a parser of HTTP leaves them: parts of one buffer.
    let buffer = Bytes::from(HEAD.as_bytes().to_vec());
    let mut lines = HEAD
        .split('\n')
        .map(|line| buffer.slice_ref(line_of(&buffer, line)));
    let target = lines.next().unwrap_or_default();
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_maybe_shared(target).unwrap();
    for line in lines {
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or_default();
        let name = HeaderName::from_bytes(&line.slice(..colon)).unwrap();
        let value = HeaderValue::from_maybe_shared(line.slice(colon + 1..)).unwrap();
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

/// The whole stack of layers may allocate twelve times. Two of these here are the headers of the made-up
/// response. Where there may be retries the head is cloned: the table of headers, and each name that is not
/// one of the standard ones.
#[tokio::test(flavor = "current_thread")]
async fn a_request_is_routed_with_few_allocations() {
    let web = ServiceTarget {
        namespace: "shop".into(),
        hostname: "web.shop.svc.cluster.local".into(),
        port: 80,
        subset: None,
    };
    let cases = [
        ("forwarded", None, true, 4),
        ("with retries", Some(RetryPolicy::default()), true, 6),
        ("without routes of its own", None, false, 6),
    ];
    for (name, retry, routed, most) in cases {
        let hosts = vec![
            HostSpec::new("10.0.0.1:80", ()),
            HostSpec::new("10.0.0.2:80", ()),
        ];
        let (settings, now) = (ClusterSettings::default(), Instant::now());
        let upstream = Upstream::new(web.clone(), settings, Protocol::Http1, hosts, now);
        let mut rule = Rule::new(
            "rule",
            Action::Forward(Backends::new([Backend::new(BackendTarget::Service(
                web.clone(),
            ))])),
        );
        rule.retry = retry;
        let mut routes = RouteTable::default();
        if routed {
            routes.insert(&web, HostTable::of_any(Rules::new([rule])));
        }
        let upstreams = UpstreamTable::from_iter([upstream]);
        let mut router = Router::new(Watch::fixed(routes), upstreams, Answers);
        let mut counts = Vec::new();
        for _ in 0..3 {
            let request = request(&web);
            let region = Region::new(ALLOC);
            let Ok(response) = router.call(request).await;
            let mut body = response.into_body();
            while let Some(frame) =
                std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
            {
                frame.unwrap();
            }
            drop(body);
            counts.push(region.change().allocations + region.change().reallocations);
        }
        println!("{name}: {counts:?}");
        assert!(counts[2] <= most, "{name}: {counts:?}");
    }
}
