//! The resources that a client has: names and versions, in little memory.

use std::fmt;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use mesh_core::name::Name;

use super::version::Version;

/// Names with versions: 32 bytes and a share of a hash index for each, beside the name, which is
/// shared with the resource.
#[derive(Clone, Default)]
pub(super) struct Retained {
    hasher: RandomState,
    /// Places in `entries`.
    index: HashTable<u32>,
    entries: Vec<(Name, Version)>,
}

impl Retained {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &Version)> {
        self.entries.iter().map(|(name, version)| (name, version))
    }

    /// The name as it is kept.
    pub(super) fn get(&self, name: &str) -> Option<&Name> {
        self.find(name).map(|(name, _)| name)
    }

    fn find(&self, name: &str) -> Option<&(Name, Version)> {
        let hash = self.hasher.hash_one(name);
        let at = self.index.find(hash, |at| is(&self.entries, *at, name))?;
        entry(&self.entries, *at)
    }

    pub(super) fn version(&self, name: &str) -> Option<&Version> {
        self.find(name).map(|(_, version)| version)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Makes room for so many further names at once, unless they are few.
    pub(super) fn reserve(&mut self, further: usize) {
        let Self {
            hasher,
            index,
            entries,
        } = self;
        if further <= entries.len() / 16 {
            return;
        }
        entries.reserve_exact(further);
        let rehash = |at: &u32| entry(entries, *at).map_or(0, |(name, _)| hasher.hash_one(name));
        index.reserve(further, rehash);
    }

    pub(super) fn insert(&mut self, name: &Name, version: Version) {
        let Self {
            hasher,
            index,
            entries,
        } = self;
        let hash = hasher.hash_one(name);
        let rehash = |at: &u32| entry(entries, *at).map_or(0, |(name, _)| hasher.hash_one(name));
        let found = index.entry(hash, |at| is(entries, *at, name), rehash);
        match found {
            Entry::Occupied(at) => {
                if let Some(entry) = entry_mut(entries, *at.get()) {
                    entry.1 = version;
                }
            }
            Entry::Vacant(free) => {
                // 2^32 names would take 64 GiB in this table alone.
                let Ok(at) = u32::try_from(entries.len()) else {
                    return;
                };
                free.insert(at);
                make_room(entries);
                entries.push((name.clone(), version));
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Name> {
        let hash = self.hasher.hash_one(name);
        let entries = &mut self.entries;
        let found = self.index.find_entry(hash, |at| is(entries, *at, name));
        let (at, _) = found.ok()?.remove();
        let last = u32::try_from(entries.len().checked_sub(1)?).ok()?;
        let (removed, _) = entries.swap_remove(usize::try_from(at).ok()?);
        // The last entry has moved into the gap.
        if let Some((moved, _)) = entry(entries, at) {
            let hash = self.hasher.hash_one(moved);
            if let Some(place) = self.index.find_mut(hash, |at| *at == last) {
                *place = at;
            }
        }
        if entries.len() < entries.capacity() / 4 {
            entries.shrink_to(entries.len() * 2);
        }
        Some(removed)
    }
}

/// Grows by a sixteenth rather than by doubling: the table is large and grows rarely.
fn make_room(entries: &mut Vec<(Name, Version)>) {
    if entries.len() == entries.capacity() {
        entries.reserve_exact(entries.len() / 16 + 16);
    }
}

fn entry(entries: &[(Name, Version)], at: u32) -> Option<&(Name, Version)> {
    entries.get(usize::try_from(at).ok()?)
}

fn entry_mut(entries: &mut [(Name, Version)], at: u32) -> Option<&mut (Name, Version)> {
    entries.get_mut(usize::try_from(at).ok()?)
}

fn is(entries: &[(Name, Version)], at: u32, name: &str) -> bool {
    entry(entries, at).is_some_and(|(known, _)| known == name)
}

impl fmt::Debug for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Name, Retained, Version};

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(
            edits in prop::collection::vec((0..40_u8, prop::option::of(0..3_u8)), 0..300),
            room in prop::collection::vec((0..300_usize, 0..100_usize), 0..3),
        ) {
            let (mut retained, mut map) = (Retained::default(), BTreeMap::new());
            for (at, (name, version)) in edits.into_iter().enumerate() {
                for (_, further) in room.iter().filter(|(when, _)| *when == at) {
                    retained.reserve(*further);
                }
                let name = Name::from(format!("n{name}"));
                if let Some(version) = version {
                    retained.insert(&name, Version::new(&version.to_string()));
                    map.insert(name.clone(), version.to_string());
                } else {
                    prop_assert_eq!(retained.remove(&name).is_some(), map.remove(&name).is_some());
                }
                prop_assert_eq!(retained.contains(&name), map.contains_key(&name));
            }
            prop_assert_eq!(retained.len(), map.len());
            let all: BTreeMap<_, _> =
                retained.iter().map(|(n, v)| (n.clone(), v.to_string())).collect();
            prop_assert_eq!(all, map);
        }
    }
}
