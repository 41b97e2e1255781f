//! Time limits as a layer of their own, for those who need no routes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::commit::{self, Held};
use super::failure::Failure;
use super::grpc_timeout::{GRPC_TIMEOUT, grpc_timeout};
use super::limits::{Activity, TimeLimits, Total};
use crate::body::Body;
use crate::record::Record;
use crate::reply::Form;

/// Bounds the time of requests. When it is over before the response begins, the answer is 504 (`upstream request timeout`; 408 `stream timeout` where
/// the client is what nothing came from), in the form that gRPC wants where it is a call; after that, the body of the response fails. What
/// the inner service does is dropped. A caller's `grpc-timeout` holds where it is nearer.
///
/// **Order:** outside of [`RetryLayer`](super::RetryLayer) for the time of all attempts; inside of it for the time of
/// each, whose 504 the condition [`GATEWAY_ERROR`](crate::route::RetryOn::GATEWAY_ERROR) has tried again.
///
/// ```
/// use std::convert::Infallible;
/// use std::future::{Pending, pending};
/// use std::task::{Context, Poll};
/// use std::time::Duration;
///
/// use http::{Request, Response, StatusCode};
/// use mesh_l7::body::Body;
/// use mesh_l7::router::TimeoutLayer;
/// use tower_layer::Layer;
/// use tower_service::Service;
///
/// struct Silent;
/// impl Service<Request<Body>> for Silent {
///     type Response = Response<Body>;
///     type Error = Infallible;
///     type Future = Pending<Result<Response<Body>, Infallible>>;
///     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> { Poll::Ready(Ok(())) }
///     fn call(&mut self, _: Request<Body>) -> Self::Future { pending() }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), http::Error> {
/// let mut service = TimeoutLayer::new(Duration::from_secs(2)).layer(Silent);
/// let Ok(response) = service.call(Request::get("/").body(Body::empty())?).await;
/// assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    request: Option<Duration>,
    idle: Option<Duration>,
}

/// The service of [`TimeoutLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Timeout<S> {
    inner: S,
    limits: TimeoutLayer,
}

/// The response of [`Timeout`].
pub struct TimeoutFuture<E>(Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>);

impl TimeoutLayer {
    /// From the head of a request to the end of its response; zero for any time.
    #[must_use]
    pub const fn new(request: Duration) -> Self {
        let idle = None;
        Self {
            request: positive(request),
            idle,
        }
    }

    /// With a limit for the time in which no byte moves in either direction; zero for any time.
    #[must_use]
    pub const fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = positive(idle);
        self
    }
}

const fn positive(limit: Duration) -> Option<Duration> {
    match limit.is_zero() {
        true => None,
        false => Some(limit),
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        let limits = *self;
        Timeout { inner, limits }
    }
}

impl<S> Service<Request<Body>> for Timeout<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = TimeoutFuture<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let form = Form::of(&parts);
        let now = Instant::now();
        let caller = (form == Form::Grpc)
            .then(|| parts.headers.get(GRPC_TIMEOUT).and_then(grpc_timeout))
            .flatten();
        let activity = self
            .limits
            .idle
            .map(|idle| Arc::new(Activity::new(Some(idle), now)));
        let limits = TimeLimits {
            total: Total::nearer(self.limits.request, caller, now),
            activity: activity.clone(),
            ..TimeLimits::default()
        };
        let body = match activity {
            Some(activity) => commit::watched(body, activity),
            None => body,
        };
        let record = Record::of(&parts.extensions).cloned();
        let record = record.unwrap_or_else(|| Record::new(now.into_std()));
        let answer = self.inner.call(Request::from_parts(parts, body));
        TimeoutFuture(Box::pin(in_time(answer, limits, form, record)))
    }
}

async fn in_time<E>(
    answer: impl Future<Output = Result<Response<Body>, E>>,
    mut limits: TimeLimits,
    form: Form,
    record: Record,
) -> Result<Response<Body>, E> {
    tokio::select! {
        biased;
        answer = answer => {
            let response = answer?;
            // What follows a switch of protocols may take any time.
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                limits.total = None;
            }
            Ok(response.map(|body| commit::held(body, Held::nothing(), limits, &record)))
        }
        expired = limits.wait() => {
            let reply = Failure::Expired(expired).reply(false);
            Ok(reply.answer(form, &record))
        }
    }
}

impl<E> Future for TimeoutFuture<E> {
    type Output = Result<Response<Body>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<E> fmt::Debug for TimeoutFuture<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture").finish_non_exhaustive()
    }
}
