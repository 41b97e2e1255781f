//! The waypoint of an ambient mesh: HBONE in, HTTP routed and authorized, HBONE out.
//!
//! [`run`] is the process; [`Waypoint`] is one inside of another process.
#![forbid(unsafe_code)]

mod admin;
mod annotations;
mod app;
mod certificates;
mod claims;
mod client_cert;
mod config;
mod connector;
mod denials;
mod embedded;
mod explain;
mod external;
mod ingress;
mod key_fetcher;
mod layers;
mod limits;
mod mesh;
mod mesh_config;
mod passthrough;
mod permit;
mod pod_labels;
mod security;
mod sources;
mod spread;
mod stack;
mod stream;
mod tuned;
mod workers;

pub use app::{BoxError, run};
pub use embedded::Waypoint;
pub use layers::Layers;
