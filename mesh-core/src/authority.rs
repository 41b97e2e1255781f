//! The `:authority` of a CONNECT request: a host and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::name::Name;

#[cfg(test)]
mod tests;

/// The longest host name, in bytes (RFC 1035 §2.3.4, without the trailing dot of the wire form).
const MAX_NAME: usize = 253;
/// The longest text of an authority: a host name, a colon and five digits.
const MAX_AUTHORITY: usize = MAX_NAME + 6;

/// The host of a CONNECT request.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a host is an address or a name")]
pub enum AuthorityHost {
    /// An IP address; never an IPv4-mapped IPv6 address.
    Ip(IpAddr),
    /// A host name in lower case, such as a service's.
    Name(Name),
}

/// The `:authority` of a CONNECT request: `ip:port`, `[v6]:port` or `host:port`.
///
/// Which of them depends on the hop: the service's virtual IP and port towards its waypoint, the
/// pod's IP and target port towards a pod, the service's host name and port through a network
/// gateway.
///
/// ```
/// use mesh_core::authority::{AuthorityHost, ConnectAuthority};
///
/// let authority: ConnectAuthority = "[::ffff:10.0.0.1]:8080".parse()?;
/// assert_eq!(authority.to_string(), "10.0.0.1:8080");
///
/// let authority: ConnectAuthority = "Web.Default.svc:80".parse()?;
/// assert_eq!(*authority.host(), AuthorityHost::Name("web.default.svc".into()));
/// assert_eq!(authority.port().get(), 80);
/// # Ok::<(), mesh_core::authority::InvalidAuthority>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ConnectAuthority {
    host: AuthorityHost,
    port: NonZeroU16,
}

/// Why a text is not the authority of a CONNECT request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAuthority {
    /// The text is longer than any authority.
    #[error("an authority has at most {MAX_AUTHORITY} bytes")]
    TooLong,
    /// There is no port, or it is not a number of 1 to 65535.
    #[error("an authority ends with a colon and a port of 1 to 65535")]
    Port,
    /// The host is neither an IP address nor a host name.
    #[error("the host of an authority is an IPv4 address, an IPv6 address in brackets or a name")]
    Host,
}

impl ConnectAuthority {
    /// An IP address and a port.
    #[must_use]
    pub fn from_ip(ip: IpAddr, port: NonZeroU16) -> Self {
        Self {
            host: AuthorityHost::Ip(ip.to_canonical()),
            port,
        }
    }

    /// A host name and a port.
    ///
    /// # Errors
    /// [`InvalidAuthority::Host`] when the text is not a host name: labels of letters, digits, `-`,
    /// `_` and `*`, separated by single dots, at most 253 bytes, of which the last label is not a
    /// number.
    pub fn from_name(name: &str, port: NonZeroU16) -> Result<Self, InvalidAuthority> {
        if !is_host_name(name) {
            return Err(InvalidAuthority::Host);
        }
        let name = if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Name::from(name.to_ascii_lowercase())
        } else {
            Name::from(name)
        };
        Ok(Self {
            host: AuthorityHost::Name(name),
            port,
        })
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &AuthorityHost {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> NonZeroU16 {
        self.port
    }

    /// The host, when it is an IP address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self.host {
            AuthorityHost::Ip(ip) => Some(ip),
            AuthorityHost::Name(_) => None,
        }
    }
}

/// Whether a text is a host name: RFC 1123 with the `_` and `*` that service meshes use.
fn is_host_name(text: &str) -> bool {
    let label_byte = |b: u8| b.is_ascii_alphanumeric() || b"-_*".contains(&b);
    let label = |l: &str| !l.is_empty() && l.len() <= 63 && l.bytes().all(label_byte);
    // A name that ends in a number is a mistyped IPv4 address.
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= MAX_NAME
        && text.split('.').all(label)
        && !last.bytes().all(|b| b.is_ascii_digit())
}

fn parse_port(text: &str) -> Option<NonZeroU16> {
    // `u16::from_str` would allow a plus sign.
    let digits = text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl FromStr for ConnectAuthority {
    type Err = InvalidAuthority;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_AUTHORITY {
            return Err(InvalidAuthority::TooLong);
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAuthority::Port)?;
        let port = parse_port(port).ok_or(InvalidAuthority::Port)?;
        if let Some(v6) = host.strip_prefix('[') {
            let v6: Ipv6Addr = v6
                .strip_suffix(']')
                .and_then(|v6| v6.parse().ok())
                .ok_or(InvalidAuthority::Host)?;
            return Ok(Self::from_ip(v6.into(), port));
        }
        match host.parse::<std::net::Ipv4Addr>() {
            Ok(v4) => Ok(Self::from_ip(v4.into(), port)),
            Err(_) => Self::from_name(host, port),
        }
    }
}

/// From an address whose port is not 0.
impl TryFrom<SocketAddr> for ConnectAuthority {
    type Error = InvalidAuthority;

    fn try_from(address: SocketAddr) -> Result<Self, Self::Error> {
        let port = NonZeroU16::new(address.port()).ok_or(InvalidAuthority::Port)?;
        Ok(Self::from_ip(address.ip(), port))
    }
}

impl fmt::Display for AuthorityHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
            Self::Ip(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for ConnectAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        write!(f, "{host}:{port}")
    }
}
