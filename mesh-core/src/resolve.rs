//! Resolution: where a connection goes, decided by pure functions over one snapshot.
//!
//! | a connection | arrives at | function |
//! |---|---|---|
//! | leaves a local workload | the outbound port or SOCKS5 | [`outbound`], [`outbound_hostname`] |
//! | reaches a local workload in a tunnel | the HBONE port | [`inbound`] |
//! | reaches a local workload as plain TCP | the plaintext port | [`passthrough`] |
//! | reaches a waypoint in a tunnel | the HBONE port | [`waypoint`] |
//!
//! All of them are total and synchronous, do no IO, and take chance as an argument. Every step of one
//! decision sees the same snapshot and the same network: that of the local workload.
//!
//! # Precedence
//! Several records may claim one address. Everywhere, for destinations as for references to
//! waypoints and gateways, the most specific one wins, and of equals the service:
//!
//! 1. a service with that virtual IP,
//! 2. a workload with that IP,
//! 3. a service with a range of virtual IPs that contains it: one of the client's namespace first,
//!    then the longest prefix, then a canonical one.
//!
//! Of services with the same address or host name that the client may see, one of the client's
//! namespace wins, then a canonical one (the last of several), then the first.
//!
//! # Never around a waypoint
//! A waypoint that cannot be resolved is an error, not a reason to go without. Only the waypoint itself
//! goes straight to what is behind it.

mod address_choice;
mod arrival;
mod attachment;
mod config;
mod endpoint;
mod error;
mod gateway;
mod guards;
mod hop;
mod hostname;
mod inbound;
mod lookup;
mod outbound;
mod passthrough;
mod peers;
mod route;
mod service_guess;
mod trace;
mod waypoint;

pub use arrival::{InboundRequest, InboundRoute, PassthroughRoute, ProxyHeaderTarget};
pub use config::{IllegalPorts, ResolveConfig};
pub use endpoint::endpoint;
pub use error::{InboundError, ResolveError};
pub use hop::{Hop, HopAddress, IpFamily, TunnelAuthority};
pub use hostname::outbound_hostname;
pub use inbound::inbound;
pub use outbound::{across_networks, outbound, outbound_to, outbound_traced};
pub use passthrough::passthrough;
pub use route::{HostnameTarget, OutboundRequest, OutboundRoute, RouteReason};
pub use trace::{Step, Trace};
pub use waypoint::{WaypointRoute, waypoint};
