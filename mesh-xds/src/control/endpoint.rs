//! Connecting to a control plane, and what each call carries.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio_rustls::TlsConnector;
use tonic::metadata::MetadataMap;

use super::address::Address;
use super::channel::{KeepAlive, Origin};
use super::tls::Rules;
use super::{
    ControlChannel, ControlDialer, ControlError, ControlRoots, ControlStream, ControlToken,
};

/// Where a control plane is, how it is trusted, and what it is shown.
///
/// The certificate of the server must lead to the roots and be for the host of the address or for
/// the alternative name. TLS 1.3 (1.2 when allowed) with AES-GCM; no client certificate: the token
/// proves the caller.
///
/// See the [module](super) for an example.
#[derive(Debug)]
pub struct ControlEndpoint {
    pub(super) address: Address,
    pub(super) roots: ControlRoots,
    /// `None` = no TLS.
    pub(super) rules: Option<Rules>,
    pub(super) token: ControlToken,
    pub(super) headers: HeaderMap,
    pub(super) connect_timeout: Duration,
    pub(super) keep_alive: KeepAlive,
    pub(super) dialer: Arc<dyn ControlDialer>,
}

impl ControlEndpoint {
    /// The address, with its scheme.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Opens a connection, with the roots as they are now.
    ///
    /// # Errors
    /// [`ControlError`] when the roots cannot be read, nothing accepts, the server's certificate is
    /// not acceptable, or the time is up.
    ///
    /// # Cancellation
    /// Dropping the future gives the attempt up.
    pub async fn connect(&self) -> Result<ControlChannel, ControlError> {
        let timeout = self.connect_timeout;
        let connected = tokio::time::timeout(timeout, self.connect_untimed()).await;
        connected.unwrap_or_else(|_| {
            Err(ControlError::ConnectTimeout {
                address: self.address(),
                timeout,
            })
        })
    }

    /// What each call carries: `authorization`, `clusterid` and the extra headers. A token file is
    /// read now.
    ///
    /// # Errors
    /// [`ControlError`] when the token cannot be read or sent.
    pub async fn metadata(&self) -> Result<MetadataMap, ControlError> {
        let mut headers = self.headers.clone();
        if let Some(token) = self.token.header().await? {
            headers.insert(AUTHORIZATION, token);
        }
        Ok(MetadataMap::from_headers(headers))
    }

    /// A gRPC request with the [`metadata`](Self::metadata): a message, or a stream of them.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata).
    pub async fn request<T>(&self, message: T) -> Result<tonic::Request<T>, ControlError> {
        let metadata = self.metadata().await?;
        Ok(tonic::Request::from_parts(
            metadata,
            Default::default(),
            message,
        ))
    }

    /// Whether the file of roots now holds something else than when `channel` was connected. A
    /// file that cannot be read does not count.
    pub async fn roots_changed(&self, channel: &ControlChannel) -> bool {
        self.rules.is_some() && self.roots.differ(channel.roots()).await
    }

    async fn connect_untimed(&self) -> Result<ControlChannel, ControlError> {
        let (host, port) = (&self.address.host, self.address.port);
        let (tls, roots) = match &self.rules {
            Some(rules) => {
                let loaded = self.roots.load().await?;
                (Some(rules.client(loaded.store)?), loaded.content)
            }
            None => (None, None),
        };
        let dialed = self.dialer.dial(host, port).await;
        let stream = dialed.map_err(|source| ControlError::Unreachable {
            address: self.address(),
            source,
        })?;
        let stream: Box<dyn ControlStream> = match tls {
            Some(config) => {
                let connector = TlsConnector::from(Arc::new(config));
                let secured = connector.connect(self.address.name.clone(), stream).await;
                Box::new(secured.map_err(|source| ControlError::Handshake {
                    address: self.address(),
                    source,
                })?)
            }
            None => stream,
        };
        let origin = Origin {
            scheme: self.address.scheme.clone(),
            authority: self.address.authority.clone(),
            roots,
        };
        let channel = ControlChannel::handshake(stream, self.keep_alive, origin).await;
        channel.map_err(|source| ControlError::Http2 {
            address: self.address(),
            source,
        })
    }
}
