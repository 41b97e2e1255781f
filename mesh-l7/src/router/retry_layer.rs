//! Retries as a layer of their own, for those who need no routes.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use mesh_core::clock::{SystemClock, WallClock};
use mesh_core::limits::{BreakerSettings, CircuitBreaker, RetryBudget};
use tower_layer::Layer;
use tower_service::Service;

use super::chance::Chance;
use super::decide::{self, Ended, Next};
use super::outgoing::Outgoing;
use super::replay::Memory;
use super::retry_after;
use crate::body::Body;
use crate::record::Record;
use crate::route::{NoResponse, RetryPolicy};

/// Bytes of bodies that all requests of a layer keep together.
const MEMORY: usize = 256 * 1024 * 1024;

/// Sends requests again whose answers, or lack of one, a [`RetryPolicy`] wants to be tried again: with its pauses,
/// what `Retry-After` asks for, and within a budget, so that retries do not make an overload worse. Bodies are passed on as they come, and
/// kept up to [`RetryPolicy::buffer`].
///
/// An error of the inner service is not tried again unless [`with_failures`](Self::with_failures) tells what it
/// means. Clones, and services of one layer, share the budget.
///
/// **Order:** outside of [`TimeoutLayer`](super::TimeoutLayer) for the time of an attempt, inside of another one for the time of all.
///
/// ```
/// use std::convert::Infallible;
/// use std::future::{Ready, ready};
/// use std::task::{Context, Poll};
///
/// use http::{Request, Response, StatusCode};
/// use mesh_l7::body::Body;
/// use mesh_l7::route::{RetryOn, RetryPolicy};
/// use mesh_l7::router::RetryLayer;
/// use tower_layer::Layer;
/// use tower_service::Service;
///
/// /// Fails every other time.
/// #[derive(Clone, Default)]
/// struct Shaky(std::sync::Arc<std::sync::atomic::AtomicU32>);
/// impl Service<Request<Body>> for Shaky {
///     type Response = Response<Body>;
///     type Error = Infallible;
///     type Future = Ready<Result<Response<Body>, Infallible>>;
///     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> { Poll::Ready(Ok(())) }
///     fn call(&mut self, _: Request<Body>) -> Self::Future {
///         let odd = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 == 0;
///         let status = if odd { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
///         let mut response = Response::new(Body::empty());
///         *response.status_mut() = status;
///         ready(Ok(response))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), http::Error> {
/// let policy = RetryPolicy { on: RetryOn::GATEWAY_ERROR, ..RetryPolicy::default() };
/// let mut service = RetryLayer::new(policy).layer(Shaky::default());
/// for _ in 0..10 {
///     let Ok(response) = service.call(Request::get("/").body(Body::empty())?).await;
///     assert_eq!(response.status(), StatusCode::OK);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RetryLayer<F = ()>(Arc<Shared<F>>);

/// The service of [`RetryLayer`]. Further attempts wait until a clone of the inner service is ready.
#[derive(Clone, Debug)]
pub struct Retry<S, F = ()> {
    inner: S,
    shared: Arc<Shared<F>>,
}

/// What an error of a service means for retries.
pub trait Failures<E>: Send + Sync {
    /// `None` when it must not be tried again.
    fn no_response(&self, error: &E) -> Option<NoResponse>;
}

/// Nothing is tried again.
impl<E> Failures<E> for () {
    fn no_response(&self, _: &E) -> Option<NoResponse> {
        None
    }
}

impl<E, F: Fn(&E) -> Option<NoResponse> + Send + Sync> Failures<E> for F {
    fn no_response(&self, error: &E) -> Option<NoResponse> {
        self(error)
    }
}

struct Shared<F> {
    policy: RetryPolicy,
    breaker: CircuitBreaker,
    memory: Memory,
    chance: Chance,
    clock: Arc<dyn WallClock>,
    failures: F,
}

impl RetryLayer {
    /// A layer with a budget of 20 percent of the requests, at least 3 at once ([`RetryBudget::default`]).
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        Self::with_budget(policy, RetryBudget::default())
    }

    /// With another budget.
    #[must_use]
    pub fn with_budget(policy: RetryPolicy, budget: RetryBudget) -> Self {
        let mut settings = BreakerSettings::default();
        settings.budget = Some(budget);
        Self(Arc::new(Shared {
            policy,
            breaker: CircuitBreaker::new(settings),
            memory: Memory::new(MEMORY),
            chance: Chance::default(),
            clock: Arc::new(SystemClock),
            failures: (),
        }))
    }

    /// With what errors of the inner service mean: a function from a reference to one to an
    /// `Option<`[`NoResponse`]`>`.
    #[must_use]
    pub fn with_failures<F>(self, failures: F) -> RetryLayer<F> {
        let shared = &*self.0;
        RetryLayer(Arc::new(Shared {
            policy: shared.policy.clone(),
            breaker: shared.breaker.clone(),
            memory: shared.memory.clone(),
            chance: shared.chance.clone(),
            clock: shared.clock.clone(),
            failures,
        }))
    }
}

impl<S, F> Layer<S> for RetryLayer<F> {
    type Service = Retry<S, F>;

    fn layer(&self, inner: S) -> Retry<S, F> {
        let shared = self.0.clone();
        Retry { inner, shared }
    }
}

impl<S, F> Service<Request<Body>> for Retry<S, F>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    F: Failures<S::Error> + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        Box::pin(attempts(ready, self.shared.clone(), request))
    }
}

/// Attempts until one is final. `inner` is ready for the first.
async fn attempts<S, F>(
    mut inner: S,
    shared: Arc<Shared<F>>,
    request: Request<Body>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    F: Failures<S::Error>,
{
    let policy = &shared.policy;
    let (mut parts, body) = request.into_parts();
    if policy.retries == 0 {
        return inner.call(Request::from_parts(parts, body)).await;
    }
    let (extensions, record) = (
        parts.extensions.clone(),
        Record::of(&parts.extensions).cloned(),
    );
    let mut outgoing = Outgoing::new(&mut parts, body, Some(policy.buffer), &shared.memory);
    let _counted = shared.breaker.request();
    let mut retry = None;
    let mut attempts = 0_u32;
    loop {
        attempts = attempts.saturating_add(1);
        let mut request = outgoing.next();
        if attempts > 1 {
            *request.extensions_mut() = extensions.clone();
        }
        let answer = inner.call(request).await;
        drop(retry.take());
        match shared.next(&answer, attempts, outgoing.is_replayable()) {
            Next::Retry(permit, pause) => {
                // Its head, for the next attempt: it is there, as there may be another one.
                if outgoing.lines().is_err() {
                    return answer;
                }
                drop(answer);
                retry = Some(permit);
                if let Some(record) = &record {
                    record.note(|entry| entry.retries = attempts);
                }
                tokio::time::sleep(pause).await;
                poll_fn(|cx| inner.poll_ready(cx)).await?;
            }
            Next::Final(_) => {
                outgoing.settle();
                return answer;
            }
        }
    }
}

impl<F> Shared<F> {
    fn next<E>(&self, answer: &Result<Response<Body>, E>, attempts: u32, replayable: bool) -> Next
    where
        F: Failures<E>,
    {
        let policy = &self.policy;
        let retriable = match answer {
            Ok(response) => policy.retries_response(response.status(), response.headers()),
            Err(error) => {
                let failure = self.failures.no_response(error);
                failure.is_some_and(|failure| policy.retries_failure(failure))
            }
        };
        let asked = match (policy.retry_after, answer) {
            (Some(most), Ok(response)) if retriable => {
                retry_after::asked(response, most, || self.clock.now())
            }
            _ => None,
        };
        let ended = Ended {
            policy: retriable.then_some(policy),
            attempts,
            replayable,
            asked,
            left: None,
        };
        decide::next(&ended, &self.breaker, &mut self.chance.clone())
    }
}

impl<F> fmt::Debug for Shared<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
