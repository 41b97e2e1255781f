//! Configuration from the objects that users have already: Kubernetes, Gateway API and Istio
//! objects as YAML or JSON.
//!
//! [`parse`] tells the objects of a text apart, each value with its line; what `kubectl get ... -o
//! yaml` prints works as it is. A [`Catalog`] keeps the objects of several files while the files
//! change, each with its last good version, and says what became of each. [`mesh::build`] makes
//! workloads and services of them, as Istio's control plane does for ambient mode; `routes::build`
//! (feature `routes`) makes routes and settings of upstreams.
//!
//! How strictly objects are read:
//! - numbers and words such as `yes` are no text until they are quoted, and keys must be unique;
//! - unknown fields are noted, and refuse a `ReferenceGrant` and policies;
//! - unknown kinds are ignored, except those of `security.istio.io`, which are refused;
//! - a policy with a mistake that has no good version keeps a source from starting; one that is
//!   added later is refused, and what was in force stays in force without it, as a cluster's
//!   admission would have it;
//! - an object with a mistake keeps its last good version, and so does each object of a file that
//!   cannot be read.

pub mod annotations;
mod catalog;
mod check;
mod de;
mod directory;
mod document;
mod inventory;
mod kind;
pub mod mesh;
mod node;
pub mod objects;
mod packed;
mod parse;
mod policies;
mod problem;
mod read;
#[cfg(feature = "routes")]
pub mod routes;
mod scalar;
mod security;
mod source;
mod status;
mod unread;

pub use catalog::{Catalog, Kinds};
pub use directory::{MAX_DIRECTORY_DEPTH, MAX_FILES};
pub use document::{Document, GroupKind, Labels, Metadata, ObjectKey, OwnerReference, Read};
pub use inventory::{Inventory, Object, Table};
pub use mesh::{Mesh, MeshOptions};
pub use node::Node;
pub use parse::parse;
pub use problem::Problem;
pub use read::{MAX_ALIASED, MAX_BYTES, MAX_DEPTH, MAX_NODES};
#[cfg(feature = "routes")]
pub use routes::{RouteOptions, Routing};
pub use source::{ManifestSource, POLL_INTERVAL, Report};
pub use status::{State, Status};
