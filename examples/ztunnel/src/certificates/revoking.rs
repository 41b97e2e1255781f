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

/// The publisher of a credential with the lists, which has published it.
fn revoke(
    known: &Mutex<Known>,
    issued: Arc<Credential>,
    lists: Arc<RevocationLists>,
) -> Result<Arc<Publisher<Credential>>, CertificateError> {
    let add = |issued: &Credential| {
        let trust = issued.trust().revoking(&lists);
        let credential = issued.with_trust(Arc::new(trust));
        credential
            .map(Arc::new)
            .map_err(|source| CertificateError::Invalid {
                id: issued.id().clone(),
                source: Arc::new(source),
            })
    };
    let (publisher, credential) = {
        let mut known = known.lock();
        let id = issued.id().clone();
        match known.get_mut(&id) {
            Some(old)
                if old.issued.generation() > issued.generation()
                    || Arc::ptr_eq(&old.issued, &issued) && Arc::ptr_eq(&old.lists, &lists) =>
            {
                return Ok(old.publisher.clone());
            }
            Some(old) => {
                let credential = add(&issued)?;
                (old.issued, old.lists) = (issued, lists);
                (old.publisher.clone(), credential)
            }
            None => {
                let publisher = Arc::new(watch::channel_shared(add(&issued)?).0);
                let entry = Revoking {
                    issued,
                    lists,
                    publisher: publisher.clone(),
                    followed: false,
                };
                known.insert(id, entry);
                return Ok(publisher);
            }
        }
    };
    // Without the lock: this wakes tasks, which may ask the source at once.
    publisher.publish(credential);
    Ok(publisher)
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
        if revoke(&known, issued, lists.load()).is_err() {
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
        Ok(revoke(&self.known, issued, self.lists.load())?.load())
    }

    async fn watch(&self, id: &SpiffeId) -> Result<Option<Watch<Credential>>, CertificateError> {
        let issued = self.issued.credential(id).await?;
        let credentials = self.issued.watch(id).await?;
        let publisher = revoke(&self.known, issued, self.lists.load())?;
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
