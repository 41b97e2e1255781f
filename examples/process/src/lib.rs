//! What the processes of the examples have in common, and what no library is to decide: the environment, the
//! log, the small HTTP servers for people and scrapers, readiness, and the signals that end a process.
#![forbid(unsafe_code)]

pub mod compression;
pub mod duration;
pub mod env;
pub mod http;
pub mod logging;
pub mod query;
pub mod readiness;
pub mod shutdown;
pub mod timestamp;
