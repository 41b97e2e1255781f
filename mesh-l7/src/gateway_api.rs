//! Routes of the Gateway API, made into rules.
//!
//! An object is read with serde ([`HttpRouteSpec`], [`GrpcRouteSpec`]), checked and compiled by
//! [`compile_http`] and [`compile_grpc`] into rules with a [`Rank`], and the rules of all routes of one
//! parent are put in their order by [`merge`]. What is wrong is told as a [`Problem`] with its field, and
//! the [`Status`] is what the API wants to be told: a rule that cannot do what it says answers 500
//! rather than leave a part of it out.
//!
//! Of parents, services are known (GAMMA): a route then applies to requests for the service's address,
//! and its `hostnames` say nothing.
//!
//! Source: Gateway API v1, and GEP-1709, GEP-1731, GEP-1742, GEP-2257.
//!
//! ```
//! use mesh_l7::gateway_api::{HttpRouteSpec, References, RouteObject, compile_http, merge};
//! use mesh_l7::route::InvalidBackend;
//! use mesh_l7::target::ServiceTarget;
//!
//! struct OneCluster;
//! impl References for OneCluster {
//!     fn service(&self, namespace: &str, name: &str, port: u16) -> Result<ServiceTarget, InvalidBackend> {
//!         Ok(ServiceTarget {
//!             namespace: namespace.into(),
//!             hostname: format!("{name}.{namespace}.svc.cluster.local").into(),
//!             port,
//!             subset: None,
//!         })
//!     }
//!     fn is_granted(&self, _kind: &str, _from: &str, _to: &str, _service: &str) -> bool {
//!         false
//!     }
//! }
//!
//! let spec: HttpRouteSpec = serde_json::from_str(r#"{
//!     "parentRefs": [{"group": "", "kind": "Service", "name": "web"}],
//!     "rules": [{"backendRefs": [
//!         {"name": "web-v1", "port": 80, "weight": 90},
//!         {"name": "web-v2", "port": 80, "weight": 10}]}]
//! }"#).expect("it is an HTTPRoute");
//! let compiled = compile_http(&RouteObject::new("shop", "canary", spec), &OneCluster);
//! assert!(compiled.problems.is_empty());
//! let rules = merge(compiled.rules);
//! assert_eq!(rules.rules().len(), 1);
//! ```

mod backends;
mod duration;
mod filters;
mod grpc_route;
mod http_route;
mod l4_route;
mod limits;
mod rank;
mod references;
mod retry;
mod session;
mod status;
mod types;

pub use duration::{InvalidDuration, parse_duration};
pub use grpc_route::compile_grpc;
pub use http_route::compile_http;
pub use l4_route::{CompiledL4, compile_tcp, compile_tls};
pub use rank::{Rank, Ranked, merge};
pub use references::References;
pub use status::{Compiled, Condition, Problem, Status};
pub use types::{
    BackendRef, Fraction, GrpcHeaderMatch, GrpcMethodMatch, GrpcRouteMatch, GrpcRouteRule,
    GrpcRouteSpec, HttpBackendRef, HttpCors, HttpFilter, HttpHeader, HttpHeaderFilter,
    HttpHeaderMatch, HttpMirror, HttpPathMatch, HttpPathModifier, HttpQueryMatch, HttpRedirect,
    HttpRetry, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, HttpTimeouts, HttpUrlRewrite,
    L4RouteRule, L4RouteSpec, ParentReference, RouteObject,
};
