//! What is known of each identity, as callers read it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use mesh_core::credential::{CertificateError, Credential};
use mesh_core::identity::SpiffeId;
use mesh_core::watch::{self, Publisher, Watch};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::CaError;
use super::schedule::Priority;

/// How many identities one source serves at a time.
const MAX_IDENTITIES: usize = 4096;

/// What a source has for an identity.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum IdentityState {
    /// Nothing yet: the first fetch is on its way or waits its turn.
    Initializing,
    /// A certificate.
    Available(Arc<Credential>),
    /// No certificate that is still good, and the last fetch failed. It is tried again.
    Unavailable(CertificateError),
}

impl IdentityState {
    /// The certificate, when it has not expired at `now`.
    pub(super) fn good_at(&self, now: SystemTime) -> Option<&Arc<Credential>> {
        match self {
            Self::Available(credential) => Some(credential).filter(|good| now <= good.not_after()),
            Self::Initializing | Self::Unavailable(_) => None,
        }
    }
}

/// One identity.
pub(super) struct Entry {
    state: Publisher<IdentityState>,
    /// For those who watch the credential; `None` before the first and after the end.
    credentials: Mutex<Option<Arc<Publisher<Credential>>>>,
    wanted: Mutex<Priority>,
}

impl Entry {
    fn new(wanted: Priority) -> Self {
        Self {
            state: watch::channel(IdentityState::Initializing).0,
            credentials: Mutex::new(None),
            wanted: Mutex::new(wanted),
        }
    }

    pub(super) fn state(&self) -> Arc<IdentityState> {
        self.state.load()
    }

    pub(super) fn watch_state(&self) -> Watch<IdentityState> {
        self.state.watch()
    }

    pub(super) fn watch_credential(&self) -> Option<Watch<Credential>> {
        self.credentials
            .lock()
            .as_ref()
            .map(|publisher| publisher.watch())
    }

    /// The highest priority that was asked for since the last call.
    pub(super) fn take_wanted(&self) -> Priority {
        std::mem::replace(&mut *self.wanted.lock(), Priority::Background)
    }

    pub(super) fn publish(&self, credential: &Arc<Credential>) {
        let publisher = {
            let mut credentials = self.credentials.lock();
            let former = credentials.clone();
            if former.is_none() {
                let first = watch::channel_shared(credential.clone()).0;
                *credentials = Some(Arc::new(first));
            }
            former
        };
        // Without the lock: this wakes tasks, which may ask the source at once.
        if let Some(publisher) = publisher {
            publisher.publish(credential.clone());
        }
        self.state
            .publish(IdentityState::Available(credential.clone()));
    }

    pub(super) fn fail(&self, error: CertificateError) {
        self.state.publish(IdentityState::Unavailable(error));
    }

    /// Nobody renews this identity any more. Those who wait get `error`; a certificate that is good
    /// `now` stays readable.
    fn end(&self, error: CertificateError, now: Option<SystemTime>) {
        let publisher = self.credentials.lock().take();
        drop(publisher);
        if now.is_none_or(|now| self.state().good_at(now).is_none()) {
            self.fail(error);
        }
    }
}

#[derive(Default)]
struct Touched {
    in_order: Vec<SpiffeId>,
    all: HashSet<SpiffeId>,
}

impl Touched {
    fn insert(&mut self, id: &SpiffeId) {
        if self.all.insert(id.clone()) {
            self.in_order.push(id.clone());
        }
    }
}

/// All identities, and what the worker has to look at.
#[derive(Default)]
pub(super) struct Entries {
    entries: RwLock<HashMap<SpiffeId, Arc<Entry>>>,
    /// Identities that were asked for or forgotten since the worker last looked.
    touched: Mutex<Touched>,
    wake: Notify,
    stopped: AtomicBool,
}

impl Entries {
    pub(super) fn get(&self, id: &SpiffeId) -> Option<Arc<Entry>> {
        self.entries.read().get(id).cloned()
    }

    pub(super) fn get_or_insert(
        &self,
        id: &SpiffeId,
        priority: Priority,
    ) -> Result<Arc<Entry>, CaError> {
        if let Some(entry) = self.get(id) {
            return Ok(entry);
        }
        if self.stopped.load(Ordering::Acquire) {
            return Err(CaError::Stopped);
        }
        let entry = {
            let mut entries = self.entries.write();
            let limit = MAX_IDENTITIES;
            if entries.len() >= limit && !entries.contains_key(id) {
                return Err(CaError::TooManyIdentities { limit });
            }
            let entry = entries.entry(id.clone());
            entry
                .or_insert_with(|| Arc::new(Entry::new(priority)))
                .clone()
        };
        self.touch(id);
        Ok(entry)
    }

    /// Asks the worker for a certificate of `id`.
    pub(super) fn want(
        &self,
        id: &SpiffeId,
        entry: &Entry,
        priority: Priority,
    ) -> Result<(), CaError> {
        {
            let mut wanted = entry.wanted.lock();
            *wanted = priority.max(*wanted);
        }
        self.touch(id);
        if self.stopped.load(Ordering::Acquire) {
            return Err(CaError::Stopped);
        }
        Ok(())
    }

    pub(super) fn forget(&self, id: &SpiffeId) {
        let removed = self.entries.write().remove(id);
        if let Some(entry) = removed {
            entry.end(CertificateError::UnknownIdentity { id: id.clone() }, None);
            self.touch(id);
        }
    }

    /// What was touched, each once, in the order in which it was touched first.
    pub(super) fn take_touched(&self) -> Vec<SpiffeId> {
        std::mem::take(&mut *self.touched.lock()).in_order
    }

    /// Waits until something is touched.
    pub(super) async fn touched(&self) {
        self.wake.notified().await;
    }

    /// Each identity with its state.
    pub(super) fn states(&self) -> Vec<(SpiffeId, Arc<IdentityState>)> {
        let entries = self.entries.read();
        let states = entries
            .iter()
            .map(|(id, entry)| (id.clone(), entry.state()));
        states.collect()
    }

    /// The worker has ended.
    pub(super) fn stop(&self, now: SystemTime) {
        self.stopped.store(true, Ordering::Release);
        let entries: Vec<_> = {
            let entries = self.entries.read();
            entries
                .iter()
                .map(|(id, entry)| (id.clone(), entry.clone()))
                .collect()
        };
        for (id, entry) in entries {
            entry.end(CaError::Stopped.of(&id), Some(now));
        }
    }

    fn touch(&self, id: &SpiffeId) {
        self.touched.lock().insert(id);
        self.wake.notify_one();
    }
}
