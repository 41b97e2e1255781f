//! Istio's security resources as Kubernetes objects.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod admission;
mod attachment;
mod conversion;
mod peer;
mod projection;
mod support;
mod trust_domains;
