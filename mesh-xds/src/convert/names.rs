//! One name for equal texts of one response.

use std::fmt;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use mesh_core::name::Name;

/// The most names that are kept until the response is done: enough for the deployments, nodes and
/// services of a mesh of a million workloads.
const LIMIT: usize = 65_536;

/// Gives equal texts the same [`Name`], so that most names of a response are not allocated.
#[derive(Default)]
pub(super) struct Names {
    hasher: RandomState,
    known: HashTable<Name>,
}

impl Names {
    pub(super) fn name(&mut self, text: &str) -> Name {
        if text.is_empty() {
            return Name::default();
        }
        if self.known.len() >= LIMIT {
            self.known.clear();
        }
        let Self { hasher, known } = self;
        let hash = hasher.hash_one(text);
        match known.entry(hash, |name| name == text, |name| hasher.hash_one(name)) {
            Entry::Occupied(name) => name.get().clone(),
            Entry::Vacant(free) => free.insert(text.into()).get().clone(),
        }
    }

    /// Lets go of all names.
    pub(super) fn clear(&mut self) {
        self.known = HashTable::new();
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names")
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}
