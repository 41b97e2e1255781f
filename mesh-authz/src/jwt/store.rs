//! All remote keys that rules refer to.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mesh_core::watch::{self, Publisher, Watch};
use parking_lot::Mutex;

use super::remote::RemoteKeys;
use super::source::JwksSource;

/// Remote keys by their sources. Rules that name the same source share its keys and its fetches,
/// also with rules of an earlier configuration; keys that no rule refers to are forgotten.
///
/// Clones are handles to the same store. It fetches nothing itself: a
/// [`Refresher`](super::Refresher) says what is to be fetched when.
#[derive(Clone)]
pub struct JwksStore(Arc<Shared>);

struct Shared {
    keys: Mutex<HashMap<JwksSource, Weak<RemoteKeys>>>,
    wake: Arc<Publisher<()>>,
}

impl JwksStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        let (wake, _) = watch::channel(());
        Self(Arc::new(Shared {
            keys: Mutex::default(),
            wake: Arc::new(wake),
        }))
    }

    /// The keys of `source`, new ones when nobody has them yet. `timeout` is for a fetch; where
    /// several are given, the longest counts.
    #[must_use]
    pub fn remote(&self, source: JwksSource, timeout: Duration) -> Arc<RemoteKeys> {
        let fresh = {
            let mut keys = self.0.keys.lock();
            if let Some(known) = keys.get(&source).and_then(Weak::upgrade) {
                known.allow(timeout);
                return known;
            }
            let fresh = RemoteKeys::new(source.clone(), timeout, self.0.wake.clone());
            let fresh = Arc::new(fresh);
            keys.insert(source, Arc::downgrade(&fresh));
            fresh
        };
        self.0.wake.publish(());
        fresh
    }

    /// Those that some rule refers to.
    pub(super) fn live(&self) -> Vec<Arc<RemoteKeys>> {
        let mut live = Vec::new();
        self.0.keys.lock().retain(|_, keys| {
            let keys = keys.upgrade();
            let used = keys.is_some();
            live.extend(keys);
            used
        });
        live
    }

    /// Changes whenever there may be something new to fetch: a new source, or a token whose key is
    /// not known.
    #[must_use]
    pub fn wake(&self) -> Watch<()> {
        self.0.wake.watch()
    }
}

impl Default for JwksStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for JwksStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<JwksSource> = self.0.keys.lock().keys().cloned().collect();
        f.debug_tuple("JwksStore").field(&sources).finish()
    }
}
