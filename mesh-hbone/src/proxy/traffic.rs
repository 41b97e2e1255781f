//! Traffic policies: what operators want of connections to a service beyond what the mesh says of it.
//!
//! [`Outbound`](super::Outbound) asks a [`TrafficPolicy`] about every connection to a service one of whose endpoints
//! is to be chosen: not about those that go to a waypoint, which does all this itself, and not about those
//! to a single workload. [`MeshTraffic`] is one, by settings ([`ServiceSettings`]) that change as a whole.

mod admitted;
mod hosts;
mod mesh;
mod policy;
mod settings;
#[cfg(test)]
mod tests;
mod upstream;

pub use mesh::{MeshTraffic, TrafficCounts};
pub use policy::{Admission, Attempt, Refusal, ServiceConnection, TrafficPolicy};
pub use settings::{HashBy, ServiceSettings, TrafficSettings};
