//! What connections are kept apart by.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::Equivalent;
use mesh_core::name::Name;

use crate::target::ServiceTarget;

/// What connections are kept apart by: what they were made for, as circuit breakers count by it, the
/// host, and the version of HTTP.
#[derive(Debug)]
pub(super) struct Key {
    target: ServiceTarget,
    host: Name,
    pub(super) http2: bool,
}

/// A [`Key`] that is looked up.
pub(super) struct KeyRef<'a> {
    pub(super) target: &'a ServiceTarget,
    pub(super) host: &'a Name,
    pub(super) http2: bool,
}

impl KeyRef<'_> {
    pub(super) fn to_key(&self) -> Arc<Key> {
        Arc::new(Key {
            target: self.target.clone(),
            host: self.host.clone(),
            http2: self.http2,
        })
    }
}

impl Key {
    fn borrowed(&self) -> KeyRef<'_> {
        KeyRef {
            target: &self.target,
            host: &self.host,
            http2: self.http2,
        }
    }
}

impl PartialEq for KeyRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.host == other.host && self.http2 == other.http2 && self.target == other.target
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Hosts are different nearly always; what is left out only makes for more comparisons.
        self.host.hash(state);
        self.target.port.hash(state);
        self.http2.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.borrowed() == other.borrowed()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

impl Equivalent<Arc<Key>> for KeyRef<'_> {
    fn equivalent(&self, key: &Arc<Key>) -> bool {
        *self == key.borrowed()
    }
}
