//! Looking the peer of a live connection up in new revocation lists.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use mesh_core::credential::{Credential, TrustBundle};
use mesh_core::tls::{TlsContext, Verified};
use mesh_core::watch::Watch;
use rustls::pki_types::CertificateDer;

use crate::boxed::BoxFuture;

/// What a connection's handshake was verified against, and where later revocation lists come from.
pub(crate) struct Revocations {
    pub(crate) tls: Arc<TlsContext>,
    pub(crate) verified: Verified,
    /// The own credential and its replacements, whose trust bundles have the lists.
    pub(crate) renewals: Watch<Credential>,
}

/// Watches for lists that have the peer's certificate, or one above it.
pub(crate) struct Revoked(Option<Watching>);

struct Watching {
    tls: Arc<TlsContext>,
    verified: Verified,
    /// The bundle that the peer was last looked up in.
    seen: Arc<TrustBundle>,
    /// The watch when there may be a new bundle; `None` when there will never be one.
    next: BoxFuture<'static, Option<Watch<Credential>>>,
}

impl Revoked {
    pub(crate) fn new(revocations: Option<Revocations>) -> Self {
        Self(revocations.map(|revocations| Watching {
            seen: revocations.verified.trust().clone(),
            tls: revocations.tls,
            verified: revocations.verified,
            // The bundle may have been replaced before the watch began.
            next: Box::pin(std::future::ready(Some(revocations.renewals))),
        }))
    }

    /// Ready when a list has the peer's certificate, or one above it.
    ///
    /// The peer's certificates, `chain`, stay where TLS keeps them for as long as the connection lives: nothing
    /// is copied to be prepared.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        chain: Option<&[CertificateDer<'static>]>,
    ) -> Poll<()> {
        loop {
            let Some(watching) = &mut self.0 else {
                return Poll::Pending;
            };
            let Some(mut renewals) = ready!(watching.next.as_mut().poll(cx)) else {
                self.0 = None;
                return Poll::Pending;
            };
            let trust = renewals.load().trust().clone();
            if !Arc::ptr_eq(&trust, &watching.seen) {
                let checked =
                    chain.map(|chain| watching.tls.recheck(chain, &watching.verified, &trust));
                match checked {
                    Some(Err(error)) if error.is_revoked() => return Poll::Ready(()),
                    Some(Err(error)) => tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a live connection's peer cannot be looked up in the revocation lists; it stays"
                    ),
                    Some(Ok(())) | None => {}
                }
                watching.seen = trust;
            }
            watching.next = Box::pin(async move {
                let changed = renewals.changed().await;
                changed.is_ok().then_some(renewals)
            });
        }
    }
}
