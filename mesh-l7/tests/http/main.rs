//! HTTP served and forwarded, over connections in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod drain;
mod farewell;
mod http2;
mod pairs;
mod proxy;
mod raw;
mod refusals;
mod table;
mod timeouts;
mod upstreams;
mod websocket;
