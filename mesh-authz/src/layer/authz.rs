//! Authorization of every request of a connection.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use mesh_core::clock::{SystemClock, WallClock};
use tower_layer::Layer;
use tower_service::Service;

use super::audit::{AuditFields, AuditRecord, AuditedConnection};
use super::authorizer::{RequestAuthorizer, RequestDecision, RequestDenial, RequestVerdict};
use super::counter::Counter;
use super::extensions::request_claims;
use super::future::ResponseFuture;
use super::ready;
use super::reply::Reply;
use super::sink::Sink;
use crate::claims::VerifiedClaims;

/// Asks a [`RequestAuthorizer`] about every request. What it denies is answered with 403
/// (400 for malformed requests) and recorded.
///
/// **Order:** inside `AuthnLayer`, because policies read verified claims; outside of everything that
/// acts on requests, such as retries, so that nothing does before the decision.
#[derive(Clone)]
pub struct AuthzLayer<A> {
    authorizer: A,
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Shared {
    sink: Arc<dyn Sink>,
    clock: Arc<dyn WallClock>,
    fields: AuditFields,
    connection: Option<Arc<AuditedConnection>>,
}

impl<A> AuthzLayer<A> {
    /// A layer for the requests of one connection.
    #[must_use]
    pub fn new(authorizer: A, sink: Arc<dyn Sink>) -> Self {
        let shared = Shared {
            sink,
            clock: Arc::new(SystemClock),
            fields: AuditFields::default(),
            connection: None,
        };
        Self {
            authorizer,
            shared: Arc::new(shared),
        }
    }

    /// With what records have of requests. Default: the method, the host and the path only.
    #[must_use]
    pub fn with_audit(mut self, fields: AuditFields) -> Self {
        Arc::make_mut(&mut self.shared).fields = fields;
        self
    }

    /// With the connection of the requests, for records.
    #[must_use]
    pub fn with_connection(mut self, connection: AuditedConnection) -> Self {
        Arc::make_mut(&mut self.shared).connection = Some(Arc::new(connection));
        self
    }

    /// With another clock than the system's, for records.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn WallClock>) -> Self {
        Arc::make_mut(&mut self.shared).clock = clock;
        self
    }
}

impl<A: Clone, S> Layer<S> for AuthzLayer<A> {
    type Service = Authz<A, S>;

    fn layer(&self, inner: S) -> Authz<A, S> {
        Authz {
            authorizer: self.authorizer.clone(),
            shared: self.shared.clone(),
            inner,
        }
    }
}

/// The service of [`AuthzLayer`].
#[derive(Clone)]
pub struct Authz<A, S> {
    authorizer: A,
    shared: Arc<Shared>,
    inner: S,
}

impl<A, S, B, R> Service<Request<B>> for Authz<A, S>
where
    A: RequestAuthorizer,
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
        let claims = request_claims(&parts.extensions).cloned();
        let raw = parts.uri.clone();
        let decision = self.authorizer.decide(&mut parts, claims.as_deref());
        let denial = self.shared.report(&decision);
        if denial.is_some() || decision.audit.is_some() {
            let raw = raw.path_and_query().map_or("", |target| target.as_str());
            self.shared.record(decision, &parts, raw, claims.as_deref());
        }
        match denial {
            None => ResponseFuture::inner(self.inner.call(Request::from_parts(parts, body))),
            Some(denial) => {
                ready::release(&mut self.inner);
                ResponseFuture::local(reply(denial).to(&parts))
            }
        }
    }
}

impl Shared {
    /// Counts a decision, and gives why it denies.
    fn report(&self, decision: &RequestDecision) -> Option<RequestDenial> {
        let denial = match decision.verdict {
            RequestVerdict::Allow => None,
            RequestVerdict::Deny(denial) => Some(denial),
        };
        let policy = decision.by.as_ref().map(|by| by.policy.clone());
        self.sink.count(&Counter::Decision { denial, policy });
        if decision.would_deny {
            self.sink.count(&Counter::WouldDeny);
        }
        denial
    }

    fn record(
        &self,
        decision: RequestDecision,
        parts: &http::request::Parts,
        raw: &str,
        claims: Option<&VerifiedClaims>,
    ) {
        let mut record =
            AuditRecord::new(self.clock.now(), decision, parts, raw, claims, &self.fields);
        record.connection = self.connection.clone();
        self.sink.audit(&record);
    }
}

fn reply(denial: RequestDenial) -> Reply {
    match denial {
        RequestDenial::Malformed => Reply::new(StatusCode::BAD_REQUEST, "Bad Request"),
        RequestDenial::Explicit
        | RequestDenial::NoneAllowed
        | RequestDenial::External
        | RequestDenial::Incomplete => Reply::denied(),
    }
}

impl<A> fmt::Debug for AuthzLayer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthzLayer").finish_non_exhaustive()
    }
}

impl<A, S> fmt::Debug for Authz<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authz").finish_non_exhaustive()
    }
}
