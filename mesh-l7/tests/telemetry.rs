//! What is reported about requests and connections.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

#[path = "telemetry/access_log.rs"]
mod access_log;
#[path = "telemetry/follow.rs"]
mod follow;
#[path = "telemetry/metrics.rs"]
mod metrics;
#[path = "telemetry/stack.rs"]
mod stack;
