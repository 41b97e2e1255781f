//! Listeners.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};

use super::platform::{self, Family};
use super::{SocketOptions, TcpSockets};

/// Whether a listener takes connections to addresses that are not the host's own, which is also
/// what source preservation needs. Needs `CAP_NET_ADMIN`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Transparency {
    /// No.
    #[default]
    Off,
    /// Where it is possible; [`Listener::transparent`] says whether it was.
    Try,
    /// Yes, else listening fails.
    Require,
}

/// The options of a listener beside those of every socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// Connections that wait to be accepted, before the kernel refuses more. Default 4096, the
    /// default of Linux' `somaxconn`, which is also the upper limit there.
    pub backlog: u32,
    /// Several listeners for one address share its connections (`SO_REUSEPORT`): one for each
    /// worker, or two proxies during an upgrade. Default `false`.
    pub reuse_port: bool,
    /// Transparent listening. Default [`Transparency::Off`].
    pub transparency: Transparency,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 4096,
            reuse_port: false,
            transparency: Transparency::Off,
        }
    }
}

/// A listening socket.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// Whether it is transparent for every IP family that it takes.
    pub transparent: bool,
}

/// The address that means every address of the host: `[::]`, which takes IPv4 connections too, or
/// `0.0.0.0`.
#[must_use]
pub fn wildcard(port: u16, ipv6: bool) -> SocketAddr {
    let ip = if ipv6 {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    };
    SocketAddr::new(ip, port)
}

/// Listens at `address`; at `[::]` for both IP families.
///
/// Must be called in a tokio runtime.
///
/// # Errors
/// What the operating system answers: the address is taken, a mark or
/// [`Transparency::Require`] without the privilege, [`ListenOptions::reuse_port`] where it does
/// not exist.
///
/// # Example
/// ```
/// use mesh_hbone::sock::{HostSockets, ListenOptions, SocketOptions, listen};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let address = ([127, 0, 0, 1], 0).into();
/// let listener = listen(
///     &HostSockets,
///     address,
///     &ListenOptions::default(),
///     &SocketOptions::default(),
/// )?;
/// assert!(listener.socket.local_addr()?.port() > 0);
/// # Ok(())
/// # }
/// ```
pub fn listen(
    sockets: &impl TcpSockets,
    address: SocketAddr,
    options: &ListenOptions,
    every: &SocketOptions,
) -> io::Result<Listener> {
    let (socket, family) = match address {
        SocketAddr::V4(_) => (sockets.v4()?, Family::V4),
        SocketAddr::V6(_) => (sockets.v6()?, Family::V6),
    };
    let dual = family == Family::V6 && address.ip().is_unspecified();
    let transparent = prepare(&socket, family, dual, options, every)?;
    socket.bind(address)?;
    Ok(Listener {
        socket: socket.listen(options.backlog)?,
        transparent,
    })
}

fn prepare(
    socket: &TcpSocket,
    family: Family,
    dual: bool,
    options: &ListenOptions,
    every: &SocketOptions,
) -> io::Result<bool> {
    // A listener that was restarted need not wait for the connections of the former one.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    let socket = SockRef::from(socket);
    if family == Family::V6 {
        socket.set_only_v6(!dual)?;
    }
    if options.reuse_port {
        platform::set_reuse_port(&socket)?;
    }
    every.apply_mark(&socket)?;
    if options.transparency == Transparency::Off {
        return Ok(false);
    }
    match make_transparent(&socket, family, dual) {
        Ok(()) => Ok(true),
        Err(error) if options.transparency == Transparency::Require => Err(error),
        Err(_) => Ok(false),
    }
}

fn make_transparent(socket: &SockRef<'_>, family: Family, dual: bool) -> io::Result<()> {
    platform::set_transparent(socket, family)?;
    if dual {
        // The IPv6 option does nothing for the IPv4 connections of the socket.
        platform::set_transparent(socket, Family::V4)?;
    }
    Ok(())
}
