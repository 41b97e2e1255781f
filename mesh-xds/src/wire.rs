//! The messages and services of Istio's control plane, as `prost` and `tonic` make them from the
//! `.proto` files of this crate.
//!
//! They follow the versions of `prost` and `tonic`. What uses the mesh does not need them: sources
//! give the types of `mesh-core` and `mesh-authz`.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "generated"
)]

/// Workloads and services: `istio.workload`.
pub mod workload {
    include!("wire/istio.workload.rs");
}

/// Authorization policies: `istio.security`.
pub mod security {
    include!("wire/istio.security.rs");
}

/// Delta xDS: `envoy.service.discovery.v3`.
pub mod discovery {
    include!("wire/envoy.service.discovery.v3.rs");
}

/// The certificate authority: `istio.v1.auth`.
pub mod ca {
    include!("wire/istio.v1.auth.rs");
}
