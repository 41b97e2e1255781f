//! The layer that follows requests.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use mesh_core::random::ThreadRandom;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::grpc;
use super::sink::{Needs, Sink};
use super::trace::TraceSettings;
use super::watched::{Side, Watched};
use super::workloads::Workloads;
use crate::body::Body;
use crate::downstream::Downstream;
use crate::record::{Captured, Entry, Flags, Observer, Open, Record, RequestHead, head_size};

/// Follows each request until both directions are done, reset or dropped, and gives its record to a
/// [`Sink`].
///
/// - A request without a [`Record`] gets one, which begins then; one without a [`Downstream`] comes from
///   nobody that is known.
/// - Bytes of both bodies and messages of gRPC are counted as they pass; gRPC's status is taken from the
///   trailers, or from the head of a response that is nothing else.
/// - The request goes on with this proxy's place in its trace: [`TraceSettings`].
/// - Where the service's future is dropped before it answers, or the response's body before its end, the
///   client is gone: flag `DC`.
/// - A response to HEAD, and one with status 1xx, 204 or 304, is complete with its head. Whoever turns a
///   connection into a tunnel keeps the record open: [`Record::open`].
///
/// A request costs an allocation for the record, and one for each body that has something to come.
///
/// **Order**: outside of everything, inside of what serves connections, because what other layers answer is
/// to be seen too.
#[derive(Clone, Debug)]
pub struct TelemetryLayer {
    shared: Arc<Shared>,
}

/// The service of [`TelemetryLayer`].
#[derive(Clone, Debug)]
pub struct Telemetry<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// What all requests have in common.
#[derive(Clone, Debug)]
struct Shared {
    sink: Arc<dyn Sink>,
    needs: Arc<Needs>,
    workloads: Option<Arc<dyn Workloads>>,
    trace: TraceSettings,
}

impl TelemetryLayer {
    /// Gives records to a sink.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        let needs = Arc::new(sink.needs());
        Self {
            shared: Arc::new(Shared {
                sink,
                needs,
                workloads: None,
                trace: TraceSettings::default(),
            }),
        }
    }

    /// Who is told of requests that never come to the layer, such as
    /// [`ServerSettings::refusals`](crate::serve::ServerSettings::refusals): they go where the others go.
    #[must_use]
    pub fn observer(&self) -> Arc<dyn Observer> {
        self.shared.clone()
    }

    /// What is done about traces.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceSettings) -> Self {
        Arc::make_mut(&mut self.shared).trace = trace;
        self
    }

    /// Looks up there who the two ends are, where records do not say it.
    #[must_use]
    pub fn with_workloads(mut self, workloads: Arc<dyn Workloads>) -> Self {
        Arc::make_mut(&mut self.shared).workloads = Some(workloads);
        self
    }
}

impl<S> Layer<S> for TelemetryLayer {
    type Service = Telemetry<S>;

    fn layer(&self, inner: S) -> Telemetry<S> {
        Telemetry {
            inner,
            shared: self.shared.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Telemetry<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (request, unanswered) = self.shared.begin(request);
        ResponseFuture {
            inner: self.inner.call(request),
            unanswered,
        }
    }
}

impl Shared {
    fn begin(self: &Arc<Self>, mut request: Request<Body>) -> (Request<Body>, Unanswered) {
        let record = match Record::of(request.extensions()) {
            Some(record) => record.clone(),
            None => {
                let record = Record::new(Instant::now());
                request.extensions_mut().insert(record.clone());
                record
            }
        };
        let head = RequestHead::of(&request, &self.needs.request_headers);
        // After the head, which is kept as it came.
        let trace = self.trace.pass_on(request.headers_mut(), &mut ThreadRandom);
        let grpc = grpc::is_grpc(request.headers());
        let downstream = Downstream::of(request.extensions()).cloned();
        let no_body = request.body().is_end_stream();
        let bodiless = request.method() == Method::HEAD;
        record.note(|entry| {
            entry.request = Some(head);
            entry.grpc = grpc;
            entry.trace = trace;
            entry.downstream = downstream;
            if no_body {
                entry.received = Some(entry.start.elapsed());
            }
        });
        record.observe(self.clone());
        let unanswered = Unanswered {
            open: Some(record.open()),
            grpc,
            bodiless,
            needs: self.needs.clone(),
        };
        let request = request.map(|body| Watched::body(body, record.open(), grpc, Side::Request));
        (request, unanswered)
    }
}

impl Observer for Shared {
    fn ended(&self, entry: &mut Entry) {
        let downstream = entry.downstream.as_deref();
        let source = downstream.and_then(|downstream| downstream.workload.clone());
        let look_up = |at: Option<IpAddr>| self.workloads.as_ref()?.workload(at?);
        let source = source.or_else(|| look_up(downstream.map(|from| from.source.ip())));
        if entry.destination.is_none() {
            let asked = || downstream?.service.as_ref()?.workload();
            let host = entry.host.as_deref().and_then(address);
            entry.destination = look_up(host.or_else(asked));
        }
        entry.source = source;
        self.sink.complete(entry);
    }
}

/// The address that a host is known by, with its port or without.
fn address(key: &str) -> Option<IpAddr> {
    let with_port = key.parse().map(|address: SocketAddr| address.ip());
    with_port.or_else(|_| key.parse()).ok()
}

pin_project! {
    /// The answer of the service behind a [`Telemetry`], which is then followed to its end.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        unanswered: Unanswered,
    }
}

/// A request that has no answer yet. When it is dropped so, the client is gone.
struct Unanswered {
    open: Option<Open>,
    grpc: bool,
    bodiless: bool,
    needs: Arc<Needs>,
}

impl Unanswered {
    fn answer(&mut self, response: Response<Body>) -> Response<Body> {
        let Some(open) = self.open.take() else {
            return response;
        };
        let status = response.status();
        let headers = response.headers();
        // `HTTP/1.1 200 OK` and the empty line at the end.
        let line = status.canonical_reason().map_or(0, str::len) + 13 + 4;
        let size = head_size(headers).saturating_add(u64::try_from(line).unwrap_or(0));
        let captured = Captured::of(headers, &self.needs.response_headers);
        let grpc_status = if self.grpc {
            grpc::status(headers)
        } else {
            None
        };
        open.record().note(|entry| {
            entry.status = Some(status);
            entry.grpc_status = grpc_status;
            entry.response.headers = captured;
            entry.response.bytes = size;
        });
        let bodiless = self.bodiless
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if bodiless {
            return response;
        }
        let side = Side::Response(self.needs.clone());
        response.map(|body| Watched::body(body, open, self.grpc, side))
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open.record()
                .note(|entry| entry.flags = entry.flags.and(Flags::CLIENT_GONE));
        }
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        Poll::Ready(match ready!(this.inner.poll(cx)) {
            Ok(response) => Ok(this.unanswered.answer(response)),
            Err(error) => {
                this.unanswered.open = None;
                Err(error)
            }
        })
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
