//! HBONE: HTTP/2 CONNECT over mutual TLS, the transport of Istio's ambient mode.
#![forbid(unsafe_code)]

mod buffers;
pub mod client;
mod config;
pub mod copy;
pub mod io;
mod keepalive;
pub mod proxy_protocol;
mod records;
pub mod server;
pub mod sock;
pub mod socks5;
mod tunnel;

use std::future::Future;
use std::pin::Pin;

pub use client::{Client, ClientLayer, Target};
pub use config::{ConfigError, Http2Config, Http2ConfigBuilder};
pub use server::{AcceptAll, Accepted, Incoming, Refusal};
pub use tunnel::{Peer, Tunnel};

/// A boxed error of a service that is a parameter.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A boxed future, once per connection or stream at most.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
