//! The L4 proxy: services that carry the connections of one local workload.
//!
//! | service | takes | and |
//! |---|---|---|
//! | [`Outbound`] | sockets that applications of the workload opened | tunnels them to where they are to go |
//! | [`Socks5`] | the same by SOCKS5 | the same |
//! | [`Inbound`] | CONNECT requests for the workload | connects them to it, when policy allows |
//! | [`Passthrough`] | plain sockets for the workload | the same |
//!
//! Each is a tower `Service`. What they need is given to them: a [`Resolver`], an [`Authorizer`], a
//! dialer (any `Service<Dial>`), a [`NameLookup`] and a
//! [`Telemetry`](mesh_core::telemetry::Telemetry). [`serve`] feeds them from a listener.
//!
//! All of them hold bounded state for each connection, answer late rather than early (bytes flow
//! once the other side is connected), and pass on ends as ends and resets as resets.

mod accept;
mod authorize;
mod carry;
mod connect;
mod dial;
mod error;
mod future;
mod headers;
mod inbound;
mod lookup;
mod outbound;
mod passthrough;
mod random;
mod resolver;
mod session;
mod socks5;
#[cfg(test)]
mod testing;

pub use accept::{Accept, AcceptOptions, TcpAcceptor, serve};
pub use authorize::{AllowAll, Attributes, Authorizer, Permit, Verdict};
pub use connect::{HopConnector, HopFuture, Leg, Tunnels, Upstream};
pub use dial::{Dial, DialError, DialFrom, DialFuture, TcpDialer};
pub use error::Error;
pub use future::ConnectionFuture;
pub use inbound::{Inbound, InboundOptions};
pub use lookup::{Addresses, NameLookup, NoLookup, SystemLookup};
pub use outbound::Outbound;
pub use passthrough::Passthrough;
pub use random::ThreadRandom;
pub use resolver::{LocalWorkload, MeshResolver, NoLocalWorkload, Resolver};
pub use socks5::Socks5;
