//! Routes: which rule a request meets, and what it says.
//!
//! The representation is neutral: routes of the Gateway API, virtual services of Istio and routes that
//! a control plane sends as Envoy resources are compiled into it. A [`HostTable`] finds the rules of the
//! request's host, [`Rules::select`] the first of them that matches. Orders of precedence ("most specific
//! wins") are made into "first wins" by whoever compiles.
//!
//! Everything here is plain data and pure functions over a [`Head`](crate::matching::Head). What depends on the configuration's
//! size is found by hash tables, sorted lists and one automaton, and a request without regular
//! expressions is routed without allocation.
//!
//! ```
//! use http::{HeaderMap, StatusCode};
//! use mesh_l7::matching::{Head, PathMatch, RequestMatch};
//! use mesh_l7::route::{Action, HostTable, Rule, Rules};
//!
//! let mut health = Rule::new("health", Action::respond(StatusCode::OK));
//! health.matches.push(RequestMatch {
//!     path: PathMatch::Exact("/healthz".into()),
//!     ..RequestMatch::default()
//! });
//! let routes = HostTable::of_any(Rules::new([health, Rule::new("rest", Action::not_found())]));
//!
//! let headers = HeaderMap::new();
//! let matched = routes.select(&Head::new("GET", "web:8080", "/healthz?full", &headers));
//! assert_eq!(matched.expect("a rule without conditions is there").rule.name.as_str(), "health");
//! ```

mod backend;
mod hosts;
mod prefixes;
mod retry;
mod rule;
mod rules;
mod session;
mod table;

pub use backend::{Backend, BackendTarget, Backends, InvalidBackend};
pub use hosts::{HostMatch, HostTable, InvalidHost};
pub use retry::{HostSelection, NoResponse, RetryOn, RetryPolicy};
pub use rule::{Action, DirectResponse, HashCookie, HashInput, Origin, Rule, Timeouts};
pub use rules::{Matched, Rules};
pub use session::{SessionCarrier, SessionPersistence};
pub use table::RouteTable;
