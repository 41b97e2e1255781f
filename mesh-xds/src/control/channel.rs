//! One HTTP/2 connection as a tower service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Authority, Scheme, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tonic::body::Body;
use tower_service::Service;
use tracing::debug;

use super::ControlStream;

/// Flow control windows: a first sync is tens of megabytes, and its reader keeps up.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

const MAX_HEADER_LIST: u32 = 64 * 1024;

/// An HTTP/2 connection to a control plane: a service of gRPC requests for the generated clients.
///
/// Clones share the connection, which ends when the last clone and the last call are gone. Calls
/// on a connection that has ended fail; [`ControlEndpoint::connect`](super::ControlEndpoint::connect)
/// opens another.
#[derive(Clone)]
pub struct ControlChannel {
    sender: http2::SendRequest<Body>,
    origin: Arc<Origin>,
}

/// What a connection leads to, and how it was trusted.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// The content of the file of roots that was used.
    pub(super) roots: Option<Arc<[u8]>>,
}

/// When a silent peer is asked whether it is still there, and how long it may take to answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepAlive {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

impl ControlChannel {
    pub(super) async fn handshake(
        stream: Box<dyn ControlStream>,
        keep_alive: KeepAlive,
        origin: Origin,
    ) -> hyper::Result<Self> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(keep_alive.interval)
            .keep_alive_timeout(keep_alive.timeout)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_LIST);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let authority = origin.authority.clone();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                let error = &error as &dyn std::error::Error;
                debug!(%authority, error, "connection to the control plane failed");
            }
        });
        Ok(Self {
            sender,
            origin: Arc::new(origin),
        })
    }

    /// Whether the connection has ended: further calls would fail.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether both are clones of one connection.
    #[cfg(feature = "ca")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.origin, &other.origin)
    }

    /// The content of the file of roots that was used.
    #[cfg(feature = "ca")]
    pub(crate) fn roots_used(&self) -> Option<Arc<[u8]>> {
        self.origin.roots.clone()
    }

    pub(super) fn roots(&self) -> Option<&[u8]> {
        self.origin.roots.as_deref()
    }
}

impl Service<http::Request<Body>> for ControlChannel {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(self.origin.scheme.clone());
        parts.authority = Some(self.origin.authority.clone());
        // Never fails: a URI always has a path, and all three parts are there.
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        Box::pin(self.sender.send_request(request))
    }
}

impl fmt::Debug for ControlChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlChannel")
            .field("authority", &self.origin.authority)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
