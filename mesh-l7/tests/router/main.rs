//! The router with clients that are made up: what is asked of hosts, and what clients are told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod bodies;
mod cancellation;
mod filters;
mod harness;
mod hedging;
mod layers;
mod mirrors;
mod replies;
mod retries;
mod sessions;
mod timeouts;
