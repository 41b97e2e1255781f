//! Authorization of every request of a connection.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use mesh_core::clock::{SystemClock, WallClock};
use tower_layer::Layer;
use tower_service::Service;

use super::audit::{AuditFields, AuditedConnection};
use super::authorizer::RequestAuthorizer;
use super::extensions::request_claims;
use super::future::ResponseFuture;
use super::ready;
use super::report::Report;
use super::sink::Sink;

/// Asks a [`RequestAuthorizer`] about every request. What it denies is answered with 403
/// (400 for malformed requests, or as the decision says) and recorded.
///
/// **Order:** inside `AuthnLayer`, because policies read verified claims; outside of everything that
/// acts on requests, such as retries, so that nothing does before the decision.
#[derive(Clone)]
pub struct AuthzLayer<A> {
    pub(super) authorizer: A,
    pub(super) report: Arc<Report>,
}

impl<A> AuthzLayer<A> {
    /// A layer for the requests of one connection.
    #[must_use]
    pub fn new(authorizer: A, sink: Arc<dyn Sink>) -> Self {
        let report = Report {
            sink,
            clock: Arc::new(SystemClock),
            fields: AuditFields::default(),
            connection: None,
        };
        Self {
            authorizer,
            report: Arc::new(report),
        }
    }

    /// With what records have of requests. Default: the method, the host and the path only.
    #[must_use]
    pub fn with_audit(mut self, fields: AuditFields) -> Self {
        Arc::make_mut(&mut self.report).fields = fields;
        self
    }

    /// With the connection of the requests, for records.
    #[must_use]
    pub fn with_connection(mut self, connection: AuditedConnection) -> Self {
        Arc::make_mut(&mut self.report).connection = Some(Arc::new(connection));
        self
    }

    /// With another clock than the system's, for records.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn WallClock>) -> Self {
        Arc::make_mut(&mut self.report).clock = clock;
        self
    }
}

impl<A: Clone, S> Layer<S> for AuthzLayer<A> {
    type Service = Authz<A, S>;

    fn layer(&self, inner: S) -> Authz<A, S> {
        Authz {
            authorizer: self.authorizer.clone(),
            report: self.report.clone(),
            inner,
        }
    }
}

/// The service of [`AuthzLayer`].
#[derive(Clone)]
pub struct Authz<A, S> {
    authorizer: A,
    report: Arc<Report>,
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
        let denial = self.report.of(decision, &parts, &raw, claims.as_deref());
        match denial {
            None => ResponseFuture::inner(self.inner.call(Request::from_parts(parts, body))),
            Some(reply) => {
                ready::release(&mut self.inner);
                ResponseFuture::local(reply.to(&parts))
            }
        }
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
