//! The waypoint as a process, between clients that speak HBONE and applications of which each says what it
//! received. All of it is on loopback addresses.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod application;
mod client;
mod control;
mod instance;
mod passthrough;
mod scenarios;
mod token;
mod world;
