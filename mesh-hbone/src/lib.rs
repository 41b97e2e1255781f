//! HBONE: HTTP/2 CONNECT over mutual TLS, the transport of Istio's ambient mode.
//!
//! A byte stream between two workloads travels as one stream of an HTTP/2 connection between
//! their proxies, in mutual TLS 1.3, with a SPIFFE identity verified on both ends. This crate is
//! that transport, and the L4 proxy services built on it. It brings no configuration, no globals
//! and no runtime layout of its own; it needs a tokio runtime to run in, of either kind.
//!
//! # A client: any dialer becomes one
//!
//! [`ClientLayer`] wraps a dialer (a service from `SocketAddr` to a byte stream) into a service
//! from [`Target`] to [`Tunnel`]. Connections are pooled, dials are shared, every step has a time
//! limit.
//!
//! ```
//! use std::{net::SocketAddr, sync::Arc};
//! use mesh_core::{credential::CertificateSource, identity::SpiffeId, tls::TlsContext};
//! use mesh_hbone::{ClientLayer, Target, proxy::TcpDialer, sock::SocketOptions};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tower_layer::Layer;
//!
//! async fn ask(
//!     me: SpiffeId,
//!     them: SpiffeId,
//!     certificates: Arc<dyn CertificateSource>,
//! ) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
//!     let tls = Arc::new(TlsContext::with_default_provider()?);
//!     let dialer = TcpDialer::new(SocketOptions::default());
//!     let client = ClientLayer::builder(certificates, tls).build()?.layer(dialer);
//!
//!     let proxy: SocketAddr = "10.0.0.5:15008".parse()?;
//!     let mut tunnel = client.connect(Target::new(proxy, "10.0.0.5:8080", me, them)).await?;
//!     tunnel.write_all(b"hello").await?;
//!     tunnel.shutdown().await?; // half-close: the answer still comes
//!     let mut answer = Vec::new();
//!     tunnel.read_to_end(&mut answer).await?;
//!     Ok(answer)
//! }
//! ```
//!
//! # A server: the answer comes after the work
//!
//! [`server::ServerLayer`] wraps a service of [`Incoming`] requests into a service of accepted
//! sockets. An [`Incoming`] has not been answered: connect to whatever stands behind it first, then
//! [`Incoming::accept`] it. Dropping it answers 503. [`AcceptAll`] is for those who need no
//! decision.
//!
//! ```
//! use http::HeaderMap;
//! use mesh_hbone::{BoxError, Incoming, copy::{Meter, Plain, copy}};
//! use tokio::net::TcpStream;
//!
//! /// Carries a request to the application on this machine.
//! async fn carry(incoming: Incoming) -> Result<(), BoxError> {
//!     let caller = incoming.peer().identity().clone(); // verified
//!     let application = TcpStream::connect("127.0.0.1:8080").await?; // a failure answers 503
//!     let tunnel = incoming.accept(HeaderMap::new())?; // 200
//!     let meter = Meter::default();
//!     copy(tunnel, Plain::new(application), &meter).await?;
//!     println!("{caller}: {} bytes", meter.to_server());
//!     Ok(())
//! }
//! ```
//!
//! # A proxy: services with seams
//!
//! [`proxy`] has the services of a node proxy: outbound, inbound, inbound plaintext and SOCKS5.
//! Each takes its resolver, dialer, authorizer and telemetry as parameters; [`proxy::serve`] runs
//! one behind a listener.
//!
//! # Bounds
//!
//! Nothing that a peer sends panics or grows memory without bound; every limit has a default and a
//! setter. A stalled reader holds at most its stream's window ([`Http2Config::stream_window`]) and
//! never stops its neighbours, as the connection's window always has room for all streams.
//! Handshakes under way are bounded by [`server::HandshakeGate`], pooled connections by
//! [`client::ClientBuilder::max_connections`].
//!
//! # What is not stable
//!
//! Defaults that protect, texts of errors and logs, and the types behind `source()` of errors may
//! change in any release.
#![forbid(unsafe_code)]

pub mod awake;
mod boxed;
mod buffers;
mod carrier;
pub mod client;
mod config;
pub mod copy;
mod gate;
mod http2;
pub mod io;
mod keepalive;
mod parting;
mod peer;
pub mod proxy;
pub mod proxy_protocol;
mod revocation;
pub mod server;
pub mod sock;
pub mod socks5;
mod tunnel;

pub use boxed::{BoxError, BoxFuture};
pub use carrier::ConnectionLost;
pub use client::{Client, ClientLayer, Target};
pub use config::{ConfigError, Http2Config, Http2ConfigBuilder};
pub use http2::{Http2Error, Reason};
pub use peer::Peer;
pub use server::{AcceptAll, Accepted, Incoming, Refusal};
pub use tunnel::Tunnel;
