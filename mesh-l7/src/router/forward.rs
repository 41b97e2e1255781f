//! One request, from its head to the head of its response.

use std::sync::Arc;

use http::header::{HOST, LOCATION, SET_COOKIE, VARY};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use mesh_core::lb::Host;
use mesh_core::target::Target;
use tower_service::Service;

use super::attempt_loop::Exchange;
use super::chance::Chance;
use super::choice::Choice;
use super::commit;
use super::hash::Placement;
use super::mirror;
use super::session::Session;
use super::settings::{OriginalTarget, RouterSettings};
use super::shared::Shared;
use crate::attempt::{Attempt, AttemptError};
use crate::body::Body;
use crate::downstream::Downstream;
use crate::filter::{Abort, CorsAnswer, Redirect};
use crate::matching::{Head, PathMatch};
use crate::record::{Flags, Record};
use crate::reply::{Form, Reply, http_status};
use crate::route::{Action, Backend, BackendTarget, DirectResponse, InvalidBackend, Rule};
use crate::upstream::{Upstream, Upstreams};

const ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");
const ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-envoy-original-host");
/// gRPC's status of a service that cannot be reached.
const UNAVAILABLE: u8 = 14;

/// Answers a request.
pub(super) async fn respond<E, U, A>(
    shared: Arc<Shared<U>>,
    client: A,
    request: Request<Body>,
) -> Response<Body>
where
    E: Send + Sync + 'static,
    U: Upstreams<E>,
    A: Service<Attempt<E>, Response = Response<Body>, Error = AttemptError>,
    A: Clone + Send + 'static,
    A::Future: Send,
{
    let (mut parts, mut body) = request.into_parts();
    let form = Form::of(&parts);
    let (record, made) = record(&mut parts);
    let mut gone = commit::Gone::watch(&record);
    // Lent, not given: futures would keep a copy of the head for each function that it is given to.
    let message = (&mut parts, &mut body);
    let mut response = match routed(&shared, client, message, form, &record).await {
        Ok(response) => response,
        Err(reply) => reply.answer(form, &record),
    };
    gone.stays();
    if made == Made::Here {
        response.extensions_mut().insert(record);
    }
    response
}

/// Who made the record of a request.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Made {
    Before,
    Here,
}

fn record(parts: &mut Parts) -> (Record, Made) {
    if let Some(record) = Record::of(&parts.extensions) {
        return (record.clone(), Made::Before);
    }
    let record = Record::new(tokio::time::Instant::now().into_std());
    parts.extensions.insert(record.clone());
    (record, Made::Here)
}

async fn routed<E, U, A>(
    shared: &Arc<Shared<U>>,
    client: A,
    (parts, body): (&mut Parts, &mut Body),
    form: Form,
    record: &Record,
) -> Result<Response<Body>, Reply>
where
    E: Send + Sync + 'static,
    U: Upstreams<E>,
    A: Service<Attempt<E>, Response = Response<Body>, Error = AttemptError>,
    A: Clone + Send + 'static,
    A::Future: Send,
{
    let choice = choose(shared, parts).ok_or_else(no_route)?;
    record.note(|entry| entry.rule = Some(choice.rule.clone()));
    let allowed = cross_origin(&choice.rule, parts)?;
    let answer = forwarded(shared, client, (parts, body), &choice, record).await;
    let mut response = answer.unwrap_or_else(|reply| reply.answer(form, record));
    allow(response.headers_mut(), allowed);
    Ok(response)
}

async fn forwarded<E, U, A>(
    shared: &Arc<Shared<U>>,
    client: A,
    (parts, body): (&mut Parts, &mut Body),
    choice: &Choice,
    record: &Record,
) -> Result<Response<Body>, Reply>
where
    E: Send + Sync + 'static,
    U: Upstreams<E>,
    A: Service<Attempt<E>, Response = Response<Body>, Error = AttemptError>,
    A: Clone + Send + 'static,
    A::Future: Send,
{
    let rule = &*choice.rule;
    let mut chance = shared.settings.chance.clone();
    faults(rule, &mut chance, record).await?;
    let session = rule.session.as_deref();
    let session = session.map(|session| Session::of(session, parts, &shared.settings));
    let kept = session
        .as_ref()
        .and_then(|session| kept(shared, rule, session));
    let (backend, host) = match kept {
        Some((backend, host)) => (backend, Some(host)),
        None => (backend(choice, parts, &mut chance)?, None),
    };
    let upstream = upstream(shared, rule, backend, record)?;
    change(parts, choice, backend, &shared.settings)?;
    let inputs = match &*rule.hash {
        [] => &*upstream.settings.hashing.inputs,
        inputs => inputs,
    };
    let placement = Placement::of(inputs, parts, &mut chance);
    let body = mirror::begin(shared, &client, rule, parts, std::mem::take(body));
    let mut exchange = Exchange::new(client, upstream, rule, record, &shared.settings);
    exchange.place(placement.hash);
    exchange.keep(host);
    let mut response = exchange.run(parts, body, &shared.memory).await?;
    if let Some(cookie) = placement.cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    let answered = session.zip(record.note(|entry| entry.host.clone()));
    if let Some((name, value)) = answered.and_then(|(session, host)| session.header(&host)) {
        response.headers_mut().append(name, value);
    }
    backend.response_headers.apply(response.headers_mut());
    rule.response_headers.apply(response.headers_mut());
    Ok(response)
}

/// The rule, from the routes as they are now.
fn choose<U>(shared: &Shared<U>, parts: &Parts) -> Option<Choice> {
    let downstream = Downstream::of(&parts.extensions);
    let service = downstream.and_then(|downstream| downstream.service.as_ref());
    let service = service.or(shared.settings.service.as_ref())?;
    let identity = downstream.and_then(|downstream| downstream.identity.as_ref());
    let client = identity.map(|identity| identity.namespace().as_str());
    let routes = shared.routes.load().of_client(service, client);
    Choice::of(&routes, parts)
}

fn no_route() -> Reply {
    Reply::new(StatusCode::NOT_FOUND, "route_not_found").with_flags(Flags::NO_ROUTE)
}

/// Headers for the response to a page of another origin, or the answer to its question.
fn cross_origin(rule: &Rule, parts: &Parts) -> Result<HeaderMap, Reply> {
    let Some(cors) = &rule.cors else {
        return Ok(HeaderMap::new());
    };
    match cors.decide(&parts.method, &parts.headers) {
        CorsAnswer::Forwarded(headers) => Ok(headers),
        CorsAnswer::Answered(status, headers) => {
            Err(Reply::new(status, "cors_response").with_headers(headers))
        }
    }
}

/// Puts these in place of what the upstream says; what else the answer depends on stays.
fn allow(headers: &mut HeaderMap, allowed: HeaderMap) {
    for (name, value) in &allowed {
        if name == VARY {
            headers.append(name, value.clone());
        } else {
            headers.insert(name, value.clone());
        }
    }
}

/// Delays, and then fails, the requests that are drawn for it. Nothing of an upstream is held meanwhile.
async fn faults(rule: &Rule, chance: &mut Chance, record: &Record) -> Result<(), Reply> {
    let Some(fault) = &rule.fault else {
        return Ok(());
    };
    let faults = fault.draw(chance);
    if let Some(delay) = faults.delay {
        record.note(|entry| entry.flags = entry.flags.and(Flags::FAULT_DELAY));
        tokio::time::sleep(delay).await;
    }
    faults.abort.map_or(Ok(()), |abort| Err(aborted(abort)))
}

fn aborted(abort: Abort) -> Reply {
    let status = abort
        .grpc
        .map_or(abort.status, |grpc| http_status(u32::from(grpc)));
    let reply = Reply::new(status, "fault_filter_abort")
        .with_body("fault filter abort")
        .with_flags(Flags::FAULT_ABORT);
    match abort.grpc {
        Some(grpc) => reply.with_grpc_status(grpc),
        None => reply,
    }
}

/// The backend and the host that a session is with, if they may still be used.
fn kept<'r, E, U: Upstreams<E>>(
    shared: &Shared<U>,
    rule: &'r Rule,
    session: &Session<'_>,
) -> Option<(&'r Backend, Arc<Host<E>>)> {
    let Action::Forward(backends) = &rule.action else {
        return None;
    };
    let usable = backends
        .entries()
        .iter()
        .filter(|backend| backend.weight > 0);
    usable.into_iter().find_map(|backend| {
        let BackendTarget::Service(target) = &backend.target else {
            return None;
        };
        let host = session.host(&*shared.upstreams.upstream(target)?)?;
        Some((backend, host))
    })
}

/// The backend that the request goes to, or the answer where it goes nowhere.
fn backend<'c>(
    choice: &'c Choice,
    parts: &Parts,
    chance: &mut Chance,
) -> Result<&'c Backend, Reply> {
    match &choice.rule.action {
        Action::Forward(backends) => {
            let unusable = || server_error("no_backend").with_grpc_status(UNAVAILABLE);
            backends.draw(chance).ok_or_else(unusable)
        }
        Action::Redirect(redirect) => Err(redirected(redirect, choice, parts)),
        Action::Respond(response) => Err(direct(response, &choice.rule)),
    }
}

fn server_error(detail: &'static str) -> Reply {
    Reply::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
}

fn redirected(redirect: &Redirect, choice: &Choice, parts: &Parts) -> Reply {
    let location = redirect.location(&Head::of(parts), choice.path());
    let location = location
        .ok()
        .and_then(|text| HeaderValue::try_from(text).ok());
    let Some(location) = location else {
        return server_error("invalid_redirect");
    };
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, location);
    choice.rule.response_headers.apply(&mut headers);
    Reply::new(redirect.status, "direct_response").with_headers(headers)
}

fn direct(response: &DirectResponse, rule: &Rule) -> Reply {
    let mut headers = HeaderMap::new();
    rule.response_headers.apply(&mut headers);
    Reply::new(response.status, "direct_response")
        .with_headers(headers)
        .with_body(response.body.clone())
}

fn upstream<E, U: Upstreams<E>>(
    shared: &Shared<U>,
    rule: &Rule,
    backend: &Backend,
    record: &Record,
) -> Result<Arc<Upstream<E>>, Reply> {
    let target = match &backend.target {
        BackendTarget::Service(target) => target,
        BackendTarget::Invalid(InvalidBackend::NotFound | InvalidBackend::Subset)
            if rule.origin.kind == "VirtualService" =>
        {
            return Err(no_cluster(rule));
        }
        BackendTarget::Invalid(invalid) => {
            let reply = Reply::new(invalid.status(), "invalid_backend");
            return Err(reply.with_grpc_status(UNAVAILABLE));
        }
    };
    record.note(|entry| entry.target = Some(target.clone()));
    let found = shared.upstreams.upstream(target);
    found.ok_or_else(|| no_cluster(rule))
}

/// The Gateway API wants 500 for a backend that does not exist; Envoy answers 503.
fn no_cluster(rule: &Rule) -> Reply {
    let status = match rule.origin.kind {
        "HTTPRoute" | "GRPCRoute" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Reply::new(status, "cluster_not_found")
        .with_flags(Flags::NO_CLUSTER)
        .with_grpc_status(UNAVAILABLE)
}

/// Changes headers and target as the rule and then the backend say.
fn change(
    parts: &mut Parts,
    choice: &Choice,
    backend: &Backend,
    settings: &RouterSettings,
) -> Result<(), Reply> {
    let rule = &*choice.rule;
    if rule.rewrite.is_some() && rewrite(parts, rule, choice.path(), settings).is_none() {
        return Err(server_error("invalid_rewrite"));
    }
    rule.request_headers.apply(&mut parts.headers);
    backend.request_headers.apply(&mut parts.headers);
    Ok(())
}

/// `None` when what comes out is no target.
fn rewrite(
    parts: &mut Parts,
    rule: &Rule,
    matched: Option<&PathMatch>,
    settings: &RouterSettings,
) -> Option<()> {
    let rewrite = rule.rewrite.as_deref()?;
    let sent = settings.original == OriginalTarget::Sent;
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    if let Some(before) = &uri.path_and_query
        && let Some(changed) = rewrite.target(before, matched).ok()?
    {
        let target = Target::normalize(changed.as_str().as_bytes(), settings.target_rules).ok()?;
        let changed = PathAndQuery::try_from(target.as_str()).ok()?;
        if sent {
            let before = HeaderValue::try_from(before.as_str()).ok()?;
            parts.headers.insert(ORIGINAL_PATH, before);
        }
        uri.path_and_query = Some(changed);
    }
    if let Some(host) = &rewrite.host {
        let value = HeaderValue::try_from(host.as_str()).ok()?;
        if let Some(before) = parts.headers.insert(HOST, value)
            && sent
        {
            parts.headers.insert(ORIGINAL_HOST, before);
        }
        if uri.authority.is_some() {
            uri.authority = Some(Authority::try_from(host.as_str()).ok()?);
        }
    }
    parts.uri = Uri::from_parts(uri).ok()?;
    Some(())
}
