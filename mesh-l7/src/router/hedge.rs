//! Requests that are sent to another host as well when the first one takes long.

mod body;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, Method, Request, Response};
use http_body::Body as _;
use mesh_core::lb::{Event, Host, Pick};
use mesh_core::limits::Permit;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::chance::Chance;
use super::commit::Held;
use super::number;
use crate::attempt::{Attempt, AttemptError};
use crate::body::Body;
use crate::record::Record;
use crate::upstream::Upstream;

const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
/// How often another host is looked for than the one that takes long.
const RESELECTIONS: u32 = 5;

type Answer = Result<Response<Body>, AttemptError>;

/// A client that sends a request to another host of its upstream as well when there is no answer after
/// [`ClusterSettings::hedge`](crate::upstream::ClusterSettings::hedge). The first good answer, one below 500, counts, and what is asked of the
/// other host is dropped; where none is good, what the first host says.
///
/// Only requests that change nothing and have no body (GET, HEAD, OPTIONS) are sent twice, each once, and only where
/// another host can be chosen and the retry budget of the upstream's circuit breaker has room: the second copy
/// counts as a retry, and as a request. Where nothing is said about hedging, requests pass at no cost.
///
/// **Order:** inside of [`Router`](super::Router), around the client.
///
/// Source: J. Dean and L. A. Barroso, "The Tail at Scale", hedged requests.
#[derive(Clone, Debug)]
pub struct Hedge<A> {
    client: A,
    chance: Chance,
}

/// The answer was given by another host than the attempt was for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elsewhere;

impl<A> Hedge<A> {
    /// Around a client.
    #[must_use]
    pub fn new(client: A) -> Self {
        Self::with_chance(client, Chance::default())
    }

    /// With a choice of the other host by these numbers.
    #[must_use]
    pub fn with_chance(client: A, chance: Chance) -> Self {
        Self { client, chance }
    }
}

impl<E, A> Service<Attempt<E>> for Hedge<A>
where
    E: Send + Sync + 'static,
    A: Service<Attempt<E>, Response = Response<Body>, Error = AttemptError>,
    A: Clone + Send + 'static,
    A::Future: Send,
{
    type Response = Response<Body>;
    type Error = AttemptError;
    type Future = HedgeFuture<A::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, attempt: Attempt<E>) -> Self::Future {
        let after = attempt.upstream.settings.hedge;
        let Some(after) = after.filter(|_| may_be_sent_twice(&attempt.request)) else {
            let future = self.client.call(attempt);
            return HedgeFuture {
                state: State::Once { future },
            };
        };
        let fresh = self.client.clone();
        let ready = std::mem::replace(&mut self.client, fresh);
        let future = Box::pin(hedged(ready, attempt, after, self.chance.clone()));
        HedgeFuture {
            state: State::Hedged { future },
        }
    }
}

fn may_be_sent_twice(request: &Request<Body>) -> bool {
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS];
    safe.contains(request.method())
        && request.body().is_end_stream()
        && !request.headers().contains_key(http::header::UPGRADE)
}

/// The same request at another host, as long as it has not been sent.
struct Second<E> {
    upstream: Arc<Upstream<E>>,
    first: Arc<Host<E>>,
    request: Request<Body>,
}

/// What the second copy holds, and whom it is asked of.
struct Reserved<E> {
    host: Arc<Host<E>>,
    held: Held,
    _retry: Permit,
}

impl<E> Second<E> {
    fn of(attempt: &Attempt<E>) -> Self {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = attempt.request.method().clone();
        *request.uri_mut() = attempt.request.uri().clone();
        *request.version_mut() = attempt.request.version();
        *request.headers_mut() = attempt.request.headers().clone();
        *request.extensions_mut() = attempt.request.extensions().clone();
        Self {
            upstream: attempt.upstream.clone(),
            first: attempt.host.clone(),
            request,
        }
    }

    /// A place for it; `None` when there is none, or no other host.
    fn reserve(&self, chance: &mut Chance) -> Option<Reserved<E>> {
        let tried = [self.first.clone()];
        let mut pick = Pick::default();
        pick.tried = &tried;
        pick.reselections = RESELECTIONS;
        let now = Instant::now().into_std();
        let host = self.upstream.cluster.pick(&pick, now, chance)?;
        if host.is(&self.first) {
            return None;
        }
        let request = self.upstream.breaker.request()?;
        let retry = self.upstream.breaker.retry()?;
        let held = Held::new(request, host.begin());
        Some(Reserved {
            host,
            held,
            _retry: retry,
        })
    }

    /// What is asked of this host.
    fn attempt(mut self, host: Arc<Host<E>>) -> Attempt<E> {
        let count = self.request.headers().get(ATTEMPT_COUNT);
        let count: Option<u64> = count.and_then(|count| count.to_str().ok()?.parse().ok());
        let count = number::value(count.unwrap_or(1).saturating_add(1));
        self.request.headers_mut().insert(ATTEMPT_COUNT, count);
        Attempt {
            upstream: self.upstream,
            host,
            request: self.request,
        }
    }
}

async fn hedged<E, A>(
    mut client: A,
    attempt: Attempt<E>,
    after: Duration,
    mut chance: Chance,
) -> Answer
where
    E: Send + Sync + 'static,
    A: Service<Attempt<E>, Response = Response<Body>, Error = AttemptError> + Clone,
{
    let second = Second::of(&attempt);
    let (upstream, record) = (
        second.upstream.clone(),
        Record::of(second.request.extensions()).cloned(),
    );
    let first_host = attempt.host.clone();
    let mut other = client.clone();
    let mut first = pin!(client.call(attempt));
    tokio::select! {
        biased;
        answer = &mut first => return answer,
        () = tokio::time::sleep(after) => {}
    }
    let Some(reserved) = second.reserve(&mut chance) else {
        return first.await;
    };
    if let Some(record) = &record {
        record.note(|entry| entry.attempts = entry.attempts.saturating_add(1));
    }
    let (began, host) = (Instant::now(), reserved.host.clone());
    let copy = second.attempt(host.clone());
    let mut hedge = pin!(async {
        poll_fn(|cx| other.poll_ready(cx)).await?;
        other.call(copy).await
    });
    let tell = |host: &Host<E>, answer: &Answer, chance: &mut Chance| {
        let now = Instant::now().into_std();
        upstream.cluster.report(host, event(answer), now, chance);
    };
    let answer = tokio::select! {
        biased;
        answer = &mut first => {
            if is_good(&answer) {
                return answer;
            }
            let copied = hedge.await;
            tell(&host, &copied, &mut chance);
            if !is_good(&copied) {
                return answer;
            }
            // Of the first host nobody else tells: the answer is not its own.
            tell(&first_host, &answer, &mut chance);
            copied
        }
        answer = &mut hedge => {
            tell(&host, &answer, &mut chance);
            if !is_good(&answer) {
                return first.await;
            }
            answer
        }
    };
    upstream
        .cluster
        .observe(&host, began.elapsed(), Instant::now().into_std());
    if let Some(record) = &record {
        record.note(|entry| entry.host = Some(host.spec().key.clone()));
    }
    let mut response = answer?;
    response.extensions_mut().insert(Elsewhere);
    Ok(response.map(|body| body::holding(body, reserved.held)))
}

fn is_good(answer: &Answer) -> bool {
    answer
        .as_ref()
        .is_ok_and(|response| !response.status().is_server_error())
}

fn event(answer: &Answer) -> Event {
    match answer {
        Ok(response) => Event::of_status(response.status().as_u16()),
        Err(_) => Event::NoAnswer,
    }
}

pin_project! {
    /// The answer of [`Hedge`] on its way.
    pub struct HedgeFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Once { #[pin] future: F },
        Hedged { future: Pin<Box<dyn Future<Output = Answer> + Send>> },
    }
}

impl<F: Future<Output = Answer>> Future for HedgeFuture<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        match self.project().state.project() {
            StateProjection::Once { future } => future.poll(cx),
            StateProjection::Hedged { future } => future.as_mut().poll(cx),
        }
    }
}

impl<F> fmt::Debug for HedgeFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeFuture").finish_non_exhaustive()
    }
}
