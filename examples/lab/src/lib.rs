//! Test support for the mesh data plane: an application to talk to, load generators, plain relays to
//! compare with, certificates, and tables of figures.
//!
//! Everything runs over loopback sockets, in one process as far as its memory need not be told apart.
//! `cargo bench -p lab --bench proxies` prints one table in which every contender did the same work, round by
//! round, in the same run; `--bench waypoint` does so for HTTP ([`web`]).
#![forbid(unsafe_code)]

pub mod application;
pub mod cells;
pub mod certificates;
pub mod chart;
pub mod figures;
pub mod listen;
pub mod load;
pub mod memory;
pub mod mesh;
pub mod path;
pub mod relay;
pub mod table;
pub mod web;
pub mod worker;
