//! From an endpoint to an HTTP/2 connection with a verified peer.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mesh_core::credential::Credential;
use mesh_core::identity::SpiffeId;
use mesh_core::outcome::Outcome;
use mesh_core::telemetry::ConnectionPhase;
use mesh_core::tls::{PeerRole, peer_identity, server_name};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::error::DialError;
use super::settings::{ASSUMED_STREAMS, Settings, report_revoked};
use super::target::Key;
use crate::boxed::BoxError;
use crate::carrier::Carrier;
use crate::http2::Connection;
use crate::peer::Peer;
use crate::revocation::Revocations;

/// A new connection, not driven yet.
pub(super) struct Dialed<IO> {
    pub(super) endpoint: SocketAddr,
    pub(super) connection: Connection<IO>,
    pub(super) carrier: Arc<Carrier>,
    pub(super) credential: Arc<Credential>,
    pub(super) revocations: Option<Revocations>,
}

/// The credential of the source, within the time for TLS.
pub(super) async fn credential(
    settings: &Settings,
    source: &SpiffeId,
) -> Result<Arc<Credential>, DialError> {
    let fetch = timeout(settings.tls_timeout, settings.certs.credential(source));
    let late = |_| mesh_core::credential::CertificateError::unavailable(source, "it took too long");
    fetch
        .await
        .unwrap_or_else(|elapsed| Err(late(elapsed)))
        .map_err(DialError::Certificate)
}

/// Connects and runs the handshakes.
pub(super) async fn dial<D>(
    settings: &Settings,
    key: &Key,
    credential: &Arc<Credential>,
    dialer: &mut D,
) -> Result<Dialed<D::Response>, DialError>
where
    D: Service<SocketAddr>,
    D::Response: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D::Error: Into<BoxError>,
{
    let endpoint = key.endpoint;
    let connect = async {
        poll_fn(|cx| dialer.poll_ready(cx)).await?;
        dialer.call(endpoint).await
    };
    let connected = match key.via {
        // Every step of a tunnel to a gateway has a time limit of its own.
        Some(_) => connect.await,
        None => timeout(settings.connect_timeout, connect)
            .await
            .map_err(|_| DialError::ConnectTimeout { endpoint })?,
    };
    let io = connected.map_err(|error| DialError::connect(endpoint, error.into()))?;
    handshake(settings, key, credential, io).await
}

/// Runs the handshakes over a connected stream.
pub(super) async fn handshake<IO>(
    settings: &Settings,
    key: &Key,
    credential: &Arc<Credential>,
    io: IO,
) -> Result<Dialed<IO>, DialError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let endpoint = key.endpoint;
    let config = settings
        .tls
        .client(credential, &key.expect)
        .map_err(DialError::Configuration)?;
    let secure = async {
        // First: what later revocation lists could not reach shall not be connected.
        let renewals = settings.certs.watch(&key.source).await;
        let renewals = renewals.map_err(DialError::Certificate)?;
        let connect = TlsConnector::from(config).connect(server_name(), io);
        let stream = connect.await;
        let stream = stream.map_err(|source| DialError::Handshake { endpoint, source })?;
        Ok((stream, renewals))
    };
    let (stream, renewals) = timeout(settings.tls_timeout, secure)
        .await
        .map_err(|_| DialError::HandshakeTimeout { endpoint })?
        .inspect_err(|error: &DialError| {
            if error.outcome() == Outcome::CertificateRevoked {
                report_revoked(&*settings.telemetry, endpoint, ConnectionPhase::Handshake);
            }
        })?;
    let (io, tls) = stream.into_inner();
    let identity = tls
        .peer_certificates()
        .and_then(peer_identity)
        .ok_or(DialError::NoIdentity { endpoint })?;
    // A source that cannot be watched has no later revocation lists.
    let revocations = renewals.map(|renewals| Revocations {
        tls: settings.tls.clone(),
        verified: settings.tls.verified(credential, PeerRole::Server),
        renewals,
    });
    let assumed = settings.max_streams.min(ASSUMED_STREAMS);
    let assumed = u32::try_from(assumed).unwrap_or(u32::MAX);
    // The preface goes out with the first turn of the driver.
    let connection = Connection::client(io, Some(tls.into()), settings.http2.local(None), assumed);
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    Ok(Dialed {
        endpoint,
        connection,
        carrier: Carrier::new(Peer::new(identity, endpoint, local)),
        credential: credential.clone(),
        revocations,
    })
}
