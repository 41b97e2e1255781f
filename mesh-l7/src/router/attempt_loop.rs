//! Attempts until one is answered, or may not be repeated.

use std::error::Error;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, Response, StatusCode};
use mesh_core::lb::{Event, Host, Pick};
use tokio::time::Instant;
use tower_service::Service;

use super::chance::Chance;
use super::commit::{self, Held};
use super::decide::{self, Ended, Next, Stop};
use super::failure::Failure;
use super::grpc_timeout::{self, GRPC_TIMEOUT, grpc_timeout};
use super::hedge::Elsewhere;
use super::limits::{Activity, TimeLimits, Total};
use super::number;
use super::outgoing::Outgoing;
use super::penalty;
use super::replay::Memory;
use super::retry_after;
use super::settings::RouterSettings;
use crate::attempt::{Attempt, AttemptError};
use crate::body::Body;
use crate::record::{Flags, Record};
use crate::reply::{self, Form, Reply};
use crate::route::{RetryPolicy, Rule};
use crate::upstream::Upstream;

const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const SERVICE_TIME: HeaderName = HeaderName::from_static("x-envoy-upstream-service-time");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// One request and its attempts.
pub(super) struct Exchange<'r, E, A> {
    client: A,
    upstream: Arc<Upstream<E>>,
    rule: &'r Rule,
    record: &'r Record,
    chance: Chance,
    settings: &'r RouterSettings,
    hash: Option<u64>,
    /// Where the first attempt goes, whatever the balancing says.
    kept: Option<Arc<Host<E>>>,
    limits: TimeLimits,
    tried: Vec<Arc<Host<E>>>,
    attempts: u32,
}

impl<'r, E, A> Exchange<'r, E, A>
where
    E: Send + Sync + 'static,
    A: Service<Attempt<E>, Response = Response<Body>, Error = AttemptError>,
{
    /// Time limits are counted from now.
    pub(super) fn new(
        client: A,
        upstream: Arc<Upstream<E>>,
        rule: &'r Rule,
        record: &'r Record,
        settings: &'r RouterSettings,
    ) -> Self {
        Self {
            client,
            upstream,
            rule,
            record,
            chance: settings.chance.clone(),
            settings,
            hash: None,
            kept: None,
            limits: TimeLimits::default(),
            tried: Vec::new(),
            attempts: 0,
        }
    }

    /// Placed by a hash.
    pub(super) fn place(&mut self, hash: Option<u64>) {
        self.hash = hash;
    }

    /// At a host that its session is with.
    pub(super) fn keep(&mut self, host: Option<Arc<Host<E>>>) {
        self.kept = host;
    }

    /// The response, or what the client is told in its place.
    pub(super) async fn run(
        &mut self,
        parts: &mut Parts,
        body: Body,
        memory: &Memory,
    ) -> Result<Response<Body>, Reply> {
        let rule = self.rule;
        let policy = rule.retry.as_ref().filter(|policy| policy.retries > 0);
        let body = self.limit(parts, body);
        let buffer = policy.map(|policy| policy.buffer);
        let mut outgoing = Outgoing::new(parts, body, buffer, memory);
        let mut retry = None;
        loop {
            let (host, held) = match self.reserve(policy) {
                Ok(reserved) => reserved,
                Err(failure) => return Err(self.failed(&failure)),
            };
            let began = Instant::now();
            let answer = self.attempt(&host, &mut outgoing, began).await;
            self.report(&host, &answer, began.elapsed());
            drop(retry.take());
            match (self.next(policy, &answer, outgoing.is_replayable()), answer) {
                (Next::Retry(permit, pause), answer) => {
                    drop((answer, held));
                    retry = Some(permit);
                    self.tried.push(host);
                    self.record.note(|entry| entry.retries += 1);
                    tokio::time::sleep(pause).await;
                }
                (Next::Final(stop), Ok(response)) => {
                    outgoing.settle();
                    self.stopped(stop);
                    return Ok(self.commit(response, held, began));
                }
                (Next::Final(stop), Err(failure)) => {
                    self.stopped(stop);
                    return Err(self.failed(&failure));
                }
            }
        }
    }

    /// Sets the time limits of the request, and has its body watched where that is one of them.
    fn limit(&mut self, parts: &Parts, body: Body) -> Body {
        let timeouts = self.rule.timeouts;
        let now = Instant::now();
        let positive = |limit: &Duration| !limit.is_zero();
        let route = timeouts.request.filter(positive);
        let caller = (Form::of(parts) == Form::Grpc)
            .then(|| parts.headers.get(GRPC_TIMEOUT).and_then(grpc_timeout))
            .flatten();
        self.limits.total = Total::nearer(route, caller, now);
        let idle = timeouts.idle.or(self.settings.stream_idle).filter(positive);
        let longest = self.settings.max_stream_duration.filter(positive);
        if idle.is_none() && longest.is_none() {
            return body;
        }
        let activity = Arc::new(Activity::new(idle, now));
        self.limits.stream = longest.and_then(|limit| now.checked_add(limit));
        self.limits.activity = Some(activity.clone());
        commit::watched(body, activity)
    }

    /// A place in the circuit breaker, and a host.
    fn reserve(&mut self, policy: Option<&RetryPolicy>) -> Result<(Arc<Host<E>>, Held), Failure> {
        let request = self.upstream.breaker.request().ok_or(Failure::Overflow)?;
        let mut pick = Pick::default();
        pick.hash = self.hash;
        pick.tried = &self.tried;
        pick.reselections = policy.map_or(0, |policy| policy.hosts.reselections);
        let now = Instant::now().into_std();
        let host = self.kept.take();
        let host = host.or_else(|| self.upstream.cluster.pick(&pick, now, &mut self.chance));
        let host = host.ok_or(Failure::NoHost)?;
        let held = Held::new(request, host.begin());
        Ok((host, held))
    }

    /// One attempt.
    async fn attempt(
        &mut self,
        host: &Arc<Host<E>>,
        outgoing: &mut Outgoing<'_>,
        now: Instant,
    ) -> Result<Response<Body>, Failure> {
        self.attempts += 1;
        let limit = self.rule.timeouts.attempt.filter(|limit| !limit.is_zero());
        self.limits.attempt = limit.and_then(|limit| now.checked_add(limit));
        let headers = outgoing.lines().map_err(Failure::Attempt)?;
        headers.insert(ATTEMPT_COUNT, number::value(self.attempts.into()));
        let end = [self.limits.attempt, self.limits.total.map(|total| total.at)];
        if let Some(end) = end.into_iter().flatten().min() {
            let left = end.saturating_duration_since(now).as_millis();
            let left = u64::try_from(left).unwrap_or(u64::MAX);
            headers.insert(EXPECTED_TIMEOUT, number::value(left));
        }
        if let Some(total) = self.limits.total
            && headers.contains_key(GRPC_TIMEOUT)
            && let Some(left) = grpc_timeout::value(total.at.saturating_duration_since(now))
        {
            headers.insert(GRPC_TIMEOUT, left);
        }
        let request = outgoing.next();
        self.record.note(|entry| {
            entry.attempts = self.attempts;
            entry.host = Some(host.spec().key.clone());
            entry.sent = Some(now.into_std().saturating_duration_since(entry.start));
        });
        let attempt = Attempt {
            upstream: self.upstream.clone(),
            host: host.clone(),
            request,
        };
        let client = &mut self.client;
        let answer = async {
            poll_fn(|cx| client.poll_ready(cx)).await?;
            client.call(attempt).await
        };
        tokio::select! {
            biased;
            answer = answer => answer.map_err(Failure::Attempt),
            expired = self.limits.wait() => Err(Failure::Expired(expired)),
        }
    }

    /// What came of an attempt, to those who choose hosts.
    fn report(&mut self, host: &Host<E>, answer: &Result<Response<Body>, Failure>, took: Duration) {
        // What a hedge says of both hosts has been told by it.
        if self.upstream.settings.hedge.is_some() && answered_elsewhere(answer) {
            return;
        }
        let now = Instant::now().into_std();
        let event = match answer {
            Ok(response) => Some(event(response)),
            Err(failure) => failure.event(),
        };
        let cluster = &self.upstream.cluster;
        if let Some(event) = event {
            let cost = penalty::cost(took, event, answer.as_ref().ok(), || {
                self.settings.clock.now()
            });
            cluster.observe(host, cost, now);
            cluster.report(host, event, now, &mut self.chance);
        }
    }

    /// Whether there is another attempt.
    fn next(
        &mut self,
        policy: Option<&RetryPolicy>,
        answer: &Result<Response<Body>, Failure>,
        replayable: bool,
    ) -> Next {
        let retriable = policy.filter(|policy| match answer {
            Ok(response) => policy.retries_response(response.status(), response.headers()),
            Err(failure) => {
                let failure = failure.no_response();
                failure.is_some_and(|failure| policy.retries_failure(failure))
            }
        });
        let total = self.limits.total.map(|total| total.at);
        let ended = Ended {
            policy: retriable,
            attempts: self.attempts,
            replayable,
            asked: match (retriable.and_then(|policy| policy.retry_after), answer) {
                (Some(most), Ok(response)) => {
                    retry_after::asked(response, most, || self.settings.clock.now())
                }
                _ => None,
            },
            left: total.map(|total| total.saturating_duration_since(Instant::now())),
        };
        decide::next(&ended, &self.upstream.breaker, &mut self.chance)
    }

    /// Notes why there is no other attempt.
    fn stopped(&self, stop: Stop) {
        let flags = match stop {
            Stop::Exhausted => Flags::RETRIES_EXHAUSTED,
            Stop::Overflow => Flags::OVERFLOW,
            Stop::NotReplayable | Stop::NoTime => Flags::NONE,
            Stop::NotRetriable => return,
        };
        self.record.note(|entry| {
            entry.flags = entry.flags.and(flags);
            entry.not_retried = stop.text();
        });
    }

    /// What the client is told.
    fn failed(&self, failure: &Failure) -> Reply {
        if let Failure::Attempt(error) = failure {
            let words = in_words(error);
            self.record.note(|entry| entry.failure = Some(words));
        }
        failure.reply(self.attempts > 1)
    }

    /// The response as it goes to the client.
    fn commit(
        &mut self,
        mut response: Response<Body>,
        held: Held,
        began: Instant,
    ) -> Response<Body> {
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let headers = response.headers_mut();
        headers.insert(SERVICE_TIME, number::value(took));
        self.record.note(|entry| {
            entry.detail = "via_upstream";
            let now = Instant::now().into_std();
            entry.answered = Some(now.saturating_duration_since(entry.start));
        });
        // What follows a switch of protocols may take any time.
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let limits = TimeLimits {
            attempt: None,
            total: self.limits.total.filter(|_| !switched),
            stream: self.limits.stream,
            activity: self.limits.activity.take(),
        };
        response.map(|body| commit::held(body, held, limits, self.record))
    }
}

fn answered_elsewhere(answer: &Result<Response<Body>, Failure>) -> bool {
    let extensions = answer.as_ref().ok().map(Response::extensions);
    extensions.is_some_and(|extensions| extensions.get::<Elsewhere>().is_some())
}

/// What a response says of its host. A response of gRPC that is headers alone says it by `grpc-status`.
fn event(response: &Response<Body>) -> Event {
    let grpc = response.headers().get(GRPC_STATUS);
    let grpc = grpc.and_then(|value| value.to_str().ok()?.parse().ok());
    let status = grpc.map_or(response.status(), reply::http_status);
    Event::of_status(status.as_u16())
}

/// An error and what it came of.
fn in_words(error: &dyn Error) -> Box<str> {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words.into()
}
