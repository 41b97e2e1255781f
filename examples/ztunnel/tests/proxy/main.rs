//! The proxy as a process: two of them on loopback addresses, entered through SOCKS5.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod control;
mod drain;
mod explain;
mod harness;
mod manifests;
mod metrics;
mod policies;
mod reload;
mod revocation;
mod start;
mod telemetry;
mod traffic;
mod traffic_policy;
