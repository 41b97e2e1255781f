//! Upstreams that are services of a mesh.
//!
//! Hosts come from a [`MeshSnapshot`](mesh_core::snapshot::MeshSnapshot); how they are used, and which of them are in a subset, from an
//! [`UpstreamConfig`]. [`MeshUpstreams`] keeps both together.

mod config;
mod endpoint;
mod hosts;
mod locality;
mod upstreams;

pub use config::{PortProtocol, UpstreamConfig};
pub use endpoint::Endpoint;
pub use upstreams::MeshUpstreams;
