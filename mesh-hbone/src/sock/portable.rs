//! Socket options where the operating system is not Linux.

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

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn set_mark(_: &SockRef<'_>, _: u32) -> io::Result<()> {
    unsupported()
}

/// Does nothing: the time is a refinement of keepalive, not a promise to the peer.
pub(super) fn set_user_timeout(_: &SockRef<'_>, _: Duration) -> io::Result<()> {
    Ok(())
}

/// Leaves interval and number of probes to the operating system.
pub(super) fn keepalive_probes(parameters: TcpKeepalive, _: Duration, _: u32) -> TcpKeepalive {
    parameters
}

pub(super) fn set_transparent(_: &SockRef<'_>, _: Family) -> io::Result<()> {
    unsupported()
}

pub(super) fn set_freebind(_: &SockRef<'_>, _: Family) -> io::Result<()> {
    unsupported()
}

pub(super) fn set_reuse_port(_: &SockRef<'_>) -> io::Result<()> {
    unsupported()
}

pub(super) fn redirected_from(_: &SockRef<'_>, _: Family) -> io::Result<Option<SocketAddr>> {
    unsupported()
}
