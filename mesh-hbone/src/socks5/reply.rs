//! The answer to a request.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mesh_core::outcome::Outcome;

/// What a request came to. Source: RFC 1928 section 6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "all reply codes of RFC 1928")]
#[repr(u8)]
pub enum Reply {
    /// Connected.
    Succeeded = 0,
    /// Something that has no code of its own.
    GeneralFailure = 1,
    /// Policy refuses the connection.
    NotAllowed = 2,
    /// No route to the network.
    NetworkUnreachable = 3,
    /// The host does not answer, or has no address.
    HostUnreachable = 4,
    /// The host refuses the connection.
    ConnectionRefused = 5,
    /// The time to live ran out on the way.
    TtlExpired = 6,
    /// The command is not supported.
    CommandNotSupported = 7,
    /// The address type is not supported.
    AddressTypeNotSupported = 8,
}

impl Reply {
    /// The bytes of the reply. `bound` is the address that the server connects from; `None` where
    /// it is not known or not to be told.
    #[must_use]
    pub fn encode(self, bound: Option<SocketAddr>) -> Vec<u8> {
        let bound = bound.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let mut bytes = vec![5, self as u8, 0];
        match bound.ip().to_canonical() {
            IpAddr::V4(ip) => {
                bytes.push(1);
                bytes.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                bytes.push(4);
                bytes.extend_from_slice(&ip.octets());
            }
        }
        bytes.extend_from_slice(&bound.port().to_be_bytes());
        bytes
    }
}

/// The reply for a connection that ended before it began.
impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed => Self::Succeeded,
            Outcome::PolicyDenied
            | Outcome::PolicyRevoked
            | Outcome::Overflow
            | Outcome::RateLimited => Self::NotAllowed,
            Outcome::Unresolved
            | Outcome::ConnectTimeout
            | Outcome::UpstreamTimeout
            | Outcome::NoEndpoint => Self::HostUnreachable,
            Outcome::ConnectFailure | Outcome::Refused => Self::ConnectionRefused,
            _ => Self::GeneralFailure,
        }
    }
}

/// The reply for a failed connect.
impl From<io::ErrorKind> for Reply {
    fn from(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
                Self::NetworkUnreachable
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::TimedOut => Self::HostUnreachable,
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                Self::ConnectionRefused
            }
            io::ErrorKind::PermissionDenied => Self::NotAllowed,
            _ => Self::GeneralFailure,
        }
    }
}
