//! What the processes of the examples have in common, and what no library is to decide: the environment, the
//! way to a control plane, the log, the small HTTP servers for people and scrapers, readiness, and the signals that end a process.
#![forbid(unsafe_code)]

pub mod compression;
pub mod control_plane;
pub mod env;
pub mod http;
pub mod logging;
pub mod node;
pub mod query;
pub mod readiness;
pub mod shutdown;
pub mod timestamp;

pub use mesh_xds::duration;
