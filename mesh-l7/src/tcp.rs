//! Connections that are carried as bytes: which host they go to, and what becomes of those that reach
//! none.
//!
//! [`connect`] takes a place in the upstream's circuit breaker, chooses a host, connects to it, and tries
//! other hosts where that fails. What came of each attempt goes to the outlier detection, as for requests.
//! Copying is left to the caller: it knows what its two sides are.

mod connect;
mod failure;
mod settings;

pub use connect::{Connected, Held, connect};
pub use failure::{NotConnected, Reason};
pub use settings::ConnectSettings;

#[cfg(test)]
mod tests;
