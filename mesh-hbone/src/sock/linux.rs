//! Socket options that Linux has.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// An IP family of a socket, as far as options differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    V4,
    V6,
}

pub(super) fn set_mark(socket: &SockRef<'_>, mark: u32) -> io::Result<()> {
    socket.set_mark(mark)
}

pub(super) fn set_user_timeout(socket: &SockRef<'_>, timeout: Duration) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(timeout))
}

pub(super) fn keepalive_probes(
    parameters: TcpKeepalive,
    interval: Duration,
    probes: u32,
) -> TcpKeepalive {
    parameters.with_interval(interval).with_retries(probes)
}

/// Lets a socket use addresses that are not the host's own.
pub(super) fn set_transparent(socket: &SockRef<'_>, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => socket.set_ip_transparent_v4(true),
        Family::V6 => socket.set_ip_transparent_v6(true),
    }
}

/// Lets a socket be bound to an address that no interface has.
pub(super) fn set_freebind(socket: &SockRef<'_>, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => socket.set_freebind_v4(true),
        Family::V6 => socket.set_freebind_v6(true),
    }
}

pub(super) fn set_reuse_port(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Where a redirected connection was going before the packet filter redirected it.
pub(super) fn redirected_from(
    socket: &SockRef<'_>,
    family: Family,
) -> io::Result<Option<SocketAddr>> {
    let address = match family {
        Family::V4 => socket.original_dst_v4()?,
        Family::V6 => socket.original_dst_v6()?,
    };
    Ok(address.as_socket())
}
