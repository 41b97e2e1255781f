//! Dialling as a service.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tower_service::Service;

use crate::sock::{Connector, HostSockets, LocalAddress, SocketOptions, TcpSockets};

/// A request to connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Dial {
    /// Where to.
    pub address: SocketAddr,
    /// Where from.
    pub from: DialFrom,
}

/// Where a connection is to come from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum DialFrom {
    /// From wherever the operating system chooses.
    #[default]
    Any,
    /// From the loopback address.
    Loopback,
    /// From this address, which need not be the host's own; from any where that is impossible.
    Preserve(IpAddr),
}

impl Dial {
    /// A connection from wherever the operating system chooses.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            from: DialFrom::Any,
        }
    }

    /// The same from there.
    #[must_use]
    pub fn from(self, from: DialFrom) -> Self {
        Self { from, ..self }
    }
}

/// Why a connection could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// Nothing answered in time.
    #[error("connecting to {address} took too long")]
    Timeout {
        /// What was dialled.
        address: SocketAddr,
    },
    /// The operating system or the other end refused.
    #[error("connecting to {address} failed")]
    Connect {
        /// What was dialled.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A dialer from elsewhere failed.
    #[error("the dialer failed")]
    Other(#[source] crate::BoxError),
}

impl DialError {
    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Timeout { .. } => io::ErrorKind::TimedOut,
            Self::Connect { source, .. } => source.kind(),
            Self::Other(source) => source
                .downcast_ref::<io::Error>()
                .map_or(io::ErrorKind::Other, io::Error::kind),
        }
    }
}

/// Dials TCP: a service of [`Dial`] and, for HBONE clients, of [`SocketAddr`].
///
/// As a service of [`Dial`] it has a timeout. As a service of [`SocketAddr`] it leaves that to the
/// HBONE client, which tells a peer that does not answer from one that refuses.
///
/// Clones share nothing but the options. Always ready.
///
/// # Example
/// ```no_run
/// use mesh_hbone::proxy::{Dial, DialFrom, TcpDialer};
/// use mesh_hbone::sock::SocketOptions;
/// use tower_service::Service;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut dialer = TcpDialer::new(SocketOptions::default());
/// let to = Dial::new(([10, 0, 0, 7], 8080).into())
///     .from(DialFrom::Preserve([10, 0, 0, 9].into()));
/// let stream = dialer.call(to).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TcpDialer<S = HostSockets> {
    connector: Connector<S>,
    timeout: Duration,
    /// Whether it has been said that sources cannot be preserved: once is enough.
    warned: Arc<AtomicBool>,
}

impl TcpDialer {
    /// The time to connect: 10 s.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// A dialer in the network namespace of the calling thread.
    #[must_use]
    pub fn new(options: SocketOptions) -> Self {
        Self::with_connector(Connector::new(options))
    }
}

impl<S: TcpSockets + Clone> TcpDialer<S> {
    /// A dialer that connects with `connector`.
    #[must_use]
    pub fn with_connector(connector: Connector<S>) -> Self {
        Self {
            connector,
            timeout: TcpDialer::DEFAULT_TIMEOUT,
            warned: Arc::default(),
        }
    }

    /// The same with another time to connect.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    async fn dial(self, dial: Dial) -> Result<TcpStream, DialError> {
        let address = dial.address;
        match tokio::time::timeout(self.timeout, self.connect(dial)).await {
            Ok(result) => result,
            Err(_) => Err(DialError::Timeout { address }),
        }
    }

    async fn connect(&self, Dial { address, from }: Dial) -> Result<TcpStream, DialError> {
        let connected = match from {
            DialFrom::Any => self.connector.connect(address).await,
            DialFrom::Loopback => self.connector.connect_from_loopback(address).await,
            DialFrom::Preserve(source) => self.dial_as(source, address).await,
        };
        connected.map_err(|source| DialError::Connect { address, source })
    }

    async fn dial_as(&self, source: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
        let connected = self.connector.connect_as(source, address).await?;
        if let LocalAddress::Fallback(error) = &connected.local {
            if self.warned.swap(true, Ordering::Relaxed) {
                tracing::debug!(%source, %address, %error, "source address not preserved");
            } else {
                tracing::warn!(%source, %address, %error, "source addresses cannot be preserved");
            }
        }
        Ok(connected.stream)
    }
}

/// The result of a dialer. Dropping it gives the connection up.
#[must_use = "futures do nothing unless polled"]
pub struct DialFuture(Pin<Box<dyn Future<Output = Result<TcpStream, DialError>> + Send>>);

impl Future for DialFuture {
    type Output = Result<TcpStream, DialError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl std::fmt::Debug for DialFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DialFuture").finish_non_exhaustive()
    }
}

impl<S: TcpSockets + Clone> Service<Dial> for TcpDialer<S> {
    type Response = TcpStream;
    type Error = DialError;
    type Future = DialFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, dial: Dial) -> DialFuture {
        DialFuture(Box::pin(self.clone().dial(dial)))
    }
}

impl<S: TcpSockets + Clone> Service<SocketAddr> for TcpDialer<S> {
    type Response = TcpStream;
    type Error = DialError;
    type Future = DialFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: SocketAddr) -> DialFuture {
        let dialer = self.clone();
        DialFuture(Box::pin(
            async move { dialer.connect(Dial::new(address)).await },
        ))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_refused_connection_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut dialer = TcpDialer::new(SocketOptions::default());
        drop(dialer.call(address).await.unwrap());
        drop(listener);
        let error = dialer.call(Dial::new(address)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_not_answer_is_given_up_after_10_seconds() {
        // A listener whose backlog is full ignores whoever else wants to connect.
        let listener = tokio::net::TcpSocket::new_v4().unwrap();
        listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = listener.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut dialer = TcpDialer::new(SocketOptions::default());
        let mut waiting = Vec::new();
        for _ in 0..8 {
            let began = tokio::time::Instant::now();
            match dialer.call(Dial::new(address)).await {
                Ok(stream) => waiting.push(stream),
                Err(error) => {
                    assert!(matches!(error, DialError::Timeout { .. }), "{error:?}");
                    assert_eq!(began.elapsed(), TcpDialer::DEFAULT_TIMEOUT);
                    return;
                }
            }
        }
        panic!("the backlog takes {} connections", waiting.len());
    }

    #[tokio::test]
    async fn the_loopback_address_is_used_when_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dial = Dial::new(listener.local_addr().unwrap()).from(DialFrom::Loopback);
        let mut dialer = TcpDialer::new(SocketOptions::default());
        let stream = dialer.call(dial).await.unwrap();
        assert!(stream.local_addr().unwrap().ip().is_loopback());
    }
}
