//! HTTP through a waypoint, beside ways that do less: what the benchmark `waypoint` measures.
//!
//! All ways lead to one application, from a load generator in the same process:
//!
//! ```text
//! direct      client -> application
//! hyper       client -> reverse proxy of plain hyper, no TLS -> application
//! nodes       client -> node proxy -> node proxy -> application
//! forwarder   client -> node proxy -> HBONE, plain hyper, HBONE -> node proxy -> application
//! waypoint    client -> node proxy -> our waypoint -> node proxy -> application
//! ```
//!
//! What stands in the middle is a process of its own ([`middle`]), so that its memory and processor time are its
//! own. The mesh is made of manifests ([`world`]) that the node proxies and the waypoint read.

pub mod application;
pub mod cells;
pub mod forward;
pub mod load;
pub mod middle;
pub mod nodes;
pub mod way;
pub mod world;
