//! HBONE: HTTP/2 CONNECT over mutual TLS, the transport of Istio's ambient mode.
#![forbid(unsafe_code)]

mod boxed;
mod buffers;
pub mod client;
mod config;
pub mod copy;
pub mod io;
mod keepalive;
mod peer;
pub mod proxy;
pub mod proxy_protocol;
mod records;
pub mod server;
pub mod sock;
pub mod socks5;
mod tunnel;

pub use boxed::{BoxError, BoxFuture};
pub use client::{Client, ClientLayer, Target};
pub use config::{ConfigError, Http2Config, Http2ConfigBuilder};
pub use peer::Peer;
pub use server::{AcceptAll, Accepted, Incoming, Refusal};
pub use tunnel::Tunnel;
