//! The keys under which the index holds things.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::RandomState;

/// Computes keys, with a seed that an author of policies does not know.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(RandomState);

impl Keys {
    pub(super) fn text(&self, text: &str) -> u64 {
        self.0.hash_one(text)
    }

    /// The key of a value that is found by a probe.
    pub(super) fn value(&self, probe: impl Hash, value: impl Hash) -> u64 {
        let mut hasher = self.0.build_hasher();
        probe.hash(&mut hasher);
        value.hash(&mut hasher);
        hasher.finish()
    }
}
