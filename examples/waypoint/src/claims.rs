//! Claims of verified tokens, for routes that are chosen by them.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use mesh_authz::claims::VerifiedClaims;
use mesh_authz::layer::request_claims;
use mesh_core::name::Name;
use mesh_l7::matching::Claims;
use tower_service::Service;

/// Tells the router what the token of a request proves.
///
/// **Order**: inside of the layer that verifies tokens, which takes away what a request brings along; outside of
/// the router.
#[derive(Clone, Debug)]
pub(crate) struct ClaimsToRoutes<S>(pub(crate) S);

struct OfToken(Arc<VerifiedClaims>);

impl Claims for OfToken {
    fn any(&self, path: &[Name], test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.0.strings(path).any(test)
    }
}

impl<B, S: Service<Request<B>>> Service<Request<B>> for ClaimsToRoutes<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let extensions = request.extensions_mut();
        match request_claims(extensions).cloned() {
            Some(claims) => {
                let claims: Arc<dyn Claims> = Arc::new(OfToken(claims));
                extensions.insert(claims);
            }
            None => {
                extensions.remove::<Arc<dyn Claims>>();
            }
        }
        self.0.call(request)
    }
}
