//! Where sockets are made.

use std::fmt;
use std::io;

use tokio::net::TcpSocket;

/// Makes TCP sockets that are neither bound nor connected.
///
/// The seam for a proxy that serves other network namespaces: a socket belongs for ever to the
/// namespace in which it was made, and can be used from any thread.
pub trait TcpSockets: fmt::Debug + Send + Sync + 'static {
    /// An IPv4 socket.
    ///
    /// # Errors
    /// What the operating system answers, such as too many open files.
    fn v4(&self) -> io::Result<TcpSocket>;

    /// An IPv6 socket.
    ///
    /// # Errors
    /// What the operating system answers, such as too many open files.
    fn v6(&self) -> io::Result<TcpSocket>;
}

/// Makes sockets in the network namespace of the calling thread.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "no state")]
pub struct HostSockets;

impl TcpSockets for HostSockets {
    fn v4(&self) -> io::Result<TcpSocket> {
        TcpSocket::new_v4()
    }

    fn v6(&self) -> io::Result<TcpSocket> {
        TcpSocket::new_v6()
    }
}

impl<T: TcpSockets + ?Sized> TcpSockets for std::sync::Arc<T> {
    fn v4(&self) -> io::Result<TcpSocket> {
        (**self).v4()
    }

    fn v6(&self) -> io::Result<TcpSocket> {
        (**self).v6()
    }
}
