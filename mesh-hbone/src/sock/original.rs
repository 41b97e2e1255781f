//! The original destination of a redirected connection.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::SockRef;
use tokio::net::TcpStream;

use super::platform::{self, Family};

/// Where an accepted connection was going: its destination before a packet filter redirected it,
/// else the local address, which is the destination of a connection that was not redirected or
/// that came by TPROXY.
///
/// IPv4-mapped IPv6 addresses become plain IPv4. Source: netfilter's `SO_ORIGINAL_DST` and
/// `IP6T_SO_ORIGINAL_DST`.
///
/// # Errors
/// When the local address cannot be had: the connection is already gone.
pub fn original_destination(stream: &TcpStream) -> io::Result<SocketAddr> {
    let local = canonical(stream.local_addr()?);
    // A connection has the option of its own family only; the other one would fail.
    let family = if local.is_ipv4() {
        Family::V4
    } else {
        Family::V6
    };
    match platform::redirected_from(&SockRef::from(stream), family) {
        Ok(Some(address)) => Ok(canonical(address)),
        Ok(None) | Err(_) => Ok(local),
    }
}

/// The same address with an IPv4-mapped IPv6 address as plain IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        // An IPv6 address keeps its scope.
        IpAddr::V6(_) => address,
        v4 @ IpAddr::V4(_) => SocketAddr::new(v4, address.port()),
    }
}
