//! What telemetry costs a request: `cargo bench -p mesh-l7 --bench telemetry`. Times and allocations of one
//! request, with a service behind the layer that does nothing.
#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used)]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, black_box};
use http::{Request, Response};
use http_body::Body as _;
use mesh_core::exposition::{Format as Exposition, Writer};
use mesh_core::model::{Workload, WorkloadSpec};
use mesh_core::name::Name;
use mesh_l7::body::Body;
use mesh_l7::downstream::Downstream;
use mesh_l7::record::{Entry, Record, RequestHead};
use mesh_l7::target::ServiceTarget;
use mesh_l7::telemetry::{
    AccessLog, Format, LogWriter, Metrics, MetricsSettings, Sampling, Sink, TelemetryLayer,
    TracePlace, TraceSettings, Workloads,
};
use tower_layer::Layer;
use tower_service::Service;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Answers with a few bytes.
#[derive(Clone)]
struct Hello;

impl Service<Request<Body>> for Hello {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if let Some(record) = Record::of(request.extensions()) {
            record.note(|entry| {
                entry.host = Some(HOST.with(Clone::clone));
                entry.detail = "via_upstream";
            });
        }
        ready(Ok(Response::new(Body::from(Bytes::from_static(b"hello")))))
    }
}

thread_local! {
    static HOST: Name = "10.0.0.2:8080".into();
}

/// Two workloads that are always there.
#[derive(Debug)]
struct Two(Arc<Workload>, Arc<Workload>);

impl Workloads for Two {
    fn workload(&self, address: std::net::IpAddr) -> Option<Arc<Workload>> {
        let first = self.0.ips().contains(&address);
        Some(if first { &self.0 } else { &self.1 }.clone())
    }

    fn service_name(&self, _: &str, _: &str) -> Option<Name> {
        Some("web".into())
    }
}

fn workload(name: &str, at: u8) -> Arc<Workload> {
    Arc::new(Workload::new(WorkloadSpec {
        name: format!("{name}-7d9f8b6c5-x2x4z").into(),
        namespace: "shop".into(),
        trust_domain: "cluster.local".into(),
        service_account: name.into(),
        workload_name: name.into(),
        canonical_name: name.into(),
        canonical_revision: "v1".into(),
        cluster_id: "Kubernetes".into(),
        ips: vec![[10, 0, 0, at].into()],
        ..WorkloadSpec::default()
    }))
}

fn downstream() -> Arc<Downstream> {
    let address = |at: u8, port| SocketAddr::from(([10, 0, 0, at], port));
    let target = ServiceTarget {
        namespace: "shop".into(),
        hostname: "web.shop.svc.cluster.local".into(),
        port: 80,
        subset: None,
    };
    let downstream = Downstream::new(address(1, 40_000), address(9, 80))
        .with_identity("spiffe://cluster.local/ns/shop/sa/client".parse().ok())
        .with_workload(Some(workload("client", 1)))
        .with_service(target);
    Arc::new(downstream)
}

fn request(downstream: &Arc<Downstream>) -> Request<Body> {
    let mut request = Request::get("/api/items?page=2")
        .header("host", "web.shop:80")
        .header("user-agent", "curl/8.5.0")
        .header("x-request-id", "2f1e5a4e-6f0a-4a53-8d0e-1f9ef4f5b9a1")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        )
        .body(Body::empty())
        .expect("a request");
    request.extensions_mut().insert(downstream.clone());
    request.extensions_mut().insert(Record::new(Instant::now()));
    request
}

/// One request through a service, and its answer read to the end.
fn exchange<S>(service: &mut S, request: Request<Body>)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let future = pin!(service.call(request));
    let Poll::Ready(Ok(mut response)) = future.poll(&mut cx) else {
        return;
    };
    while let Poll::Ready(Some(frame)) = Pin::new(response.body_mut()).poll_frame(&mut cx) {
        let _ = black_box(frame);
    }
}

fn run<S>(bencher: Bencher<'_, '_>, mut service: S)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let downstream = downstream();
    let inputs = bencher.with_inputs(|| request(&downstream));
    inputs.bench_local_values(|request| exchange(&mut service, request));
}

fn layer(sink: Arc<dyn Sink>) -> TelemetryLayer {
    TelemetryLayer::new(sink)
        .with_workloads(Arc::new(Two(workload("client", 1), workload("server", 2))))
}

fn log(format: Format) -> Arc<dyn Sink> {
    let (writer, _) = LogWriter::start(std::io::sink(), 1).expect("a thread");
    Arc::new(AccessLog::new(format, writer))
}

#[derive(Debug)]
struct Nothing;

impl Sink for Nothing {
    fn complete(&self, _: &Entry) {}
}

/// The floor: what the other benches of requests are more than.
#[divan::bench]
fn without_telemetry(bencher: Bencher<'_, '_>) {
    run(bencher, Hello);
}

#[divan::bench]
fn layer_alone(bencher: Bencher<'_, '_>) {
    let settings = TraceSettings {
        place: TracePlace::None,
        ..TraceSettings::default()
    };
    run(
        bencher,
        layer(Arc::new(Nothing)).with_trace(settings).layer(Hello),
    );
}

#[divan::bench]
fn layer_and_trace(bencher: Bencher<'_, '_>) {
    run(bencher, layer(Arc::new(Nothing)).layer(Hello));
}

#[divan::bench]
fn layer_trace_and_metrics(bencher: Bencher<'_, '_>) {
    let metrics = Arc::new(Metrics::new(MetricsSettings::default()));
    run(bencher, layer(metrics).layer(Hello));
}

#[divan::bench]
fn layer_trace_metrics_and_text(bencher: Bencher<'_, '_>) {
    let metrics: Arc<dyn Sink> = Arc::new(Metrics::new(MetricsSettings::default()));
    let sinks = vec![metrics, log(Format::istio_text())];
    run(bencher, layer(Arc::new(sinks)).layer(Hello));
}

#[divan::bench]
fn layer_trace_metrics_and_json(bencher: Bencher<'_, '_>) {
    let metrics: Arc<dyn Sink> = Arc::new(Metrics::new(MetricsSettings::default()));
    let sinks = vec![metrics, log(Format::istio_json())];
    run(bencher, layer(Arc::new(sinks)).layer(Hello));
}

/// A complete record.
fn entry() -> Entry {
    let downstream = downstream();
    let mut entry = Entry::new(Instant::now());
    let wanted = ["user-agent", "x-request-id"].map(|name| name.parse().expect("a name"));
    entry.request = Some(RequestHead::of(&request(&downstream), &wanted));
    entry.source.clone_from(&downstream.workload);
    entry.destination = Some(workload("server", 2));
    entry.target.clone_from(&downstream.service);
    entry.downstream = Some(downstream);
    entry.host = Some("10.0.0.2:8080".into());
    entry.status = Some(http::StatusCode::OK);
    entry.ended = Some(Duration::from_micros(1_700));
    entry
}

fn complete(bencher: Bencher<'_, '_>, sink: &dyn Sink) {
    let entry = entry();
    bencher.bench_local(|| sink.complete(black_box(&entry)));
}

#[divan::bench]
fn metrics_of_a_record(bencher: Bencher<'_, '_>) {
    complete(bencher, &Metrics::new(MetricsSettings::default()));
}

#[divan::bench]
fn text_of_a_record(bencher: Bencher<'_, '_>) {
    complete(bencher, &*log(Format::istio_text()));
}

#[divan::bench]
fn json_of_a_record(bencher: Bencher<'_, '_>) {
    complete(bencher, &*log(Format::istio_json()));
}

#[divan::bench]
fn record_that_is_not_sampled(bencher: Bencher<'_, '_>) {
    let (writer, _) = LogWriter::start(std::io::sink(), 1).expect("a thread");
    let log = AccessLog::new(Format::istio_text(), writer).with_sampling(Sampling {
        successful: 0,
        ..Sampling::default()
    });
    complete(bencher, &log);
}

/// A page of all metrics, by the number of sets of labels.
#[divan::bench(args = [10, 1_000])]
fn page(bencher: Bencher<'_, '_>, series: u16) {
    let metrics = Metrics::new(MetricsSettings::default());
    for place in 0..series {
        let mut entry = entry();
        entry.status = http::StatusCode::from_u16(100 + place % 900).ok();
        entry.grpc = place >= 900;
        metrics.complete(&entry);
    }
    bencher.bench_local(|| {
        let mut writer = Writer::new(Exposition::Prometheus, String::new());
        metrics.write(&mut writer);
        writer.finish().len()
    });
}
