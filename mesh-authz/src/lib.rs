//! Authorization for a service mesh data plane: policies in, decisions with their reasons out.
//!
//! - [`spec`]: policies as a control plane or a file delivers them.
//! - [`store`]: the writer's side. Batches of changes go in, a [`PolicyIndex`] comes out; a change
//!   costs what it changes, however many policies there are.
//! - [`PolicyIndex`]: all policies at one moment, compiled. [`PolicyIndex::decide`] answers for one
//!   connection without allocation and without looking at policies that cannot match;
//!   [`PolicyIndex::explain`] tells for each policy why.
//! - [`claims`]: claims of a verified token, as policies and routes read them.
//! - `jwt` (feature): verifying the tokens that carry them, and the keys for it.
//! - `layer` (feature `tower`): tower layers that authenticate and authorize HTTP requests.
//! - [`guard`]: live connections, which are decided again when policies or workloads change.
//! - [`external`]: whom CUSTOM policies ask.
//! - `kube` (feature): policies as Kubernetes objects; `lint` says what is questionable about them.
//! - [`plain`]: the rules of evaluation as they are written down, for tests and as a yardstick.
//!
//! Decisions are about connections ([`PolicyIndex::decide`]) and about requests on them
//! ([`PolicyIndex::decide_request`], [`PolicyIndex::residual`]). Nothing here needs an async runtime.
//!
//! ```
//! use mesh_authz::spec::{Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};
//! use mesh_authz::store::{PolicyStore, Update};
//! use mesh_authz::{Connection, Verdict};
//! use mesh_core::model::{Workload, WorkloadSpec};
//!
//! let mut policy = PolicySpec::new("shop", "only-the-cart", Scope::Namespace, Action::Allow);
//! policy.rules.push(RuleSpec::of(MatchSpec {
//!     principals: vec![StringMatch::suffix("/sa/cart")?],
//!     ..MatchSpec::default()
//! }));
//! let store = PolicyStore::new();
//! let applied = store.apply(vec![Update::Upsert(policy)]);
//! assert!(applied.rejected.is_empty());
//!
//! let local = Workload::new(WorkloadSpec { namespace: "shop".into(), ..WorkloadSpec::default() });
//! let cart = "spiffe://cluster.local/ns/shop/sa/cart".parse()?;
//! let from_cart = Connection::new("10.0.0.1".parse()?, Some(&cart), "10.0.0.2:80".parse()?);
//! let plain = Connection::new("10.0.0.1".parse()?, None, "10.0.0.2:80".parse()?);
//!
//! let policies = store.index();
//! assert!(matches!(policies.decide(&local, &from_cart).verdict, Verdict::Allow(_)));
//! let Verdict::Deny(reason) = policies.decide(&local, &plain).verdict else { unreachable!() };
//! assert_eq!(reason.to_string(), "allow policies exist, but none allowed");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod claims;
mod connection;
mod decision;
mod explain;
pub mod external;
mod facts;
pub mod guard;
mod index;
mod invalid;
#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(feature = "kube")]
pub mod kube;
#[cfg(feature = "tower")]
pub mod layer;
mod limits;
#[cfg(feature = "kube")]
pub mod lint;
pub mod plain;
mod policy;
mod quarantine;
mod request;
mod semantics;
pub mod spec;
pub mod store;
mod target;
mod trie;
mod truth;

pub use connection::Connection;
pub use decision::{
    AllowReason, Decision, DenyReason, DryRun, DryRunAllow, RuleRef, Undecided, Verdict,
};
pub use explain::{
    ClauseTree, Explanation, FieldReport, FieldTree, MatchTree, NearestRule, PolicyReport,
    PolicyTree, RequestExplanation, RuleReport, RuleTree,
};
pub use index::{PolicyIndex, Providers, Residual};
pub use invalid::{InvalidPolicy, Problem};
pub use limits::Limits;
pub use policy::Policy;
pub use quarantine::quarantine;
pub use request::{Metadata, NoMetadata, Request};
pub use semantics::Semantics;
pub use target::PolicyTarget;
