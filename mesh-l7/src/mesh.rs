//! Upstreams that are services of a mesh.
//!
//! Hosts come from a [`MeshSnapshot`](mesh_core::snapshot::MeshSnapshot); how they are used, and which of them are in a subset, from an
//! [`UpstreamConfig`].

mod config;

pub use config::{PortProtocol, UpstreamConfig};
