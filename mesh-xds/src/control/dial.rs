//! Byte streams to a control plane.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What HTTP/2 and TLS to a control plane run over.
pub trait ControlStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ControlStream for S {}

/// Opens byte streams to a control plane, in place of plain TCP: for other network namespaces,
/// for Unix sockets, for tests.
#[async_trait]
pub trait ControlDialer: fmt::Debug + Send + Sync + 'static {
    /// A stream to `host`, a DNS name or an IP address without brackets.
    ///
    /// # Errors
    /// When nothing there accepts.
    ///
    /// # Cancellation
    /// Dropping the future gives the attempt up.
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn ControlStream>>;
}

/// TCP from the process's own network namespace.
#[derive(Debug)]
pub(super) struct Tcp {
    /// For all addresses of a host together.
    pub(super) timeout: Duration,
}

#[async_trait]
impl ControlDialer for Tcp {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn ControlStream>> {
        let start = Instant::now();
        let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for (tried, address) in addresses.iter().enumerate() {
            let left = self.timeout.saturating_sub(start.elapsed());
            match connect(*address, share(left, addresses.len() - tried)).await {
                Ok(stream) => return Ok(Box::new(stream)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// The part of the time left that one of several addresses gets: a silent one must leave time for
/// those after it.
fn share(left: Duration, addresses: usize) -> Duration {
    left / u32::try_from(addresses.max(1)).unwrap_or(u32::MAX)
}

async fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let connected = tokio::time::timeout(timeout, TcpStream::connect(address)).await;
    let stream = connected
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
