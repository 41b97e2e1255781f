//! The calls to an authority.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_core::identity::SpiffeId;
use prost_types::{Struct, Value, value::Kind};
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::CaError;
use crate::control::{ControlChannel, ControlEndpoint};
use crate::wire::ca::IstioCertificateRequest;
use crate::wire::ca::istio_certificate_service_client::IstioCertificateServiceClient;

/// The largest answer, in bytes: some hundred roots.
const MAX_ANSWER: usize = 1024 * 1024;

/// Whether a request names the identity that it wants besides the signing request. Istio's
/// authority then checks whether the caller may act for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Identity {
    FromToken,
    Impersonated,
}

/// One authority, over one connection at a time.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) endpoint: ControlEndpoint,
    pub(super) lifetime: Duration,
    pub(super) timeout: Duration,
    pub(super) identity: Identity,
    /// Held while connecting, so that nobody else does.
    kept: Mutex<Kept>,
    rebuilt: AtomicU64,
}

/// The last connection, and the roots that it was made by, which are known beyond its end.
#[derive(Debug, Default)]
struct Kept {
    channel: Option<ControlChannel>,
    roots: Option<Arc<[u8]>>,
}

impl Kept {
    /// Takes a new connection over; whether its roots are others than those of the last one.
    fn replace(&mut self, channel: &ControlChannel) -> bool {
        let roots = channel.roots_used();
        self.channel = Some(channel.clone());
        let former = std::mem::replace(&mut self.roots, roots);
        former.is_some() && former != self.roots
    }
}

/// Whether a connection has carried calls before: it may have ended unnoticed.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Connection {
    New,
    Kept,
}

impl Client {
    pub(super) fn new(
        endpoint: ControlEndpoint,
        lifetime: Duration,
        timeout: Duration,
        identity: Identity,
    ) -> Self {
        Self {
            endpoint,
            lifetime,
            timeout,
            identity,
            kept: Mutex::default(),
            rebuilt: AtomicU64::new(0),
        }
    }

    /// The chain that the authority answers a signing request with.
    pub(super) async fn sign(&self, id: &SpiffeId, csr: &str) -> Result<Vec<String>, CaError> {
        let (channel, connection) = self.channel().await?;
        let answer = self.call(&channel, id, csr).await;
        match answer {
            Err(CaError::Broken { .. }) if connection == Connection::Kept => {
                self.discard(&channel).await;
                let (channel, _) = self.channel().await?;
                self.call(&channel, id, csr).await
            }
            Err(error @ (CaError::Broken { .. } | CaError::Timeout { .. })) => {
                // Another connection may lead to a replica that answers.
                self.discard(&channel).await;
                Err(error)
            }
            answer => answer,
        }
    }

    /// How often a connection was made by other roots than the one before.
    pub(super) fn rebuilt(&self) -> u64 {
        self.rebuilt.load(Ordering::Relaxed)
    }

    /// Replaces the connection when its roots have changed.
    pub(super) async fn check_roots(&self) {
        let mut kept = self.kept.lock().await;
        if let Some(channel) = &kept.channel
            && self.endpoint.roots_changed(channel).await
        {
            self.rebuild(&mut kept).await;
        }
    }

    async fn call(
        &self,
        channel: &ControlChannel,
        id: &SpiffeId,
        csr: &str,
    ) -> Result<Vec<String>, CaError> {
        let request = self.endpoint.request(self.message(id, csr)).await?;
        let mut client = IstioCertificateServiceClient::new(channel.clone())
            .max_decoding_message_size(MAX_ANSWER);
        let answer = client.create_certificate(request);
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().cert_chain),
            Ok(Err(status)) => Err(self.failed(channel, status)),
            Err(_) => Err(CaError::Timeout {
                address: self.endpoint.address(),
                timeout: self.timeout,
            }),
        }
    }

    fn message(&self, id: &SpiffeId, csr: &str) -> IstioCertificateRequest {
        let impersonated = |id: &SpiffeId| Struct {
            fields: [(
                "ImpersonatedIdentity".to_owned(),
                Value {
                    kind: Some(Kind::StringValue(id.to_string())),
                },
            )]
            .into(),
        };
        IstioCertificateRequest {
            csr: csr.to_owned(),
            validity_duration: i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX),
            metadata: (self.identity == Identity::Impersonated).then(|| impersonated(id)),
        }
    }

    fn failed(&self, channel: &ControlChannel, status: tonic::Status) -> CaError {
        let address = self.endpoint.address();
        // What the server says has no cause on our side; the end of a connection that is noticed
        // before the call has none either.
        if status.source().is_some() || channel.is_closed() {
            return CaError::Broken {
                address,
                source: Box::new(status),
            };
        }
        CaError::Refused {
            address,
            code: status.code(),
            message: status.message().to_owned(),
        }
    }

    /// The connection that is kept, with the roots as they are now, or a new one.
    async fn channel(&self) -> Result<(ControlChannel, Connection), CaError> {
        let mut kept = self.kept.lock().await;
        if let Some(channel) = &kept.channel
            && !channel.is_closed()
        {
            let channel = channel.clone();
            if self.endpoint.roots_changed(&channel).await
                && let Some(rebuilt) = self.rebuild(&mut kept).await
            {
                return Ok((rebuilt, Connection::New));
            }
            return Ok((channel, Connection::Kept));
        }
        let channel = self.endpoint.connect().await?;
        self.take_over(&mut kept, &channel);
        Ok((channel, Connection::New))
    }

    /// A connection by the new roots in place of the one that is kept, which stays when the new
    /// roots lead nowhere.
    async fn rebuild(&self, kept: &mut Kept) -> Option<ControlChannel> {
        let address = self.endpoint.address();
        match self.endpoint.connect().await {
            Ok(channel) => {
                info!(
                    address,
                    "connected to the certificate authority by changed roots"
                );
                self.take_over(kept, &channel);
                Some(channel)
            }
            Err(error) => {
                let error = &error as &dyn Error;
                warn!(
                    address,
                    error, "changed roots lead to no connection, the old one is kept"
                );
                None
            }
        }
    }

    fn take_over(&self, kept: &mut Kept, channel: &ControlChannel) {
        if kept.replace(channel) {
            self.rebuilt.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn discard(&self, channel: &ControlChannel) {
        let mut kept = self.kept.lock().await;
        let is_kept = |kept: &ControlChannel| kept.is_same(channel);
        if kept.channel.as_ref().is_some_and(is_kept) {
            kept.channel = None;
        }
    }
}
