//! CUSTOM policies: external authorizers asked about requests.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, Uri};
use mesh_core::name::Name;
use mesh_core::watch::Watch;
use tower_layer::Layer;
use tower_service::Service;

use super::authorizer::{DecidedBy, RequestDecision, RequestDenial};
use super::authz::AuthzLayer;
use super::future::ResponseFuture;
use super::head;
use super::passed::Passed;
use super::policies::RequestPolicies;
use super::prepared::Prepared;
use super::provider::ExternalProvider;
use super::ready;
use super::refusal::Refusal;
use super::reply::Reply;
use super::report::Report;
use crate::external::HeaderChanges;

mod asking;

use asking::Asked;
pub use asking::CustomFuture;

/// Asks the external authorizers that CUSTOM policies name about a request, in the order of their
/// names, until one denies. Made by [`AuthzLayer::custom`].
///
/// The answer of the one that denies goes to the client. What one that allows wants of the request's headers is done, and the
/// next one is asked about the changed request. One that is not known denies with 403; for
/// one that fails, see [`ExternalProvider`]. A request that no CUSTOM policy is about passes at once.
///
/// **Order:** outside of `AuthnLayer`, as Istio's proxies have it: CUSTOM policies know nothing of
/// tokens but the headers they come in. The [`AuthzLayer`] that made it must be inside: the
/// ALLOW and DENY policies decide there.
///
/// **Cancellation:** dropping the future of a request gives up the question, and the request.
#[derive(Clone)]
pub struct CustomLayer(Arc<Shared>);

struct Shared {
    policies: RequestPolicies,
    providers: Watch<HashMap<Name, ExternalProvider>>,
    report: Arc<Report>,
}

impl AuthzLayer<RequestPolicies> {
    /// The layer that asks these providers for the CUSTOM policies, and reports as this one does.
    #[must_use]
    pub fn custom(&self, providers: Watch<HashMap<Name, ExternalProvider>>) -> CustomLayer {
        CustomLayer(Arc::new(Shared {
            policies: self.authorizer.clone(),
            providers,
            report: self.report.clone(),
        }))
    }
}

impl<S> Layer<S> for CustomLayer {
    type Service = Custom<S>;

    fn layer(&self, inner: S) -> Custom<S> {
        let shared = self.0.clone();
        Custom { shared, inner }
    }
}

/// The service of [`CustomLayer`]. While a request waits for an answer, the inner service stays
/// reserved for it.
#[derive(Clone)]
pub struct Custom<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Custom<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = CustomFuture<S, B, S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = &self.shared;
        let prepared = shared.policies.prepared();
        if !prepared.asks {
            let future = self.inner.call(request);
            return CustomFuture::done(ResponseFuture::inner(future));
        }
        let (mut parts, body) = request.into_parts();
        let raw = parts.uri.clone();
        let named = |request: &crate::Request<'_>| shared.policies.providers(&prepared, request);
        let ask = match shared.policies.read(&mut parts, named) {
            // The layer inside finds out the same: that is cheaper than telling it.
            Ok(named) if named.is_empty() => {
                let future = self.inner.call(Request::from_parts(parts, body));
                return CustomFuture::done(ResponseFuture::inner(future));
            }
            Ok(named) => Box::pin(shared.clone().ask(parts, raw, prepared, named)),
            Err(reply) => {
                let denied = RequestDecision::deny(RequestDenial::Malformed).with_reply(reply);
                let reply = shared.report.of(denied, &parts, &raw, None);
                let reply = reply.unwrap_or_else(Reply::denied);
                ready::release(&mut self.inner);
                return CustomFuture::done(ResponseFuture::local(reply.to(&parts)));
            }
        };
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        CustomFuture::asking(ask, ready, body)
    }
}

impl Shared {
    fn note(&self, parts: &mut Parts, prepared: Arc<Prepared>, by: Vec<Name>) {
        Passed::note(
            &mut parts.extensions,
            self.policies.connection(),
            prepared,
            by,
        );
    }

    /// Asks the providers in `named` about the request `parts`, whose URI was `raw`, and those that the request
    /// as it is changed on the way brings up.
    async fn ask(
        self: Arc<Self>,
        mut parts: Parts,
        raw: Uri,
        prepared: Arc<Prepared>,
        mut named: Vec<(Name, DecidedBy)>,
    ) -> Asked {
        let mut allowed: Vec<Name> = Vec::with_capacity(named.len());
        loop {
            let mut unasked = named.iter().filter(|(name, _)| !allowed.contains(name));
            let Some((name, rule)) = unasked.next().cloned() else {
                break;
            };
            let changes = match self.ask_one(&name, &parts).await {
                Ok(changes) => changes,
                Err((reply, why)) => {
                    self.report.sink.refused(&parts, &why);
                    return self.denied(parts, &raw, rule, reply);
                }
            };
            allowed.push(name);
            if changes.is_empty() {
                continue;
            }
            changes.apply(&mut parts.headers);
            let again = |request: &crate::Request<'_>| self.policies.providers(&prepared, request);
            named = match self.policies.read(&mut parts, again) {
                Ok(named) => named,
                Err(reply) => return self.denied(parts, &raw, rule, *reply),
            };
        }
        self.note(&mut parts, prepared, allowed);
        let denied = None;
        Asked { parts, denied }
    }

    fn denied(&self, parts: Parts, raw: &Uri, rule: DecidedBy, reply: Reply) -> Asked {
        let denied = RequestDecision::deny(RequestDenial::External);
        let denied = denied.by(rule).with_reply(reply);
        let denied = self.report.of(denied, &parts, raw, None);
        let denied = Some(denied.unwrap_or_else(Reply::denied));
        Asked { parts, denied }
    }

    /// The changes that this provider wants, or the answer to the client when it denies.
    async fn ask_one(&self, name: &Name, parts: &Parts) -> Result<HeaderChanges, (Reply, Refusal)> {
        let failed = |reply: Box<Reply>| (*reply, Refusal::ExternalFailed);
        let Some(provider) = self.providers.load().get(name).cloned() else {
            return Err((Reply::denied(), Refusal::ExternalFailed));
        };
        let connection = self.policies.connection().connection();
        // It is in its form already, and stays as it is.
        let rules = self.policies.target_rules();
        let target = head::target(&parts.method, &parts.uri, rules).map_err(failed)?;
        let request = head::request(parts, target.as_ref()).map_err(failed)?;
        provider.ask(name, &connection, &request).await
    }
}

impl fmt::Debug for CustomLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomLayer").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Custom<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").finish_non_exhaustive()
    }
}
