//! TCP sockets as a transparent proxy needs them: original destinations, source preservation,
//! marks, keepalive.
//!
//! What an operating system does not offer is reported as unsupported rather than ignored, except
//! where an item says otherwise.

#[cfg(target_os = "linux")]
#[path = "sock/linux.rs"]
mod platform;
#[cfg(not(target_os = "linux"))]
#[path = "sock/portable.rs"]
mod platform;

mod connect;
mod listen;
mod options;
mod original;
mod source;
#[cfg(test)]
mod tests;

pub use connect::{Connected, Connector};
pub use listen::{ListenOptions, Listener, Transparency, listen, wildcard};
pub use options::{Keepalive, SocketOptions};
pub(crate) use original::canonical;
pub use original::original_destination;
pub use source::{HostSockets, TcpSockets};

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// How the local address of a dialled socket was chosen.
#[derive(Debug)]
#[non_exhaustive]
pub enum LocalAddress {
    /// By the operating system, as asked.
    Automatic,
    /// The loopback address of the destination's family, as asked.
    Loopback,
    /// The preserved source address, as asked.
    Preserved,
    /// By the operating system, because source and destination are the same address: a
    /// connection between a host and itself needs no other source.
    Hairpin,
    /// By the operating system, because source and destination are of different IP families.
    OtherFamily,
    /// By the operating system, because the source could not be preserved.
    Fallback(io::Error),
}

/// Makes dropping the connection reset it: the peer sees an error rather than an orderly end.
///
/// Sets `SO_LINGER` to zero seconds. Failure means that the socket is already closed, and is
/// ignored.
pub fn reset_on_drop(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
