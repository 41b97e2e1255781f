//! The waypoint as a process, between clients that speak HBONE and applications of which each says what it
//! received. All of it is on loopback addresses.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod application;
mod balancing;
mod breakers;
mod bulk;
mod calls;
mod claims;
mod client;
mod control;
mod details;
mod ejection;
mod external;
mod filters;
mod grpc;
mod instance;
mod limits;
mod live_policies;
mod load;
mod locality;
mod networks;
mod objects;
mod passthrough;
mod refusals;
mod retries;
mod scenarios;
mod telemetry;
mod timeouts;
mod token;
mod virtual_services;
mod websocket;
mod workloads;
mod world;
