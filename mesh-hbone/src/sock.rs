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

pub use connect::{Connected, Connector, LocalAddress};
pub use listen::{ListenOptions, Listener, Transparency, listen, wildcard};
pub use options::{Keepalive, SocketOptions, reset_on_drop};
pub(crate) use original::canonical;
pub use original::original_destination;
pub use source::{HostSockets, TcpSockets};
