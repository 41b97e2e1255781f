//! Istio's virtual services and destination rules, made into rules and settings.
//!
//! [`compile_virtual_service`] makes rules of a `VirtualService`, in the order in which they are written,
//! and [`compile_destination_rule`] makes settings of a `DestinationRule`: how hosts are chosen, what is too
//! much, how hosts that fail are taken out. What is wrong is told as a [`Problem`] with its field; a rule
//! that cannot do what it says answers 500 rather than leave a part of it out.
//!
//! At a waypoint a virtual service applies to requests for the service's address: any authority is
//! taken, and only what is meant for gateway `mesh` counts. Labels of the source are those of the workload that has the
//! client's address and identity.
//!
//! Source: Istio's `networking.istio.io/v1`.
//!
//! ```
//! use mesh_l7::istio::{Destinations, VirtualServiceSpec, compile_virtual_service};
//! use mesh_l7::route::{InvalidBackend, Origin};
//! use mesh_l7::target::ServiceTarget;
//!
//! struct OneCluster;
//! impl Destinations for OneCluster {
//!     fn destination(&self, namespace: &str, host: &str, port: Option<u16>, subset: Option<&str>) -> Result<ServiceTarget, InvalidBackend> {
//!         Ok(ServiceTarget {
//!             namespace: namespace.into(),
//!             hostname: format!("{host}.{namespace}.svc.cluster.local").into(),
//!             port: port.unwrap_or(80),
//!             subset: subset.map(Into::into),
//!         })
//!     }
//! }
//!
//! let spec: VirtualServiceSpec = serde_json::from_str(r#"{
//!     "hosts": ["reviews"],
//!     "http": [
//!         {"match": [{"headers": {"end-user": {"exact": "jason"}}}],
//!          "route": [{"destination": {"host": "reviews", "subset": "v2"}}]},
//!         {"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}]
//! }"#).expect("it is a VirtualService");
//! let compiled = compile_virtual_service("shop", "reviews", &spec, &OneCluster);
//! assert!(compiled.problems.is_empty());
//! assert_eq!(compiled.rules.rules().len(), 2);
//! ```

mod action;
mod cluster;
mod condition;
mod delegate;
mod destination_rule;
mod duration;
mod l4;
mod locality;
mod outlier;
mod policies;
mod problem;
mod types;
mod virtual_service;

pub use delegate::NoDelegate;
pub use destination_rule::{CompiledDestination, Subset, compile_destination_rule};
pub use duration::{InvalidDuration, parse_duration};
pub use l4::{CompiledConnections, compile_connections};
pub use locality::compile_mesh_locality;
pub use problem::Problem;
pub use types::{
    Abort, ConnectionPool, ConsistentHash, CorsPolicy, Delay, Delegate, Destination,
    DestinationRuleSpec, DirectResponse, FaultInjection, HashCookie, HeaderOperations, Headers,
    HttpMatch, HttpMirror, HttpPool, HttpRedirect, HttpRetry, HttpRewrite, HttpRoute,
    HttpRouteDestination, L4Destination, L4Match, L4Route, LoadBalancer, LocalityDistribution,
    LocalitySettings, MaglevSettings, OutlierSettings, Percent, PortNumber, PortPolicy,
    RegexRewrite, RegionFailover, ResponseBody, RetryBudgetSettings, RingSettings, StringMatch,
    SubsetSpec, TcpPool, TrafficPolicy, VirtualServiceSpec, Warmup,
};
pub use virtual_service::{CompiledService, Destinations, compile_virtual_service};
