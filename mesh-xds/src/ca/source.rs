//! The authority as a source of credentials.

use std::sync::Arc;

use async_trait::async_trait;
use mesh_core::clock::WallClock;
use mesh_core::credential::{CertificateError, CertificateSource, Credential};
use mesh_core::identity::SpiffeId;
use mesh_core::watch::{self, Watch};

use super::entries::{Entries, Entry};
use super::schedule::Priority;
use super::{CaError, IdentityState};

/// A [`CertificateSource`] that asks a mesh's authority, by way of a [`CaWorker`](super::CaWorker).
///
/// - A certificate that is good is served without waiting. Who asks while there is none waits for
///   the fetch, which all share; who asks after it has failed gets its error at once, while the
///   worker tries again after 1 s, then 2, 4 and so on up to 150 s (each up to 20 per cent more or
///   less).
/// - A certificate is renewed after 40 to 60 per cent of the time that it is good for. It stays in
///   use while renewals fail, until it expires: an expired one is never served.
/// - What connections wait for is fetched before what is only being renewed.
/// - The roots to check peers with come with each certificate. When the file of roots of the
///   endpoint changes, certificates are renewed within 5 minutes, so new roots count soon.
///
/// At most 4096 identities. See the [module](super) for an example.
pub struct CaSource {
    entries: Arc<Entries>,
    clock: Arc<dyn WallClock>,
}

impl CaSource {
    pub(super) fn new(entries: Arc<Entries>, clock: Arc<dyn WallClock>) -> Self {
        Self { entries, clock }
    }

    /// Fetches a certificate that will be needed soon: after those that connections wait for,
    /// before renewals. Nothing happens when there is one or more are served than may be.
    pub fn prefetch(&self, id: &SpiffeId) {
        let priority = Priority::Warmup;
        if let Ok(entry) = self.entries.get_or_insert(id, priority)
            && entry.state().good_at(self.clock.now()).is_none()
        {
            // A worker that has ended fetches nothing: callers will learn of it.
            let _ = self.entries.want(id, &entry, priority);
        }
    }

    /// Stops to renew an identity and drops its certificate: its watches close, and a fetch that
    /// runs is given up. It may be asked for again.
    pub fn forget(&self, id: &SpiffeId) {
        self.entries.forget(id);
    }

    /// Each identity that was asked for, with what there is for it, in no order.
    pub fn identities(&self) -> impl Iterator<Item = (SpiffeId, IdentityState)> {
        let states = self.entries.states().into_iter();
        states.map(|(id, state)| (id, IdentityState::clone(&state)))
    }

    async fn find(&self, id: &SpiffeId) -> Result<(Arc<Entry>, Arc<Credential>), CertificateError> {
        let of = |error: CaError| error.of(id);
        let priority = Priority::Traffic;
        let entry = self.entries.get_or_insert(id, priority).map_err(of)?;
        let mut states = entry.watch_state();
        loop {
            let state = states.load();
            if let Some(credential) = state.good_at(self.clock.now()) {
                return Ok((entry, credential.clone()));
            }
            if let IdentityState::Unavailable(error) = &*state {
                return Err(error.clone());
            }
            self.entries.want(id, &entry, priority).map_err(of)?;
            let changed = states.changed().await;
            changed.map_err(|_| of(CaError::Stopped))?;
        }
    }
}

#[async_trait]
impl CertificateSource for CaSource {
    async fn credential(&self, id: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        let (_, credential) = self.find(id).await?;
        Ok(credential)
    }

    async fn watch(&self, id: &SpiffeId) -> Result<Option<Watch<Credential>>, CertificateError> {
        let (entry, credential) = self.find(id).await?;
        // Without a publisher it is not renewed any more: a watch that is closed.
        let closed = || watch::channel_shared(credential).1;
        Ok(Some(entry.watch_credential().unwrap_or_else(closed)))
    }
}

impl std::fmt::Debug for CaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaSource")
            .field("identities", &self.entries.states().len())
            .finish_non_exhaustive()
    }
}
