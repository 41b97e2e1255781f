//! Load balancing over the hosts of one upstream, for connections (L4) and requests (L7) alike.
//!
//! A [`Cluster`] holds the hosts. [`Cluster::pick`] chooses one, in three steps: a priority, by how many
//! of its hosts are healthy; a locality, where those have weights; a host, by the [`Algorithm`]. What
//! comes of it goes back by [`Cluster::report`] (outlier detection) and [`Cluster::observe`] (latency),
//! and what a host has in hand is counted by [`Host::begin`].
//!
//! | part | |
//! |---|---|
//! | [`HostSpec`], [`Host`] | a host as configured; with what has been seen of it |
//! | [`Balancing`], [`Algorithm`] | settings |
//! | [`OutlierDetection`], [`Event`] | hosts that fail, and for how long they are out |
//! | [`SlowStart`] | little for those that have just begun |
//! | [`RequestHash`] | what requests are placed by, where they are placed by a hash |
//!
//! Choosing takes no lock, looks at a handful of hosts whatever their number ([`Balancing::bounded_load`]
//! alone adds up what all have in hand), and does not allocate. The way to a service's endpoints by
//! locality preference and health that the node proxy takes for each connection is [`crate::balance`].

mod alias;
mod cluster;
mod ewma;
mod hash;
mod host;
mod maglev;
mod outlier;
mod pool;
mod priority;
mod ring;
mod sequence;
mod set;
mod settings;
mod slow_start;
#[cfg(test)]
mod tests;

pub use cluster::Cluster;
pub use hash::RequestHash;
pub use host::{Active, Health, Host, HostSpec};
pub use maglev::TableSize;
pub use outlier::{Event, FailurePercentage, OutlierDetection, SmallFleet, SuccessRate};
pub use ring::RingSize;
pub use set::{HostSet, Pick};
pub use settings::{Algorithm, Balancing};
pub use slow_start::SlowStart;
