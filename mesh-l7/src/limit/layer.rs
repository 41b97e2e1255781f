//! The layer that asks limits about requests.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use mesh_core::random::ThreadRandom;
use mesh_core::watch::Watch;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::buckets::Verdict;
use super::settings::{Exhausted, LocalLimit};
use super::standing::Standing;
use super::table::RateLimits;
use crate::downstream::Downstream;
use crate::record::{Flags, Record};
use crate::reply::{Form, Reply};
use crate::target::ServiceTarget;

/// Refuses requests that come too often.
///
/// **Order:** inside of authorization, so that what is denied takes no tokens; outside of the router, so that
/// a request counts once, however often it is tried.
#[derive(Clone, Debug)]
pub struct RateLimitLayer {
    limits: Watch<RateLimits>,
    service: Option<ServiceTarget>,
}

/// The service of [`RateLimitLayer`]. The inner service must be one whose clones are as good as itself: a
/// request that is refused lets go of what the inner service has reserved.
#[derive(Clone, Debug)]
pub struct RateLimit<S> {
    pub(super) inner: S,
    pub(super) limits: Watch<RateLimits>,
    pub(super) service: Option<ServiceTarget>,
}

impl RateLimitLayer {
    /// A layer that asks these limits.
    #[must_use]
    pub fn new(limits: Watch<RateLimits>) -> Self {
        Self {
            limits,
            service: None,
        }
    }

    /// With the service that requests go to which came on no connection to one.
    #[must_use]
    pub fn with_service(mut self, service: ServiceTarget) -> Self {
        self.service = Some(service);
        self
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit {
            inner,
            limits: self.limits.clone(),
            service: self.service.clone(),
        }
    }
}

impl<S> RateLimit<S> {
    /// What becomes of a request; the answer when it is refused.
    fn decide(&self, parts: &mut Parts) -> Result<Option<Standing>, Refused> {
        let limits = self.limits.load();
        let downstream = Downstream::of(&parts.extensions).cloned();
        let service = downstream.as_ref().and_then(|it| it.service.as_ref());
        let mut standing: Option<Standing> = None;
        for buckets in limits.of(service.or(self.service.as_ref())) {
            let said = match buckets.decide(parts, now(), &mut ThreadRandom) {
                Verdict::Apart => None,
                Verdict::Passes(said) => said,
                Verdict::Unenforced(said) => {
                    buckets
                        .settings
                        .unenforced_headers
                        .apply(&mut parts.headers);
                    said
                }
                Verdict::Limited(standing) => return Err(Refused::of(&buckets.settings, standing)),
            };
            standing = said.map(|said| said.tighter(standing)).or(standing);
        }
        Ok(standing)
    }
}

/// The runtime's clock, which tests may stop.
#[cfg(feature = "serve")]
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(not(feature = "serve"))]
fn now() -> Instant {
    Instant::now()
}

/// The answer to a request that is refused.
struct Refused(Reply);

impl Refused {
    fn of(limit: &LocalLimit, standing: Option<Standing>) -> Self {
        let status = match limit.status.as_u16() {
            ..400 => StatusCode::TOO_MANY_REQUESTS,
            _ => limit.status,
        };
        let mut headers = HeaderMap::new();
        if let Some(standing) = standing {
            standing.write_refusal(&mut headers);
        }
        limit.response_headers.apply(&mut headers);
        let reply = Reply::new(status, "local_rate_limited")
            .with_body(limit.body.clone())
            .with_flags(Flags::RATE_LIMITED)
            .with_headers(headers);
        Self(match limit.grpc {
            Exhausted::Unavailable => reply,
            Exhausted::ResourceExhausted => reply.with_grpc_status(8),
        })
    }

    fn response<B: From<Bytes>>(self, parts: &Parts) -> Response<B> {
        let form = Form::of(parts);
        match Record::of(&parts.extensions) {
            Some(record) => self.0.answer(form, record),
            None => self.0.response(form),
        }
    }
}

impl<S, B, R> Service<Request<B>> for RateLimit<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let state = match self.decide(&mut parts) {
            Ok(standing) => State::Passed {
                response: self.inner.call(Request::from_parts(parts, body)),
                standing,
            },
            Err(refused) => {
                self.inner = self.inner.clone();
                State::Refused {
                    response: Some(refused.response(&parts)),
                }
            }
        };
        ResponseFuture { state }
    }
}

pin_project! {
    /// The response of [`RateLimit`].
    pub struct ResponseFuture<F, R> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, R> {
        Passed {
            #[pin]
            response: F,
            standing: Option<Standing>,
        },
        Refused {
            // Gone once it has been given.
            response: Option<Response<R>>,
        },
    }
}

impl<F, R, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().state.project() {
            StateProjection::Passed { response, standing } => {
                let mut response = ready!(response.poll(cx))?;
                if let Some(standing) = standing {
                    standing.write(response.headers_mut());
                }
                Poll::Ready(Ok(response))
            }
            // A future must not be polled after it has ended: then it never ends again.
            StateProjection::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
        }
    }
}

impl<F, R> fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
