//! The floor of everything that reads HTTP: plain hyper that forwards, and decides nothing.

use std::fmt;
use std::io;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};

use super::world::Version;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Forwards requests to one upstream over connections that are used again. Clones share them.
pub struct Forwarder<C> {
    connect: C,
    version: Version,
    http1: Arc<Mutex<Vec<http1::SendRequest<Incoming>>>>,
    http2: Arc<tokio::sync::Mutex<Option<http2::SendRequest<Incoming>>>>,
}

impl<C: Clone> Clone for Forwarder<C> {
    fn clone(&self) -> Self {
        Self {
            connect: self.connect.clone(),
            version: self.version,
            http1: self.http1.clone(),
            http2: self.http2.clone(),
        }
    }
}

impl<C> fmt::Debug for Forwarder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl<C, F, IO> Forwarder<C>
where
    C: Fn(Version) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = io::Result<IO>> + Send + 'static,
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    /// One whose connections are made by `connect`. Clients and the upstream speak `version`.
    pub fn new(version: Version, connect: C) -> Self {
        Self {
            connect,
            version,
            http1: Arc::default(),
            http2: Arc::default(),
        }
    }

    /// Serves the requests of one connection.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn serve<T>(self, client: T) -> io::Result<()>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let version = self.version;
        let io = TokioIo::new(client);
        let service = service_fn(move |request| self.clone().forward(request));
        let ended = match version {
            Version::Http1 => {
                let builder = hyper::server::conn::http1::Builder::new();
                builder.serve_connection(io, service).await
            }
            Version::Http2 => {
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                builder.serve_connection(io, service).await
            }
        };
        ended.map_err(io::Error::other)
    }

    async fn forward(self, request: Request<Incoming>) -> Result<Response<Incoming>, BoxError> {
        match self.version {
            Version::Http1 => {
                let mut sender = self.connection().await?;
                let response = sender.send_request(request).await?;
                self.http1.lock().push(sender);
                Ok(response)
            }
            Version::Http2 => Ok(self.streams().await?.send_request(request).await?),
        }
    }

    /// A connection that nobody uses: the one that was used last, or a new one.
    async fn connection(&self) -> Result<http1::SendRequest<Incoming>, BoxError> {
        let idle = {
            let mut pool = self.http1.lock();
            let ready = pool.iter().rposition(http1::SendRequest::is_ready);
            ready.map(|place| pool.swap_remove(place))
        };
        if let Some(sender) = idle {
            return Ok(sender);
        }
        let io = TokioIo::new((self.connect)(self.version).await?);
        let (sender, connection) = http1::handshake(io).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// The connection that all streams share.
    async fn streams(&self) -> Result<http2::SendRequest<Incoming>, BoxError> {
        let mut shared = self.http2.lock().await;
        if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let io = TokioIo::new((self.connect)(self.version).await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        *shared = Some(sender.clone());
        Ok(sender)
    }
}
