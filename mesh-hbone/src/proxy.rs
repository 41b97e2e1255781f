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
//! [`Telemetry`](mesh_core::telemetry::Telemetry). [`serve`] feeds them from a listener. [`Outbound`] takes a
//! [`TrafficPolicy`] where one is wanted: [`MeshTraffic`] limits, balances and retries by settings.
//!
//! # Example
//! The proxy of one workload, with HBONE in and out:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use mesh_core::credential::CertificateSource;
//! use mesh_core::drain::Drain;
//! use mesh_core::identity::SpiffeId;
//! use mesh_core::telemetry::{Direction, Telemetry};
//! use mesh_core::tls::TlsContext;
//! use mesh_hbone::proxy::{
//!     AcceptOptions, AllowAll, HopConnector, Inbound, MeshResolver, Outbound, SystemLookup,
//!     TcpAcceptor, TcpDialer, serve,
//! };
//! use mesh_hbone::sock::{HostSockets, ListenOptions, SocketOptions, listen, wildcard};
//! use mesh_hbone::{ClientLayer, server::ServerLayer};
//! use tower_layer::Layer;
//!
//! async fn proxy(
//!     me: SpiffeId,
//!     certs: Arc<dyn CertificateSource>,
//!     resolver: MeshResolver,
//!     telemetry: Arc<dyn Telemetry>,
//!     drain: Drain,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let tls = Arc::new(TlsContext::with_default_provider()?);
//!     let options = SocketOptions::default();
//!     let dialer = TcpDialer::new(options);
//!     let at = |port| listen(&HostSockets, wildcard(port, true), &ListenOptions::default(), &options);
//!
//!     let client = ClientLayer::builder(certs.clone(), tls.clone()).build()?;
//!     let connector = HopConnector::new(dialer.clone(), client.layer(dialer.clone()));
//!     let outbound = Outbound::new(
//!         resolver.clone(),
//!         connector,
//!         SystemLookup::default(),
//!         telemetry.clone(),
//!     );
//!     let inbound = Inbound::new(resolver, AllowAll, dialer, telemetry.clone());
//!     let hbone = ServerLayer::builder(me, certs, tls).drain(drain.clone()).build()?;
//!
//!     tokio::join!(
//!         serve(
//!             TcpAcceptor::redirected(at(15001)?.socket, options),
//!             outbound,
//!             AcceptOptions::new(Direction::Outbound, telemetry.clone()),
//!             drain.clone(),
//!         ),
//!         serve(
//!             TcpAcceptor::direct(at(15008)?.socket, options),
//!             hbone.layer(inbound),
//!             AcceptOptions::new(Direction::Inbound, telemetry),
//!             drain,
//!         ),
//!     );
//!     Ok(())
//! }
//! ```
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
mod presence;
mod resolver;
mod session;
mod socks5;
#[cfg(test)]
mod testing;
mod traffic;

pub use accept::{Accept, AcceptOptions, TcpAcceptor, serve};
pub use authorize::{AllowAll, Attributes, Authorizer, Permit, Verdict};
pub use connect::{HopConnector, HopFuture, Leg, Tunnels, Upstream};
pub use dial::{Dial, DialError, DialFrom, DialFuture, TcpDialer};
pub use error::Error;
pub use future::ConnectionFuture;
pub use inbound::{Inbound, InboundOptions};
pub use lookup::{Addresses, NameLookup, NoLookup, SystemLookup};
pub use mesh_core::random::ThreadRandom;
pub use outbound::Outbound;
pub use passthrough::Passthrough;
pub use resolver::{LocalWorkload, MeshResolver, NoLocalWorkload, Resolver};
pub use socks5::Socks5;
pub use traffic::{
    Admission, Attempt, HashBy, MeshTraffic, Refusal, ServiceConnection, ServiceSettings,
    TrafficCounts, TrafficPolicy, TrafficSettings,
};
