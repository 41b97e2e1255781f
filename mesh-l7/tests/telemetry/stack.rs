//! What the tests put around the layer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as _, Frame};
use mesh_core::exposition::{Format, Writer};
use mesh_core::model::{Workload, WorkloadSpec};
use mesh_core::name::Name;
use mesh_l7::body::{Body, BodyError};
use mesh_l7::downstream::Downstream;
use mesh_l7::record::Entry;
use mesh_l7::target::ServiceTarget;
use mesh_l7::telemetry::{Metrics, Needs, Sink, Workloads};
use parking_lot::Mutex;
use tower_service::Service;

pub(crate) type BoxFuture =
    Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A service that answers by a function.
#[derive(Clone)]
pub(crate) struct Answer<F>(pub(crate) F);

impl<F, A> Service<Request<Body>> for Answer<F>
where
    F: FnMut(Request<Body>) -> A,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> BoxFuture {
        let answer = (self.0)(request);
        Box::pin(async move { Ok(answer.await) })
    }
}

/// Frames, then the end, an error, or nothing ever.
pub(crate) struct Frames {
    frames: std::vec::IntoIter<Frame<Bytes>>,
    then: Then,
}

#[derive(Clone, Copy)]
pub(crate) enum Then {
    End,
    Error,
    Hang,
}

impl Frames {
    pub(crate) fn body(frames: Vec<Frame<Bytes>>, then: Then) -> Body {
        let frames = frames.into_iter();
        Body::new(Self { frames, then })
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match (self.frames.next(), self.then) {
            (Some(frame), _) => Poll::Ready(Some(Ok(frame))),
            (None, Then::End) => Poll::Ready(None),
            (None, Then::Error) => Poll::Ready(Some(Err(BodyError::new("reset")))),
            (None, Then::Hang) => Poll::Pending,
        }
    }
}

pub(crate) fn data(bytes: &'static [u8]) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(bytes))
}

pub(crate) fn trailers(lines: &[(&'static str, &str)]) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    for (name, value) in lines {
        trailers.insert(*name, value.parse().unwrap());
    }
    Frame::trailers(trailers)
}

/// Reads a body as far as it goes at once.
pub(crate) fn read(body: &mut Body) {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    while let Poll::Ready(Some(Ok(_))) = Pin::new(&mut *body).poll_frame(&mut cx) {}
}

/// Keeps all records.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) needs: Needs,
    pub(crate) entries: Mutex<Vec<Entry>>,
}

impl Sink for Kept {
    fn needs(&self) -> Needs {
        self.needs.clone()
    }

    fn complete(&self, entry: &Entry) {
        self.entries.lock().push(entry.clone());
    }
}

impl Kept {
    /// The only record.
    pub(crate) fn one(&self) -> Entry {
        let entries = self.entries.lock();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries[0].clone()
    }
}

/// A deployment's pod at 10.0.0.`at`.
pub(crate) fn workload(name: &str, at: u8) -> Arc<Workload> {
    Arc::new(Workload::new(WorkloadSpec {
        uid: format!("c1//Pod/{name}-ns/{name}-1").into(),
        name: format!("{name}-1").into(),
        namespace: format!("{name}-ns").into(),
        trust_domain: "td".into(),
        service_account: format!("{name}-sa").into(),
        workload_name: name.into(),
        canonical_name: format!("{name}-app").into(),
        canonical_revision: format!("{name}-v1").into(),
        cluster_id: format!("{name}-c1").into(),
        ips: vec![[10, 0, 0, at].into()],
        ..WorkloadSpec::default()
    }))
}

/// The client at 10.0.0.1 and the server at 10.0.0.2.
#[derive(Debug)]
pub(crate) struct Two {
    pub(crate) client: Arc<Workload>,
    pub(crate) server: Arc<Workload>,
}

impl Default for Two {
    fn default() -> Self {
        Self {
            client: workload("client", 1),
            server: workload("server", 2),
        }
    }
}

impl Workloads for Two {
    fn workload(&self, address: std::net::IpAddr) -> Option<Arc<Workload>> {
        let all = [&self.client, &self.server];
        let found = all.into_iter().find(|each| each.ips().contains(&address));
        found.cloned()
    }

    fn service_name(&self, _: &str, hostname: &str) -> Option<Name> {
        (hostname == "named.example").then(|| "the-name".into())
    }
}

pub(crate) fn target(hostname: &str) -> ServiceTarget {
    ServiceTarget {
        namespace: "shop".into(),
        hostname: hostname.into(),
        port: 80,
        subset: None,
    }
}

pub(crate) fn downstream() -> Downstream {
    let address = |at: u8, port| std::net::SocketAddr::from(([10, 0, 0, at], port));
    Downstream::new(address(1, 4711), address(99, 80))
        .with_identity("spiffe://td/ns/client-ns/sa/client-sa".parse().ok())
        .with_service(target("web.shop.svc.cluster.local"))
}

/// A record of a GET that was answered with 200 by the server.
pub(crate) fn entry(two: &Two) -> Entry {
    let mut entry = Entry::new(Instant::now());
    entry.downstream = Some(Arc::new(downstream()));
    entry.source = Some(two.client.clone());
    entry.destination = Some(two.server.clone());
    entry.status = Some(http::StatusCode::OK);
    entry
}

/// The samples of a metric.
pub(crate) fn samples(metrics: &Metrics, name: &str) -> Vec<String> {
    let mut writer = Writer::new(Format::Prometheus, String::new());
    metrics.write(&mut writer);
    let page = writer.finish();
    let of_name = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    page.lines().filter(of_name).map(str::to_owned).collect()
}
