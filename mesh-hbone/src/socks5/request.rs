//! What a client asks for.

use std::fmt;
use std::net::IpAddr;

/// Where a client wants to be connected to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a pair by definition")]
pub struct Request {
    /// The host.
    pub host: Host,
    /// The TCP port.
    pub port: u16,
}

/// A host to connect to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the address types of RFC 1928 section 5"
)]
pub enum Host {
    /// An address; never an IPv4-mapped IPv6 address.
    Address(IpAddr),
    /// A domain name: 1 to 255 visible ASCII characters.
    Name(Box<str>),
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host {
            Host::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]:{port}"),
            Host::Address(IpAddr::V4(ip)) => write!(f, "{ip}:{port}"),
            Host::Name(name) => write!(f, "{name}:{port}"),
        }
    }
}
