//! Connections that are carried as bytes: which rule they meet, which host they go to, and what becomes of those
//! that reach none.
//!
//! [`TcpRules`] choose a backend, by the two ends ([`TcpConditions`]) and the server name of TLS where one is asked for
//! (`read_server_name`).
//! `connect` (feature `serve`) takes a place in the upstream's circuit breaker, chooses a host, connects to it, and tries
//! other hosts where that fails. What came of each attempt goes to the outlier detection, as for requests.
//! Copying is left to the caller: it knows what its two sides are.

mod client_hello;
mod conditions;
#[cfg(feature = "serve")]
mod connect;
#[cfg(feature = "serve")]
mod failure;
mod route;
#[cfg(feature = "serve")]
mod server_name;
#[cfg(feature = "serve")]
mod settings;

pub use client_hello::{ClientHello, client_hello};
pub use conditions::{TcpConditions, TcpHead};
#[cfg(feature = "serve")]
pub use connect::{Connected, Held, connect};
#[cfg(feature = "serve")]
pub use failure::{NotConnected, Reason};
pub use route::{TcpRouteTable, TcpRule, TcpRules};
#[cfg(feature = "serve")]
pub use server_name::read_server_name;
#[cfg(feature = "serve")]
pub use settings::ConnectSettings;

#[cfg(test)]
#[cfg(feature = "serve")]
mod tests;
