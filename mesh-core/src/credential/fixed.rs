//! Credentials that the embedder supplies.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;

use super::{CertificateError, CertificateSource, Credential};
use crate::identity::SpiffeId;
use crate::watch::{self, Publisher, Watch};

/// A source with the credentials that it was given; they can be replaced at run time.
///
/// It never fetches or renews: who embeds the data plane or tests it does.
#[derive(Debug, Default)]
pub struct FixedSource {
    credentials: RwLock<HashMap<SpiffeId, Arc<Publisher<Credential>>>>,
}

impl FixedSource {
    /// A source for the identities of these credentials; a later one replaces an earlier one for
    /// the same identity.
    pub fn new<C: Into<Arc<Credential>>>(credentials: impl IntoIterator<Item = C>) -> Self {
        let source = Self::default();
        for credential in credentials {
            source.replace(credential);
        }
        source
    }

    /// Serves this credential for its identity from now on, in place of a former one.
    pub fn replace(&self, credential: impl Into<Arc<Credential>>) {
        let credential = credential.into();
        let publisher = match self.credentials.write().entry(credential.id().clone()) {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(entry) => {
                entry.insert(Arc::new(watch::channel_shared(credential).0));
                return;
            }
        };
        // Without the lock: this wakes tasks, which may ask the source at once.
        publisher.publish(credential);
    }

    /// Stops serving an identity; its watches close.
    pub fn remove(&self, id: &SpiffeId) {
        let removed = self.credentials.write().remove(id);
        drop(removed);
    }

    fn find<T>(
        &self,
        id: &SpiffeId,
        read: impl FnOnce(&Publisher<Credential>) -> T,
    ) -> Result<T, CertificateError> {
        let unknown = || CertificateError::UnknownIdentity { id: id.clone() };
        let publisher = self.credentials.read().get(id).cloned();
        publisher.as_deref().map(read).ok_or_else(unknown)
    }
}

impl From<Credential> for FixedSource {
    fn from(credential: Credential) -> Self {
        Self::new([credential])
    }
}

#[async_trait]
impl CertificateSource for FixedSource {
    async fn credential(&self, id: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        self.find(id, Publisher::load)
    }

    async fn watch(&self, id: &SpiffeId) -> Result<Option<Watch<Credential>>, CertificateError> {
        self.find(id, |publisher| Some(publisher.watch()))
    }
}
