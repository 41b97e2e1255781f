//! SOCKS version 5, server side: without authentication, CONNECT only.
//!
//! [`Handshake`] is the protocol without IO; [`accept`] drives it over a stream. The client hears
//! of success only when the caller says so, which it does once its own upstream is connected.
//! Source: RFC 1928.

mod accept;
mod handshake;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use accept::{AcceptError, DEFAULT_TIMEOUT, Pending, accept};
pub use handshake::{Handshake, ProtocolError, Step};
pub use reply::Reply;
pub use request::{Host, Request};
