//! Layers of a waypoint with an upstream that answers at once, and requests as HTTP/1 leaves them.

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body::Body as _;
use mesh_l7::attempt::{Attempt, AttemptError};
use mesh_l7::body::Body;
use mesh_l7::downstream::Downstream;
use mesh_l7::mesh::Endpoint;
use process::env::Env;
use tower_service::Service;
use waypoint::Layers;

/// `web` has a route, `plain` has none, so that Istio's retries are its. Both have policies; requests may bring
/// tokens.
const MANIFESTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/use-waypoint: wp}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: wp, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
status: {addresses: [{value: 10.0.0.9}]}
---
apiVersion: v1
kind: Pod
metadata: {name: wp-1, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: wp}}
spec: {serviceAccountName: wp}
status: {podIP: 10.0.0.9}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}, annotations: {ambient.istio.io/redirection: enabled}}
status: {podIP: 10.0.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: web-2, namespace: shop, labels: {app: web}, annotations: {ambient.istio.io/redirection: enabled}}
status: {podIP: 10.0.0.3}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: shop, annotations: {ratelimit.waypoint/requests: 4000000000/1s}}
spec: {clusterIP: 10.96.0.2, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: web, port: 80}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /admin}}]
    backendRefs: [{name: plain, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /api}, method: GET}]
    backendRefs: [{name: web, port: 80, weight: 9}, {name: plain, port: 80, weight: 1}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: read, namespace: shop}
spec:
  targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: wp}]
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/client]}}]
    to: [{operation: {methods: [GET], paths: [/api/*]}}]
"#;

static HEAD: &str = "/api/items/42?page=2\n\
    host:web\n\
    user-agent:curl/8.5.0\n\
    accept:*/*\n\
    accept-encoding:gzip, deflate, br\n\
    x-request-id:6f1c3b1e-4a5d-4f0e-8d3e-0c1b2a39485f\n\
    x-forwarded-proto:http\n\
    x-tenant:gold\n\
    traceparent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static ANSWER: [u8; 1024] = [b'x'; 1024];
static NEXT: AtomicU8 = AtomicU8::new(0);

/// Answers 200 with 1 KiB, at once.
#[derive(Clone)]
pub(crate) struct Answers(Arc<[(HeaderName, HeaderValue)]>);

impl Answers {
    pub(crate) fn new() -> Self {
        let headers = [
            (CONTENT_TYPE, "text/plain"),
            (CONTENT_LENGTH, "1024"),
            (DATE, "Mon, 23 Nov 2026 12:00:00 GMT"),
        ];
        let value = |(name, value)| (name, HeaderValue::from_static(value));
        Self(headers.map(value).into())
    }
}

impl Service<Attempt<Endpoint>> for Answers {
    type Response = Response<Body>;
    type Error = AttemptError;
    type Future = Ready<Result<Response<Body>, AttemptError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Attempt<Endpoint>) -> Self::Future {
        let mut response = Response::new(Body::from(Bytes::from_static(&ANSWER)));
        let headers = response.headers_mut();
        headers.reserve(8);
        for (name, value) in &*self.0 {
            headers.insert(name, value.clone());
        }
        ready(Ok(response))
    }
}

/// A directory of manifests, until it is dropped.
pub(crate) struct Manifests(PathBuf);

impl Manifests {
    pub(crate) fn write() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("waypoint-layers-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("mesh.yaml"), MANIFESTS).unwrap();
        Self(directory)
    }

    /// Layers of the manifests.
    pub(crate) fn layers(&self, access_log: &str) -> Layers<Answers> {
        let env = Env::of(&[
            ("PROXY_WORKLOAD_INFO", "shop/wp-1/wp"),
            ("MESH_MANIFESTS", self.0.to_str().unwrap()),
            ("MESH_DEV_CA_DIR", "/nowhere"),
            ("FAKE_CA", "true"),
            ("MESH_ACCESS_LOG", access_log),
        ]);
        Layers::load(&env, Answers::new(), std::io::sink()).unwrap()
    }
}

impl Drop for Manifests {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The layers of a connection of `client` to a service.
pub(crate) fn connection(
    layers: &Layers<Answers>,
    service: &str,
) -> (
    impl Service<Request<Body>, Response = Response<Body>, Error = std::convert::Infallible>
    + Clone
    + use<>,
    Arc<Downstream>,
) {
    let host = format!("{service}.shop.svc.cluster.local");
    let caller = "spiffe://cluster.local/ns/shop/sa/client".parse().unwrap();
    let source = SocketAddr::from(([10, 0, 0, 1], 40_000));
    let downstream = layers.downstream(("shop", &host), 80, (&caller, source));
    let downstream = downstream.unwrap();
    (layers.requests(&downstream).unwrap(), downstream)
}

/// A request as a parser of HTTP/1 leaves it: parts of one buffer.
pub(crate) fn request(downstream: &Arc<Downstream>) -> Request<Body> {
    let buffer = Bytes::from(HEAD.as_bytes().to_vec());
    let mut lines = HEAD.split('\n').map(|line| {
        let start = line.as_ptr() as usize - HEAD.as_ptr() as usize;
        buffer.slice(start..start + line.len())
    });
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_maybe_shared(lines.next().unwrap()).unwrap();
    // As many as the parser makes room for.
    request.headers_mut().reserve(8);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        let name = HeaderName::from_bytes(&line.slice(..colon)).unwrap();
        let value = HeaderValue::from_maybe_shared(line.slice(colon + 1..)).unwrap();
        request.headers_mut().insert(name, value);
    }
    request.extensions_mut().insert(downstream.clone());
    request
}

/// One request through a service, and its answer read to the end; the bytes of the answer.
pub(crate) fn exchange<S>(service: &mut S, request: Request<Body>) -> usize
where
    S: Service<Request<Body>, Response = Response<Body>, Error = std::convert::Infallible>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let future = pin!(service.call(request));
    let Poll::Ready(Ok(mut response)) = future.poll(&mut cx) else {
        panic!("the answer is not there at once");
    };
    assert_eq!(response.status(), 200);
    let mut bytes = 0;
    while let Poll::Ready(Some(frame)) = Pin::new(response.body_mut()).poll_frame(&mut cx) {
        bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    bytes
}
