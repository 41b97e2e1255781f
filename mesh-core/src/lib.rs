//! The parts of a service mesh data plane that decide, without a runtime and without IO.
#![forbid(unsafe_code)]

pub mod authority;
pub mod baggage;
pub mod balance;
pub mod clock;
#[cfg(feature = "tls")]
pub mod credential;
pub mod drain;
pub mod endpoints;
pub mod exposition;
pub mod forwarded;
pub mod identity;
pub mod lb;
pub mod limits;
pub mod model;
pub mod name;
pub mod outcome;
pub mod random;
pub mod resolve;
pub mod snapshot;
pub mod store;
pub mod target;
pub mod telemetry;
#[cfg(feature = "tls")]
pub mod tls;
pub mod traceparent;
mod tree;
mod waiters;
pub mod watch;
