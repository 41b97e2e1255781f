//! Looking the peer of a live connection up in new revocation lists.

use std::sync::Arc;

use mesh_core::credential::Credential;
use mesh_core::tls::{TlsContext, Verified};
use mesh_core::watch::Watch;

use crate::records::Flusher;

/// What a connection's handshake was verified against, and where later revocation lists come from.
pub(crate) struct Revocations {
    pub(crate) tls: Arc<TlsContext>,
    pub(crate) verified: Verified,
    /// The own credential and its replacements, whose trust bundles have the lists.
    pub(crate) renewals: Watch<Credential>,
}

/// Resolves when a list has the peer's certificate, or one above it; never otherwise.
///
/// The peer's certificates stay where TLS keeps them for as long as the connection lives: nothing
/// is copied to be prepared.
pub(crate) async fn revoked<IO>(revocations: Option<Revocations>, flusher: Flusher<IO>) {
    let Some(Revocations {
        tls,
        verified,
        mut renewals,
    }) = revocations
    else {
        return std::future::pending().await;
    };
    // The bundle may have been replaced before the watch began.
    let mut seen = verified.trust().clone();
    loop {
        let trust = renewals.load().trust().clone();
        if !Arc::ptr_eq(&trust, &seen) {
            let checked = flusher.with_peer(|chain| tls.recheck(chain, &verified, &trust));
            match checked {
                Some(Err(error)) if error.is_revoked() => return,
                Some(Err(error)) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a live connection's peer cannot be looked up in the revocation lists; it stays"
                ),
                Some(Ok(())) | None => {}
            }
            seen = trust;
        }
        if renewals.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
