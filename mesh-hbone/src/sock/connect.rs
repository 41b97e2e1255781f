//! Dialling.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};

use super::platform::{self, Family};
use super::{HostSockets, SocketOptions, TcpSockets, canonical};

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

/// A dialled connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connected {
    /// The connection.
    pub stream: TcpStream,
    /// How its local address was chosen.
    pub local: LocalAddress,
}

/// Dials TCP connections.
///
/// Without a timeout: give up by dropping the future.
///
/// # Example
/// ```no_run
/// use mesh_hbone::sock::{Connector, SocketOptions};
///
/// # async fn example() -> std::io::Result<()> {
/// let connector = Connector::new(SocketOptions::default());
/// let stream = connector.connect(([10, 0, 0, 7], 8080).into()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Connector<S = HostSockets> {
    sockets: S,
    options: SocketOptions,
}

impl Connector {
    /// A connector in the network namespace of the calling thread.
    #[must_use]
    pub fn new(options: SocketOptions) -> Self {
        Self::with_sockets(HostSockets, options)
    }
}

impl<S: TcpSockets> Connector<S> {
    /// A connector with sockets from elsewhere.
    #[must_use]
    pub fn with_sockets(sockets: S, options: SocketOptions) -> Self {
        Self { sockets, options }
    }

    /// Connects with a local address of the operating system's choice.
    ///
    /// # Errors
    /// What the operating system answers.
    ///
    /// # Cancellation
    /// Dropping the future closes the socket.
    pub async fn connect(&self, destination: SocketAddr) -> io::Result<TcpStream> {
        let destination = canonical(destination);
        self.socket(destination)?.connect(destination).await
    }

    /// Connects from the loopback address of the destination's IP family.
    ///
    /// # Errors
    /// What the operating system answers.
    ///
    /// # Cancellation
    /// Dropping the future closes the socket.
    pub async fn connect_from_loopback(&self, destination: SocketAddr) -> io::Result<TcpStream> {
        let destination = canonical(destination);
        let socket = self.socket(destination)?;
        socket.bind(SocketAddr::new(loopback(destination), 0))?;
        socket.connect(destination).await
    }

    /// Connects so that the destination sees the IP address `source`, with any port.
    ///
    /// Goes on with another local address where that is impossible, and says so in
    /// [`Connected::local`]: see [`LocalAddress`] for the cases.
    ///
    /// # Errors
    /// What the operating system answers to the connect itself.
    ///
    /// # Cancellation
    /// Dropping the future closes the socket.
    pub async fn connect_as(
        &self,
        source: IpAddr,
        destination: SocketAddr,
    ) -> io::Result<Connected> {
        let (source, destination) = (source.to_canonical(), canonical(destination));
        let mut local = preservation(source, destination);
        let mut socket = self.socket(destination)?;
        if matches!(local, LocalAddress::Preserved)
            && let Err(error) = bind_foreign(&socket, source)
        {
            local = LocalAddress::Fallback(error);
            // Some of the options may be set: begin again with a plain socket.
            socket = self.socket(destination)?;
        }
        let stream = socket.connect(destination).await?;
        Ok(Connected { stream, local })
    }

    /// A socket for `destination` with all options, not bound.
    fn socket(&self, destination: SocketAddr) -> io::Result<TcpSocket> {
        let socket = match destination {
            SocketAddr::V4(_) => self.sockets.v4(),
            SocketAddr::V6(_) => self.sockets.v6(),
        }?;
        let options = SockRef::from(&socket);
        self.options.apply_mark(&options)?;
        self.options.apply_to(&options)?;
        Ok(socket)
    }
}

/// What becomes of the wish that `destination` sees `source`; both canonical.
fn preservation(source: IpAddr, destination: SocketAddr) -> LocalAddress {
    if source == destination.ip() {
        LocalAddress::Hairpin
    } else if source.is_ipv4() != destination.is_ipv4() {
        LocalAddress::OtherFamily
    } else {
        LocalAddress::Preserved
    }
}

/// Binds to an address that need not be the host's own.
pub(super) fn bind_foreign(socket: &TcpSocket, source: IpAddr) -> io::Result<()> {
    let options = SockRef::from(socket);
    let family = match source {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    };
    platform::set_transparent(&options, family)?;
    platform::set_freebind(&options, family)?;
    socket.bind(SocketAddr::new(source, 0))
}

fn loopback(destination: SocketAddr) -> IpAddr {
    match destination {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}
