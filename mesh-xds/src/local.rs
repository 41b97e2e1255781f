//! Local file configuration: a mesh described in one YAML file, without a control plane.
//!
//! The shape is the one Istio's node proxy reads from `LOCAL_XDS_PATH` and `LOCAL_XDS`:
//!
//! ```yaml
//! workloads:
//! - uid: Kubernetes//Pod/default/web-1
//!   name: web-1
//!   namespace: default
//!   serviceAccount: web
//!   workloadIps: [10.0.0.2]
//!   protocol: HBONE
//!   node: laptop
//!   services:
//!     default/web.default.svc.cluster.local:
//!       80: 8080
//! services:
//! - name: web
//!   namespace: default
//!   hostname: web.default.svc.cluster.local
//!   vips: [/10.1.0.1]
//!   ports: {80: 8080}
//! policies:
//! - name: web-from-shop
//!   namespace: default
//!   scope: Namespace          # Global, Namespace, WorkloadSelector
//!   action: Allow             # Allow, Deny
//!   dryRun: false
//!   rules:                    # one must match; of its clauses all, of their matches one
//!   - - - principals: [!Suffix /sa/shop]
//! ```
//!
//! What is read more strictly or more helpfully than an absent field would suggest:
//! - an absent or empty `trustDomain` is `cluster.local` and an absent or empty `serviceAccount`
//!   is `default`, as the control plane has it, so that every workload has a usable identity;
//! - an absent `uid` is `<clusterId or Kubernetes>//Pod/<namespace>/<name or first IP>`;
//! - entries of a service's `endpoints` are kept by the workloads they name, which must be in the
//!   file; an endpoint's `status`, when given, must be the workload's;
//! - unknown fields, repeated keys, and anything that is not what a field needs refuse the file;
//! - a policy that could not be enforced exactly as it is written refuses the file, and so does any
//!   policy where nothing enforces them.

mod beside;
mod build;
mod config;
mod error;
mod file;
mod merge;
mod model;
mod parse;
mod policy;
mod source;
#[cfg(test)]
mod tests;
mod value;

pub use beside::Beside;
pub use config::{Loaded, LocalConfig, MAX_BYTES};
pub use error::LocalError;
pub use merge::Merger;
pub use parse::parse;
pub use source::{LocalSource, POLL_INTERVAL, replace};

pub use crate::place::Place;
