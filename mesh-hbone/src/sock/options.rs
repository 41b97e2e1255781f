//! The options of every socket of a proxy.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::platform;

/// TCP keepalive: when a silent peer is probed and given up.
///
/// Source of the defaults: Istio (`KEEPALIVE_TIME`, `KEEPALIVE_INTERVAL`, `KEEPALIVE_RETRIES`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the three numbers of RFC 1122 keepalive"
)]
pub struct Keepalive {
    /// Silence before the first probe; whole seconds, at least 1. Default 180 s.
    pub idle: Duration,
    /// Time between probes; whole seconds, at least 1. Default 180 s.
    pub interval: Duration,
    /// Unanswered probes before the connection is given up. Default 9.
    pub probes: u32,
}

impl Keepalive {
    /// The time after which a dead peer is given up: `idle + probes * interval`.
    ///
    /// This is the value to use for [`SocketOptions::user_timeout`] where it is wanted.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.idle
            .saturating_add(self.interval.saturating_mul(self.probes))
    }
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(180),
            interval: Duration::from_secs(180),
            probes: 9,
        }
    }
}

/// The options of every accepted and dialled socket. `TCP_NODELAY` is always on.
///
/// # Example
/// ```
/// use mesh_hbone::sock::{Keepalive, SocketOptions};
///
/// let mut options = SocketOptions::default();
/// options.mark = Some(0x539);
/// options.user_timeout = Some(Keepalive::default().total());
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// Keepalive; `None` = off. Default: [`Keepalive::default`].
    pub keepalive: Option<Keepalive>,
    /// Time that sent data may stay unacknowledged (`TCP_USER_TIMEOUT`); `None` = the operating
    /// system's choice. Default `None`. Linux only, elsewhere ignored.
    pub user_timeout: Option<Duration>,
    /// Packet mark (`SO_MARK`), by which packet filters recognise the proxy's own traffic; `None`
    /// = no mark. Default `None`; Istio's node proxy uses 0x539. Needs `CAP_NET_ADMIN`.
    pub mark: Option<u32>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            keepalive: Some(Keepalive::default()),
            user_timeout: None,
            mark: None,
        }
    }
}

impl SocketOptions {
    /// Applies all but the mark, which an accepted socket has from its listener.
    ///
    /// # Errors
    /// What the operating system answers, such as a connection that is already gone.
    pub fn apply(&self, stream: &TcpStream) -> io::Result<()> {
        self.apply_to(&SockRef::from(stream))
    }

    pub(super) fn apply_to(&self, socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        if let Some(keepalive) = self.keepalive {
            socket.set_tcp_keepalive(&keepalive_parameters(&keepalive))?;
        }
        if let Some(timeout) = self.user_timeout {
            platform::set_user_timeout(socket, timeout)?;
        }
        Ok(())
    }

    pub(super) fn apply_mark(&self, socket: &SockRef<'_>) -> io::Result<()> {
        match self.mark {
            Some(mark) => platform::set_mark(socket, mark),
            None => Ok(()),
        }
    }
}

fn keepalive_parameters(keepalive: &Keepalive) -> TcpKeepalive {
    let parameters = TcpKeepalive::new().with_time(keepalive.idle);
    platform::keepalive_probes(parameters, keepalive.interval, keepalive.probes)
}

/// Makes dropping the connection reset it: the peer sees an error rather than an orderly end.
///
/// Sets `SO_LINGER` to zero seconds. Failure means that the socket is already closed, and is
/// ignored.
pub fn reset_on_drop(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
