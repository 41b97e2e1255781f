//! Resolution, as tables: who asks for what in which mesh, and where that goes.
//!
//! The expected values come from what Istio's ambient mode defines: which records a control plane sends
//! for which situation, and where a node proxy sends a connection then.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod addresses;
mod chosen;
mod guards;
mod hostnames;
mod inbound;
mod mesh;
mod networks;
mod outbound;
mod precedence;
mod properties;
mod trace;
mod waypoints;
