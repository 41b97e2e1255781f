//! Copies of requests for services whose answers nobody reads.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body::Body as _;
use mesh_core::lb::Pick;
use tower_service::Service;

use super::counters::Counters;
use super::shared::Shared;
use super::tee::{Copy, Tee};
use crate::attempt::{Attempt, AttemptError};
use crate::body::Body;
use crate::downstream::Downstream;
use crate::filter::{Mirror, shadow_host};
use crate::hygiene::Admitted;
use crate::matching::Head;
use crate::route::Rule;
use crate::upstream::Upstreams;

const INTERNAL: HeaderName = HeaderName::from_static("x-envoy-internal");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Bytes of an answer that are read, so that its connection can be used again.
const DRAINED: usize = 64 * 1024;
/// The time for a copy where the route has no limit.
const LONGEST: Duration = Duration::from_secs(15);

/// Begins the copies that are drawn for a request. The body that is returned is the request's own; it does
/// not wait for them.
pub(super) fn begin<E, U, A>(
    shared: &Arc<Shared<U>>,
    client: &A,
    rule: &Rule,
    parts: &Parts,
    body: Body,
) -> Body
where
    E: Send + Sync + 'static,
    U: Upstreams<E>,
    A: Service<Attempt<E>, Response = http::Response<Body>, Error = AttemptError>,
    A: Clone + Send + 'static,
    A::Future: Send,
{
    if rule.mirrors.is_empty() || is_upgrade(parts) {
        return body;
    }
    let mut copies = Vec::new();
    for mirror in &rule.mirrors {
        let mut chance = shared.settings.chance.clone();
        if !mirror.share.draw(&mut chance) {
            continue;
        }
        let counters = shared.counters.clone();
        let Some(permit) = shared.mirrors.acquire() else {
            Counters::add(&counters.mirrors_refused);
            continue;
        };
        let Some(attempt) = attempt(shared, mirror, parts) else {
            Counters::add(&counters.mirrors_failed);
            continue;
        };
        let attempt = match body.is_end_stream() {
            true => attempt,
            false => {
                let copy = Copy::new(shared.settings.mirror_buffer);
                copies.push(copy.clone());
                with_body(attempt, copy.reader())
            }
        };
        let time = rule.timeouts.request.filter(|limit| !limit.is_zero());
        let client = client.clone();
        tokio::spawn(async move {
            let sent = tokio::time::timeout(time.unwrap_or(LONGEST), send(client, attempt)).await;
            match sent {
                Ok(Ok(())) => Counters::add(&counters.mirrors_sent),
                Ok(Err(_)) | Err(_) => Counters::add(&counters.mirrors_failed),
            }
            drop(permit);
        });
    }
    match copies.is_empty() {
        true => body,
        false => Body::new(Tee::new(body, copies)),
    }
}

/// Streams that go both ways are not copied.
fn is_upgrade(parts: &Parts) -> bool {
    let admitted = parts.extensions.get::<Admitted>();
    parts.method == Method::CONNECT
        || admitted.is_some_and(|admitted| admitted.upgrade.is_some())
        || parts.headers.contains_key(http::header::UPGRADE)
}

/// The copy without its body; `None` when there is nowhere to send it.
fn attempt<E, U: Upstreams<E>>(
    shared: &Shared<U>,
    mirror: &Mirror,
    parts: &Parts,
) -> Option<Attempt<E>> {
    let upstream = shared.upstreams.upstream(&mirror.target)?;
    let now = tokio::time::Instant::now().into_std();
    let mut chance = shared.settings.chance.clone();
    let host = upstream.cluster.pick(&Pick::default(), now, &mut chance)?;
    let mut request = Request::new(Body::empty());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.version_mut() = parts.version;
    *request.headers_mut() = parts.headers.clone();
    let headers = request.headers_mut();
    let shadow = shadow_host(Head::of(parts).authority);
    headers.insert(HOST, HeaderValue::try_from(shadow).ok()?);
    headers.insert(INTERNAL, HeaderValue::from_static("true"));
    if let Some(address) = shared.settings.address {
        let before = headers.get(FORWARDED_FOR).map(HeaderValue::as_bytes);
        let list = match before {
            Some(before) => [before, b", ", address.to_string().as_bytes()].concat(),
            None => address.to_string().into_bytes(),
        };
        headers.insert(FORWARDED_FOR, HeaderValue::from_bytes(&list).ok()?);
    }
    if let Some(downstream) = Downstream::of(&parts.extensions) {
        request.extensions_mut().insert(downstream.clone());
    }
    if let Some(admitted) = parts.extensions.get::<Admitted>() {
        request.extensions_mut().insert(admitted.clone());
    }
    Some(Attempt {
        upstream,
        host,
        request,
    })
}

fn with_body<E>(mut attempt: Attempt<E>, body: Body) -> Attempt<E> {
    *attempt.request.body_mut() = body;
    attempt
}

/// Sends a copy, and reads a little of the answer.
async fn send<E, A>(mut client: A, attempt: Attempt<E>) -> Result<(), AttemptError>
where
    A: Service<Attempt<E>, Response = http::Response<Body>, Error = AttemptError>,
{
    let _active = attempt.host.begin();
    std::future::poll_fn(|cx| client.poll_ready(cx)).await?;
    let mut body = client.call(attempt).await?.into_body();
    let mut left = DRAINED;
    loop {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        let Some(Ok(frame)) = frame else {
            return Ok(());
        };
        let read = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(read) {
            Some(rest) => left = rest,
            None => return Ok(()),
        }
    }
}
