//! Tower layers that authenticate and authorize HTTP requests (feature `tower`).
//!
//! - `AuthnLayer` (with feature `jwt`) verifies tokens. What they prove travels with the request:
//!   [`request_claims`].
//! - [`AuthzLayer`] asks a [`RequestAuthorizer`], one for each connection, about every request.
//!   [`RequestPolicies`] is the one that decides by policies.
//! - [`CustomLayer`] asks the external authorizers that CUSTOM policies name.
//!
//! What is refused is answered here, in the form that the client expects ([`Reply`]), and never
//! reaches the inner service. Counters and audit records go to a [`Sink`].
//!
//! **Order**, from the outside, as Istio's proxies have it: [`CustomLayer`], which knows nothing of
//! tokens; `AuthnLayer`; [`AuthzLayer`], as policies read verified claims; the router. Without
//! [`CustomLayer`], requests that CUSTOM policies are about are denied.
//!
//! ```
//! use std::sync::Arc;
//! use bytes::Bytes;
//! use http::request::Parts;
//! use mesh_authz::claims::VerifiedClaims;
//! use mesh_authz::layer::{AuthzLayer, NoSink, RequestAuthorizer, RequestDecision, RequestDenial};
//! use tower_layer::Layer;
//! use tower_service::Service;
//!
//! #[derive(Clone)]
//! struct OnlyGet;
//! impl RequestAuthorizer for OnlyGet {
//!     fn decide(&self, parts: &mut Parts, _: Option<&VerifiedClaims>) -> RequestDecision {
//!         match parts.method {
//!             http::Method::GET => RequestDecision::allow(),
//!             _ => RequestDecision::deny(RequestDenial::NoneAllowed),
//!         }
//!     }
//! }
//!
//! #[derive(Clone)]
//! struct Hello;
//! impl Service<http::Request<()>> for Hello {
//!     type Response = http::Response<Bytes>;
//!     type Error = std::convert::Infallible;
//!     type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
//!     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
//!         std::task::Poll::Ready(Ok(()))
//!     }
//!     fn call(&mut self, _: http::Request<()>) -> Self::Future {
//!         std::future::ready(Ok(http::Response::new("hello".into())))
//!     }
//! }
//!
//! let mut service = AuthzLayer::new(OnlyGet, Arc::new(NoSink)).layer(Hello);
//! let post = http::Request::post("/").body(())?;
//! let response = tokio_test::block_on(service.call(post))?;
//! assert_eq!(response.status(), 403);
//! assert_eq!(response.headers()["content-type"], "text/plain");
//! assert_eq!(response.body(), "RBAC: access denied");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audit;
#[cfg(feature = "jwt")]
mod authn;
mod authorizer;
mod authz;
mod connection;
mod counter;
mod custom;
mod extensions;
mod future;
mod head;
mod passed;
mod policies;
mod prepared;
mod provider;
mod ready;
mod refusal;
mod reply;
mod report;
mod sink;

pub use audit::{AuditFields, AuditRecord, AuditedConnection};
#[cfg(feature = "jwt")]
pub use authn::{Authn, AuthnLayer};
pub use authorizer::{
    DecidedBy, RequestAuthorizer, RequestDecision, RequestDenial, RequestVerdict,
};
pub use authz::{Authz, AuthzLayer};
pub use connection::ConnectionFacts;
pub use counter::{Counter, JwtOutcome};
pub use custom::{Custom, CustomFuture, CustomLayer};
pub use extensions::request_claims;
pub use future::ResponseFuture;
pub use policies::RequestPolicies;
pub use prepared::AppliesTo;
pub use provider::{ExternalProvider, OnError};
pub use refusal::Refusal;
pub use reply::Reply;
pub use sink::{NoSink, Sink};
