//! HTTP routing and resilience of a service mesh data plane.
//!
//! - [`matching`]: what a request looks like when its route is chosen, and the conditions on it.
//! - [`route`]: which rule a request meets, and what it says.
//! - [`filter`]: what happens to requests and responses on their way, as pure functions.
//!
//! Serving and forwarding HTTP, and the layers that put these together, are later work.
#![forbid(unsafe_code)]

pub mod filter;
pub mod matching;
pub mod route;
pub mod target;
