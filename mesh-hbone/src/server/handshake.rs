//! From an accepted socket to an HTTP/2 connection with a verified peer.

use std::sync::Arc;

use mesh_core::credential::{CertificateError, Credential};
use mesh_core::tls::{PeerRole, peer_identity};
use mesh_core::watch::Watch;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::error::Error;
use super::settings::{Accepted, Shared};
use crate::carrier::Carrier;
use crate::peer::Peer;
use crate::revocation::Revocations;

/// A connection after its TLS handshake.
pub(super) struct Ready<IO> {
    pub(super) io: IO,
    pub(super) tls: Option<rustls::Connection>,
    pub(super) carrier: Arc<Carrier>,
    /// The proof that the connection was accepted with, by its generation.
    pub(super) generation: u64,
    /// That credential and its replacements.
    pub(super) renewals: Option<Watch<Credential>>,
    /// How to look the peer up in later revocation lists.
    pub(super) revocations: Option<Revocations>,
}

/// Runs the TLS handshake within its time and its place at the gate.
pub(super) async fn accept<IO>(shared: &Shared, accepted: Accepted<IO>) -> Result<Ready<IO>, Error>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let peer = accepted.peer;
    let place = shared.gate.enter();
    let forced = async {
        match &shared.drain {
            Some(drain) => drain.forced().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = place.evicted() => Err(Error::HandshakeShed { peer }),
        () = forced => Err(Error::Drained { peer }),
        result = timeout(shared.handshake_timeout, run(shared, accepted)) => {
            result.map_err(|_| Error::HandshakeTimeout { peer })?
        }
    }
}

async fn run<IO>(shared: &Shared, accepted: Accepted<IO>) -> Result<Ready<IO>, Error>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Accepted { io, peer, local } = accepted;
    let (peer, local) = (canonical(peer), canonical(local));
    let identity = &shared.identity;
    let unusable = |source: CertificateError| Error::Certificate {
        peer,
        source: source.into(),
    };
    let credential = shared.certs.credential(identity).await.map_err(unusable)?;
    // Before the handshake: what later revocation lists could not reach shall not be accepted.
    let renewals = shared.certs.watch(identity).await.map_err(unusable)?;
    let config = shared.tls.server(&credential);
    let config = config.map_err(|source| Error::Configuration {
        peer,
        source: source.into(),
    })?;
    let stream = TlsAcceptor::from(config).accept(io).await;
    let stream = stream.map_err(|source| Error::Handshake { peer, source })?;
    let (io, tls) = stream.into_inner();
    let id = tls
        .peer_certificates()
        .and_then(peer_identity)
        .ok_or(Error::NoIdentity { peer })?;
    // A source that cannot be watched retires nothing and has no later revocation lists.
    let revocations = renewals.clone().map(|renewals| Revocations {
        tls: shared.tls.clone(),
        verified: shared.tls.verified(&credential, PeerRole::Client),
        renewals,
    });
    Ok(Ready {
        io,
        tls: Some(tls.into()),
        carrier: Carrier::new(Peer::new(id, peer, local)),
        generation: credential.proof_generation(),
        renewals,
        revocations,
    })
}

/// IPv4-mapped IPv6 addresses become plain IPv4 before anything looks at them.
fn canonical(addr: std::net::SocketAddr) -> std::net::SocketAddr {
    std::net::SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
