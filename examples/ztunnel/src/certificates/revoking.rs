//! Credentials of another source with revocation lists added.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use mesh_core::credential::{CertificateError, CertificateSource, Credential, RevocationLists};
use mesh_core::identity::SpiffeId;
use mesh_core::watch::{self, Publisher, Watch};
use parking_lot::Mutex;
use tokio::runtime::Handle;

/// Adds revocation lists to the trust bundle of each credential of another source, and publishes
/// the credential anew when it or the lists change, so that new and running connections see it.
pub(super) struct RevokingSource {
    issued: Arc<dyn CertificateSource>,
    lists: Watch<RevocationLists>,
    known: Arc<Mutex<Known>>,
    /// Where changes are followed, whichever runtime asks.
    runtime: Handle,
}

type Known = HashMap<SpiffeId, Revoking>;

/// The newest credential of one identity.
struct Revoking {
    issued: Arc<Credential>,
    lists: Arc<RevocationLists>,
    publisher: Arc<Publisher<Credential>>,
    followed: bool,
}

impl RevokingSource {
    /// Must be called in the runtime that changes are to be followed on.
    pub(super) fn new(issued: Arc<dyn CertificateSource>, lists: Watch<RevocationLists>) -> Self {
        Self {
            issued,
            lists,
            known: Arc::default(),
            runtime: Handle::current(),
        }
    }
}

/// The publisher of an identity, which has published the newest credential with the newest lists.
///
/// One lock is held from the look at what is newest until that is published: an older credential,
/// or older lists, never follow a newer one. Waking those who wait only schedules them.
fn revoke(
    known: &Mutex<Known>,
    issued: Arc<Credential>,
    lists: &Watch<RevocationLists>,
) -> Result<Arc<Publisher<Credential>>, CertificateError> {
    let mut known = known.lock();
    let lists = lists.load();
    let id = issued.id().clone();
    let Some(old) = known.get_mut(&id) else {
        let publisher = Arc::new(watch::channel_shared(add(&issued, &lists)?).0);
        let entry = Revoking {
            issued,
            lists,
            publisher: publisher.clone(),
            followed: false,
        };
        known.insert(id, entry);
        return Ok(publisher);
    };
    let issued = if old.issued.generation() > issued.generation() {
        old.issued.clone()
    } else {
        issued
    };
    if !Arc::ptr_eq(&old.issued, &issued) || !Arc::ptr_eq(&old.lists, &lists) {
        let credential = add(&issued, &lists)?;
        (old.issued, old.lists) = (issued, lists);
        old.publisher.publish(credential);
    }
    Ok(old.publisher.clone())
}

/// A credential with revocation lists in its trust bundle.
fn add(issued: &Credential, lists: &RevocationLists) -> Result<Arc<Credential>, CertificateError> {
    let trust = issued.trust().revoking(lists);
    let credential = issued.with_trust(Arc::new(trust));
    credential
        .map(Arc::new)
        .map_err(|source| CertificateError::Invalid {
            id: issued.id().clone(),
            source: Arc::new(source),
        })
}

/// Publishes the credential whenever it or the lists change, until the source ends.
async fn follow(
    known: Arc<Mutex<Known>>,
    id: SpiffeId,
    mut credentials: Option<Watch<Credential>>,
    mut lists: Watch<RevocationLists>,
) {
    loop {
        let issued = tokio::select! {
            changed = next(&mut credentials) => match changed {
                Some(issued) => issued,
                // The identity is no longer served: its watches close.
                None => break,
            },
            changed = lists.changed() => match changed {
                Ok(_) => {
                    let known = known.lock().get(&id).map(|known| known.issued.clone());
                    let Some(issued) = known else { break };
                    issued
                }
                Err(_) => break,
            },
        };
        // In effect this does not fail; the watches of a credential that cannot be made close.
        if revoke(&known, issued, &lists).is_err() {
            break;
        }
    }
    known.lock().remove(&id);
}

/// The next credential; `None` when there will be no more, never when they are not watched.
async fn next(credentials: &mut Option<Watch<Credential>>) -> Option<Arc<Credential>> {
    match credentials {
        Some(credentials) => credentials.changed().await.ok(),
        None => std::future::pending().await,
    }
}

#[async_trait]
impl CertificateSource for RevokingSource {
    async fn credential(&self, id: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        let issued = self.issued.credential(id).await?;
        Ok(revoke(&self.known, issued, &self.lists)?.load())
    }

    async fn watch(&self, id: &SpiffeId) -> Result<Option<Watch<Credential>>, CertificateError> {
        // In this order: a renewal after the watch is opened is seen by whoever follows it.
        let credentials = self.issued.watch(id).await?;
        let issued = self.issued.credential(id).await?;
        let publisher = revoke(&self.known, issued, &self.lists)?;
        let mut known = self.known.lock();
        if let Some(entry) = known.get_mut(id).filter(|entry| !entry.followed) {
            entry.followed = true;
            let (known, lists) = (self.known.clone(), self.lists.clone());
            self.runtime
                .spawn(follow(known, id.clone(), credentials, lists));
        }
        Ok(Some(publisher.watch()))
    }
}

impl fmt::Debug for RevokingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevokingSource")
            .field("issued", &self.issued)
            .field("lists", &self.lists)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
