//! A mesh of one service whose hosts answer what a test says.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as _, Frame};
use mesh_core::lb::{Balancing, Cluster, HostSpec};
use mesh_core::limits::{BreakerSettings, CircuitBreaker};
use mesh_core::watch::Watch;
use mesh_l7::attempt::{Attempt, AttemptError};
use mesh_l7::body::{Body, BodyError};
use mesh_l7::record::{Entry, Record};
use mesh_l7::route::{
    Action, Backend, BackendTarget, Backends, HostTable, RouteTable, Rule, Rules,
};
use mesh_l7::router::{Router, RouterSettings};
use mesh_l7::target::ServiceTarget;
use mesh_l7::upstream::{ClusterSettings, Protocol, Upstream, Upstreams};
use tower_service::Service;

pub(crate) type Answer = Result<Response<Body>, AttemptError>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A client that asks a function, and remembers what it was asked.
#[derive(Clone)]
pub(crate) struct Client {
    answer: Arc<dyn Fn(u32, Request<Body>) -> Answering + Send + Sync>,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
}

/// An attempt as the client saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) host: String,
    pub(crate) uri: http::Uri,
    pub(crate) headers: http::HeaderMap,
    pub(crate) at: tokio::time::Instant,
}

impl Client {
    /// Asked for the number of the attempt, from 1, and the request.
    pub(crate) fn new<F, T>(answer: F) -> Self
    where
        F: Fn(u32, Request<Body>) -> T + Send + Sync + 'static,
        T: Future<Output = Answer> + Send + 'static,
    {
        Self {
            answer: Arc::new(move |attempt, request| Box::pin(answer(attempt, request))),
            seen: Arc::default(),
        }
    }

    pub(crate) fn attempts(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Service<Attempt<()>> for Client {
    type Response = Response<Body>;
    type Error = AttemptError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<()>) -> Answering {
        let mut seen = self.seen.lock().unwrap();
        seen.push(Seen {
            host: attempt.host.spec().key.to_string(),
            uri: attempt.request.uri().clone(),
            headers: attempt.request.headers().clone(),
            at: tokio::time::Instant::now(),
        });
        let number = u32::try_from(seen.len()).unwrap();
        drop(seen);
        (self.answer)(number, attempt.request)
    }
}

/// Upstreams by the host name of their service.
#[derive(Clone, Default)]
pub(crate) struct Table(HashMap<String, Arc<Upstream<()>>>);

impl Upstreams<()> for Table {
    fn upstream(&self, target: &ServiceTarget) -> Option<Arc<Upstream<()>>> {
        self.0.get(target.hostname.as_str()).cloned()
    }
}

/// A mesh of one service, `web`, with one rule.
pub(crate) struct Mesh {
    pub(crate) rule: Rule,
    pub(crate) hosts: usize,
    pub(crate) breaker: BreakerSettings,
    pub(crate) settings: ClusterSettings,
    pub(crate) router: RouterSettings,
}

pub(crate) fn web() -> ServiceTarget {
    ServiceTarget {
        namespace: "shop".into(),
        hostname: "web".into(),
        port: 80,
        subset: None,
    }
}

pub(crate) fn to(hostname: &str) -> Backend {
    Backend::new(BackendTarget::Service(ServiceTarget {
        hostname: hostname.into(),
        ..web()
    }))
}

pub(crate) fn forward() -> Rule {
    Rule::new("rule", Action::Forward(Backends::new([to("web")])))
}

impl Mesh {
    pub(crate) fn new(rule: Rule) -> Self {
        Self {
            rule,
            hosts: 3,
            breaker: BreakerSettings::default(),
            settings: ClusterSettings::default(),
            router: RouterSettings::default().with_service(web()),
        }
    }

    pub(crate) fn upstream(&self) -> Arc<Upstream<()>> {
        let hosts = (1..=self.hosts).map(|n| HostSpec::new(format!("10.0.0.{n}:80"), ()));
        let balancing: Balancing = self.settings.balancing.clone();
        let now = tokio::time::Instant::now().into_std();
        Arc::new(Upstream {
            target: web(),
            settings: self.settings.clone(),
            protocol: Protocol::Http1,
            cluster: Arc::new(Cluster::new(balancing, hosts.collect(), now, &mut || 0)),
            breaker: CircuitBreaker::new(self.breaker.clone()),
        })
    }

    pub(crate) fn router(&self, client: &Client) -> Router<(), Table, Client> {
        self.router_over(&[self.upstream()], client)
    }

    pub(crate) fn router_over(
        &self,
        upstreams: &[Arc<Upstream<()>>],
        client: &Client,
    ) -> Router<(), Table, Client> {
        let upstreams = upstreams.iter();
        let named = upstreams.map(|one| (one.target.hostname.to_string(), one.clone()));
        let mut routes = RouteTable::default();
        let rules = Rules::new([self.rule.clone()]);
        routes.insert(&web(), HostTable::of_any(rules));
        let routes = Watch::fixed(routes);
        let table = Table(named.collect());
        Router::with_settings(routes, table, client.clone(), self.router.clone())
    }
}

/// A request with a record of its own.
pub(crate) fn recorded<B: Into<Body>>(request: Request<B>) -> (Request<Body>, Record) {
    let record = Record::new(tokio::time::Instant::now().into_std());
    let mut request = request.map(Into::into);
    request.extensions_mut().insert(record.clone());
    (request, record)
}

pub(crate) fn get() -> Request<Body> {
    Request::get("/")
        .header("host", "web")
        .body(Body::empty())
        .unwrap()
}

pub(crate) fn grpc() -> Request<Body> {
    Request::post("/pkg.Service/Method")
        .header("host", "web")
        .header("content-type", "application/grpc")
        .body(Body::empty())
        .unwrap()
}

pub(crate) fn answer(status: u16) -> Answer {
    Ok(Response::builder()
        .status(status)
        .body(Body::empty())
        .unwrap())
}

/// The next frame of a body.
pub(crate) async fn frame(body: &mut Body) -> Option<Result<Frame<Bytes>, BodyError>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

/// All bytes of a body, and its trailers.
pub(crate) async fn collect(mut body: Body) -> Result<(Bytes, Option<HeaderMap>), BodyError> {
    let (mut all, mut trailers) = (Vec::new(), None);
    while let Some(frame) = frame(&mut body).await {
        match frame?.into_data() {
            Ok(data) => all.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((all.into(), trailers))
}

/// All bytes of a body.
pub(crate) async fn bytes(body: Body) -> Result<Bytes, BodyError> {
    collect(body).await.map(|(bytes, _)| bytes)
}

/// A body of dots, each after so many milliseconds.
pub(crate) struct Drip {
    waits: std::vec::IntoIter<u64>,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    end: Option<Ended>,
}

enum Ended {
    Trailers,
    Broken,
}

impl Drip {
    pub(crate) fn new(waits: impl IntoIterator<Item = u64>) -> Self {
        let waits: Vec<u64> = waits.into_iter().collect();
        Self {
            waits: waits.into_iter(),
            sleep: None,
            end: None,
        }
    }

    /// Ends with the trailer `x-end: 1`.
    pub(crate) fn with_trailers(mut self) -> Self {
        self.end = Some(Ended::Trailers);
        self
    }

    /// Ends with an error.
    pub(crate) fn broken(mut self) -> Self {
        self.end = Some(Ended::Broken);
        self
    }
}

impl http_body::Body for Drip {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.sleep.is_none() {
            let Some(wait) = self.waits.next() else {
                return Poll::Ready(self.end.take().map(|end| match end {
                    Ended::Trailers => {
                        let mut trailers = HeaderMap::new();
                        trailers.insert("x-end", "1".parse().unwrap());
                        Ok(Frame::trailers(trailers))
                    }
                    Ended::Broken => Err(io("broken off")),
                }));
            };
            self.sleep = Some(Box::pin(tokio::time::sleep(millis(wait))));
        }
        let sleep = self.sleep.as_mut().unwrap();
        std::task::ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b".")))))
    }
}

/// Asks a router once.
pub(crate) async fn ask(
    mut router: Router<(), Table, Client>,
    request: Request<Body>,
) -> (Response<Body>, Entry) {
    let (request, record) = recorded(request);
    let Ok(response) = router.call(request).await;
    let entry = record.note(|entry| entry.clone());
    (response, entry)
}

pub(crate) fn io(text: &'static str) -> Box<dyn std::error::Error + Send + Sync> {
    text.into()
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
